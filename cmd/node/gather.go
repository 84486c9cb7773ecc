package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/ring"
)

// askOther bounds a question to a node that the user did not name, whose answer
// is welcome and not needed.
const askOther = 2 * time.Second

// errNoHTTP is why a member cannot be asked.
var errNoHTTP = errors.New("its process does not run, or answers no HTTP")

// askEach asks members all at once, each by its own client, and returns what went
// wrong with each of them.
func (o *operator) askEach(ctx context.Context, members []httpapi.MemberShare, ask func(context.Context, int, *client) error) []error {
	ctx, cancel := context.WithTimeout(ctx, askOther)
	defer cancel()
	errs := make([]error, len(members))
	var all sync.WaitGroup
	for i, m := range members {
		if m.HTTP == "" {
			errs[i] = errNoHTTP
			continue
		}
		all.Go(func() { errs[i] = ask(ctx, i, o.clientOf(m.HTTP)) })
	}
	all.Wait()
	return errs
}

// runningMembers returns the members, without those that are given up for dead and
// have nothing to tell, and the name of the one at --http.
func (o *operator) runningMembers(ctx context.Context) ([]httpapi.MemberShare, ring.NodeName, error) {
	var members httpapi.Members
	err := o.client().get(ctx, "/api/members", nil, &members)
	dead := func(m httpapi.MemberShare) bool { return m.Status == ring.Down }
	return slices.DeleteFunc(members.Members, dead), members.Via, err
}

// gathered is what the members together know of the pending transfers.
type gathered struct {
	httpapi.Transfers
	// Silent are members that did not answer. Of their transfers there is only what
	// others know, which is nothing of a hinted one between two of them.
	Silent []ring.NodeName `json:"silent,omitempty"`

	answered []ring.NodeName // the others
	alive    []ring.NodeName // those of Silent that the node at --http can reach
}

// gatherTransfers asks a node for the pending transfers, and then all the others:
// how far one is, and of most that there is one, its sender and its receiver alone know.
func (o *operator) gatherTransfers(ctx context.Context) (gathered, error) {
	var all gathered
	if err := o.client().get(ctx, "/api/transfers", nil, &all.Transfers); err != nil {
		return all, err
	}
	members, via, err := o.runningMembers(ctx)
	if err != nil {
		return all, err
	}
	members = slices.DeleteFunc(members, func(m httpapi.MemberShare) bool { return m.Name == via })
	told := make([]httpapi.Transfers, len(members))
	errs := o.askEach(ctx, members, func(ctx context.Context, i int, c *client) error {
		return c.glance(ctx, "/api/transfers", &told[i])
	})
	for i, m := range members {
		all.note(m, errs[i])
	}
	all.Transfers.Transfers = merge(append([]httpapi.Transfers{all.Transfers}, told...))
	return all, nil
}

// note notes whether a member has answered.
func (g *gathered) note(m httpapi.MemberShare, err error) {
	if err == nil {
		g.answered = append(g.answered, m.Name)
		return
	}
	g.Silent = append(g.Silent, m.Name)
	if m.Liveness != membership.Down.String() {
		g.alive = append(g.alive, m.Name)
	}
}

// merge makes one list of what several nodes tell. Of a transfer counts what its
// sender says, or else its receiver, or else whoever knows the ring.
func merge(told []httpapi.Transfers) []httpapi.PendingTransfer {
	type voice struct {
		weight   int
		transfer httpapi.PendingTransfer
	}
	best := make(map[httpapi.PendingTransfer]voice)
	for _, node := range told {
		for _, t := range node.Transfers {
			v := voice{1, t}
			switch node.Via {
			case t.From:
				v.weight = 3
			case t.To:
				v.weight = 2
			}
			if best[transferKey(t)].weight < v.weight {
				best[transferKey(t)] = v
			}
		}
	}
	merged := make([]httpapi.PendingTransfer, 0, len(best)) // [] in JSON, if there are none
	for _, v := range best {
		merged = append(merged, v.transfer)
	}
	slices.SortFunc(merged, inOrder)
	return merged
}

// transferKey is what tells a transfer from others.
func transferKey(t httpapi.PendingTransfer) httpapi.PendingTransfer {
	return httpapi.PendingTransfer{Type: t.Type, Partition: t.Partition, Source: t.Source, From: t.From, To: t.To}
}

// inOrder puts what runs first, and then what is more urgent.
func inOrder(a, b httpapi.PendingTransfer) int {
	urgency := func(t httpapi.PendingTransfer) int {
		if isRunning(t) {
			return slices.Index(typesByUrgency, t.Type) - len(typesByUrgency)
		}
		return slices.Index(typesByUrgency, t.Type)
	}
	return cmp.Or(
		cmp.Compare(urgency(a), urgency(b)),
		cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Source, b.Source),
		strings.Compare(string(a.From), string(b.From)), strings.Compare(string(a.To), string(b.To)),
	)
}
