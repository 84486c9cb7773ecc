package torc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/puppet"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
)

// TestNobodyGetsAnothersAnswer: coordinators serve one request after another. In
// a crowd of clients of which some give up, some are late, and some ask for every
// reply, each gets what is its own, whole, for as long as it keeps it.
func TestNobodyGetsAnothersAnswer(t *testing.T) {
	const clients, each = 32, 150
	p := puppet.NewRepairing(torc.Quorum{N: 3})
	p.Pause = 100 * time.Microsecond
	node := startSolo(t, torc.Config{}, p)
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			var kept []*testingpb.Seen
			for i := range each {
				if seen := askAsOneOfMany(t, p, node, fmt.Sprintf("%d/%d", client, i)); seen != nil {
					kept = append(kept, seen)
				}
			}
			if len(kept) == 0 {
				t.Error("not one request was answered")
			}
		})
	}
	wg.Wait()
}

// askAsOneOfMany makes one request, and returns an answer that may be kept.
func askAsOneOfMany(t *testing.T, p *puppet.Service, node *torc.Node, value string) *testingpb.Seen {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	command := &testingpb.Act{Key: []byte(value), Verb: "store", Value: []byte(value)}
	switch rand.IntN(6) {
	case 0: // gives up while vnodes are at it
		command.Verb = "slow"
		time.AfterFunc(time.Duration(rand.IntN(200))*time.Microsecond, cancel)
	case 1: // is late
		command.Verb = "slow"
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(200))*time.Microsecond)
		defer cancel()
	case 2: // wants every reply
		replies, err := p.Act.All(ctx, node, command)
		if err != nil || len(replies) != 3 {
			t.Errorf("%s: %d replies, %v", value, len(replies), err)
		}
		for _, r := range replies {
			if string(r.Value.GetValue()) != value {
				t.Errorf("%s: a reply says %q, %v", value, r.Value.GetValue(), r.Err)
			}
		}
		return nil
	}
	seen, err := p.Act.Do(ctx, node, command, torc.W(1+rand.IntN(3)))
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return nil
	case err != nil:
		t.Errorf("%s: %v", value, err)
		return nil
	case string(seen.GetValue()) != value:
		t.Errorf("%s: the answer is %q", value, seen.GetValue())
	}
	return seen
}
