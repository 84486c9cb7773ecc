package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"reflect"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/ring"
)

const (
	// watchEvery is the pause between two looks: about as fast as one can read.
	watchEvery = time.Second
	// askOther bounds a question to a node that the user did not name, whose answer
	// is welcome and not needed.
	askOther = 2 * time.Second
)

// clearScreen moves a terminal's cursor home and clears what is below (ECMA-48,
// CUP and ED).
const clearScreen = "\x1b[H\x1b[J"

func newTransfers(o *operator) *cobra.Command {
	watch := false
	cmd := &cobra.Command{
		Use: "transfers", Short: "List the partitions that are on their way to another owner, and why they wait",
		Long: `transfers lists the pending transfers of the ring. Why one waits is known on the
node that gives the partition, so those nodes are asked too.

With --watch it goes on until nothing is pending.`,
		Example: "  node transfers\n  node transfers --watch",
		Args:    takes(0, 0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch {
				return o.watchTransfers(cmd.Context())
			}
			pending, err := o.gatherTransfers(cmd.Context())
			if err != nil {
				return err
			}
			return o.show(pending, func(p palette) string { return drawTransfers(pending, time.Now(), p) })
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show them again and again, until there are none")
	return cmd
}

// watchTransfers shows the pending transfers until there are none. Where nobody
// looks, only what has changed is written.
func (o *operator) watchTransfers(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	live := isTerminal(o.out) && o.form == asTable
	var shown []httpapi.PendingTransfer
	for first := true; ; first = false {
		pending, err := o.gatherTransfers(ctx)
		if err != nil {
			return err
		}
		if live {
			_, _ = io.WriteString(o.out, clearScreen)
		}
		if first || live || !reflect.DeepEqual(shown, pending.Transfers) {
			err = o.show(pending, func(p palette) string { return drawTransfers(pending, time.Now(), p) })
		}
		if shown = pending.Transfers; err != nil || len(shown) == 0 {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// gatherTransfers asks a node for the pending transfers, and those who give the
// partitions for their reasons.
func (o *operator) gatherTransfers(ctx context.Context) (httpapi.Transfers, error) {
	var pending httpapi.Transfers
	if err := o.client().get(ctx, "/api/transfers", nil, &pending); err != nil {
		return pending, err
	}
	givers := map[ring.NodeName]bool{}
	for _, t := range pending.Transfers {
		if t.From != pending.Via {
			givers[t.From] = true
		}
	}
	if len(givers) == 0 {
		return pending, nil
	}
	var members httpapi.Members
	if err := o.client().get(ctx, "/api/members", nil, &members); err != nil {
		return pending, err
	}
	known := o.askGivers(ctx, givers, members)
	for i, t := range pending.Transfers {
		if told, ok := known[t.Transfer]; ok {
			pending.Transfers[i] = told
		}
	}
	return pending, nil
}

// askGivers returns what the nodes that give partitions know of their transfers.
// Who does not answer is left out.
func (o *operator) askGivers(ctx context.Context, givers map[ring.NodeName]bool, members httpapi.Members) map[httpapi.Transfer]httpapi.PendingTransfer {
	ctx, cancel := context.WithTimeout(ctx, askOther)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	known := map[httpapi.Transfer]httpapi.PendingTransfer{}
	for _, m := range members.Members {
		if !givers[m.Name] || m.HTTP == "" {
			continue
		}
		all.Go(func() {
			var own httpapi.Transfers
			if o.clientOf(m.HTTP).glance(ctx, "/api/transfers", &own) != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, t := range own.Transfers {
				if t.From == m.Name {
					known[t.Transfer] = t
				}
			}
		})
	}
	all.Wait()
	return known
}

func drawTransfers(pending httpapi.Transfers, now time.Time, p palette) string {
	if len(pending.Transfers) == 0 {
		return fmt.Sprintf("no transfers are pending at epoch %d\n", pending.Epoch)
	}
	t := table{palette: p}
	t.add("Partition", "From", "To", "State", "Since")
	for _, one := range pending.Transfers {
		since := ""
		if !one.Since.IsZero() {
			since = now.Sub(one.Since).Round(time.Second).String()
		}
		t.add(fmt.Sprint(one.Partition), string(one.From), string(one.To), cmp.Or(one.Reason, "pending"), since)
	}
	return fmt.Sprintf("%s%s pending at epoch %d\n", t.String(), count(len(pending.Transfers), "transfer"), pending.Epoch)
}
