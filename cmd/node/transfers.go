package main

import (
	"context"
	"io"
	"reflect"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/ring"
)

const (
	// watchEvery is the pause between two looks: about as fast as one can read.
	watchEvery = time.Second
	// progressEvery is the pause between two lines that only say how far it is. A
	// file is read afterwards, when the changes matter and not each second.
	progressEvery = 10 * time.Second
)

const transfersLong = `transfers lists what is on its way from one member to another, and why the rest waits:

  repair      replicas give a vnode what it lacks; 17<-18 are items of
              partition 17 out of the replica in partition 18
  ownership   a partition gets another owner
  hinted      a fallback returns what it took for the owner

The node at --http is asked, and then all other members, since only the two ends of
a transfer know all of it. Of those that do not answer it says so.

With --watch it goes on until nothing is pending. On a terminal the table is drawn
anew each second; elsewhere it is printed when a transfer comes, goes or gets
another state, with a line on the progress in between, and -o json prints a
document for each such change.`

func newTransfers(o *operator) *cobra.Command {
	watch := false
	cmd := &cobra.Command{
		Use: "transfers", Short: "List what moves from member to member, how far it is, and why the rest waits",
		Long:    transfersLong,
		Example: "  node transfers\n  node transfers --watch\n  node transfers -o json | jq '.transfers[] | select(.phase == \"waiting\") | .reason'",
		Args:    takes(0, 0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if watch {
				return o.watchTransfers(cmd.Context())
			}
			pending, err := o.gatherTransfers(cmd.Context())
			if err != nil {
				return err
			}
			return o.show(pending, func(p palette) string { return drawTransfers(pending, time.Now(), p, 0) })
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show them again and again, until there are none")
	return cmd
}

// watchTransfers shows the pending transfers until there are none.
func (o *operator) watchTransfers(ctx context.Context) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	w := watching{operator: o, live: isTerminal(o.out) && o.form == asTable, heard: map[ring.NodeName]bool{}}
	for {
		pending, err := o.gatherTransfers(ctx)
		if err == nil {
			err = w.shows(pending, time.Now())
		}
		if err != nil || w.isOver(pending) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watching is what somebody has been shown who watches.
type watching struct {
	*operator

	live   bool // on a terminal
	first  bool // has been shown
	states []httpapi.PendingTransfer
	at     time.Time              // of the last line
	line   string                 // that said how far it is
	heard  map[ring.NodeName]bool // members that have answered
}

// shows what has changed. Where nobody looks, mere progress is a line now and then.
func (w *watching) shows(g gathered, now time.Time) error {
	states := statesOf(g.Transfers.Transfers)
	changed := !w.first || !reflect.DeepEqual(w.states, states)
	w.first, w.states = true, states
	var err error
	switch line := summary(g); {
	case w.live:
		_, height := terminalSize(w.out)
		_, err = io.WriteString(w.out, frame(drawTransfers(g, now, paletteFor(w.out), height)))
	case changed:
		w.at, w.line = now, line
		err = w.show(g, func(p palette) string { return drawTransfers(g, now, p, 0) })
	case w.form == asTable && line != w.line && now.Sub(w.at) >= progressEvery:
		w.at, w.line = now, line
		_, err = io.WriteString(w.out, line)
	}
	return err
}

// isOver says whether nothing is pending. A member that is alive, has answered before
// and does not now may know of something.
func (w *watching) isOver(g gathered) bool {
	for _, name := range g.answered {
		w.heard[name] = true
	}
	missed := slices.ContainsFunc(g.alive, func(n ring.NodeName) bool { return w.heard[n] })
	return len(g.Transfers.Transfers) == 0 && !missed
}

// statesOf returns transfers without what changes all the time.
func statesOf(transfers []httpapi.PendingTransfer) []httpapi.PendingTransfer {
	states := make([]httpapi.PendingTransfer, len(transfers))
	for i, t := range transfers {
		states[i] = transferKey(t)
		states[i].Phase, states[i].Reason = t.Phase, t.Reason
	}
	return states
}
