package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/ring"
)

const (
	// leaveEvery is the pause between two looks at how far a leave is.
	leaveEvery = 200 * time.Millisecond
	// leaveSilence is how long nobody may be able to tell how far it is.
	leaveSilence = 10 * time.Second
)

// departure is the command leave.
type departure struct {
	*operator

	node  ring.NodeName
	total int // partitions when it began
	ask   []*client
	stall stall
}

const leaveLong = `leave asks the node at --http to leave, and waits until it is out: it has given its
partitions to others, and what it kept for others back to them. The node then stops
by itself. If you stop waiting, the leave goes on.

A terminal shows how far it is. When nothing has moved for some seconds, leave says
what the node waits for, on standard error.

Where the cluster rebalances manually, leave refuses: use node plan --leave NAME.`

func newLeave(o *operator) *cobra.Command {
	d := departure{operator: o}
	return &cobra.Command{
		Use: "leave", Short: "Make a node hand off all it holds, leave the cluster, and stop",
		Long:    leaveLong,
		Example: "  node leave --http 127.0.0.1:4001",
		Args:    takes(0, 0, "no arguments: the node that leaves is the one at --http"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context()) },
	}
}

// run asks the node to leave, and follows it.
func (d *departure) run(ctx context.Context) error {
	var members httpapi.Members
	if err := d.client().get(ctx, "/api/members", nil, &members); err != nil {
		return err
	}
	var begun httpapi.Leaving
	if err := d.client().post(ctx, request{path: "/api/leave"}, struct{}{}, &begun); err != nil {
		return err
	}
	d.node, d.total = begun.Node, begun.Partitions
	d.ask = []*client{d.client()} // and the others, since it stops when it is done
	for _, m := range members.Members {
		if m.Name != d.node && m.HTTP != "" {
			d.ask = append(d.ask, d.clientOf(m.HTTP))
		}
	}
	if err := d.follow(ctx); err != nil {
		return err
	}
	return d.show(begun, func(palette) string {
		return fmt.Sprintf("%s has left: it handed off %s\n", d.node, count(d.total, "partition"))
	})
}

// follow waits until the node is out, and shows how far it is.
func (d *departure) follow(ctx context.Context) error {
	tick := time.NewTicker(leaveEvery)
	defer tick.Stop()
	bar := bar{d.out, isTerminal(d.out) && d.form == asTable, paletteFor(d.out)}
	defer bar.end()
	heard := time.Now()
	d.stall.since = heard
	for {
		left, gone, err := d.look(ctx)
		switch {
		case err == nil && gone:
			bar.draw(d.total, d.total, "")
			return nil
		case err == nil:
			heard = time.Now()
			d.tell(left, d.sending(ctx), bar)
		case time.Since(heard) > leaveSilence:
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s goes on leaving: %w", d.node, context.Cause(ctx))
		}
	}
}

// tell shows how far the node is, and what it waits for if nothing moves.
func (d *departure) tell(left int, sending []httpapi.PendingTransfer, bar bar) {
	if reasons := d.stall.look(left, sending, time.Now()); reasons != "" {
		bar.clear()
		_, _ = fmt.Fprintf(d.err, "%s waits: %s\n", d.node, reasons)
	}
	run := slices.DeleteFunc(slices.Clone(sending), func(t httpapi.PendingTransfer) bool { return !isRunning(t) })
	bar.draw(d.total-left, d.total, strings.Join(progressOf(run), ", "))
}

// sending returns what the node knows of the transfers that it sends; nothing if it
// does not answer.
func (d *departure) sending(ctx context.Context) []httpapi.PendingTransfer {
	ctx, cancel := context.WithTimeout(ctx, askOther)
	defer cancel()
	var pending httpapi.Transfers
	if d.client().glance(ctx, "/api/transfers", &pending) != nil {
		return nil
	}
	return slices.DeleteFunc(pending.Transfers, func(t httpapi.PendingTransfer) bool { return t.From != d.node })
}

// look asks the first node that answers how many partitions are left, and
// whether the leaving one is out.
func (d *departure) look(ctx context.Context) (left int, gone bool, err error) {
	for _, c := range d.ask {
		ctx, cancel := context.WithTimeout(ctx, askOther)
		var members httpapi.Members
		failed := c.glance(ctx, "/api/members", &members)
		cancel()
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		for _, m := range members.Members {
			if m.Name == d.node {
				return m.Partitions, m.Status == ring.Exiting, nil
			}
		}
		return 0, true, nil
	}
	return 0, false, err
}

// stall notices that a leave does not get on.
type stall struct {
	left  int
	bytes int64     // that went over, of all transfers
	since time.Time // when one of them changed
	said  string
}

// stallAfter is how long nothing may move until the reasons are of interest. Less
// than that passes between any two transfers.
const stallAfter = 3 * time.Second

// look returns what is waited for, if nothing has moved for a while and that has
// not been said.
func (s *stall) look(left int, sending []httpapi.PendingTransfer, now time.Time) string {
	var bytes int64
	for _, t := range sending {
		bytes += t.Bytes
	}
	if left != s.left || bytes != s.bytes {
		*s = stall{left, bytes, now, s.said}
	}
	reasons := reasonsOf(sending)
	if now.Sub(s.since) < stallAfter || reasons == s.said {
		return ""
	}
	s.said = reasons
	return reasons
}

// reasonsOf counts the reasons why transfers wait, those of most transfers first.
func reasonsOf(transfers []httpapi.PendingTransfer) string {
	counts := make(map[string]int)
	for _, t := range transfers {
		if !isRunning(t) && t.Reason != "" {
			counts[t.Reason]++
		}
	}
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
	for i, reason := range reasons {
		reasons[i] = fmt.Sprintf("%s: %s", count(counts[reason], "transfer"), reason)
	}
	return strings.Join(reasons, "; ")
}

// bar shows progress on a terminal, and nothing elsewhere.
type bar struct {
	w       io.Writer
	live    bool
	palette palette
}

func (b bar) draw(done, total int, more string) {
	if !b.live {
		return
	}
	if more != "" {
		more = ", " + more
	}
	_, _ = fmt.Fprintf(b.w, "%s%s%s %d of %s handed off%s%s", clearLine, noWrap,
		b.palette.paint(green, barText(barWidth, int64(done), int64(total))), done, count(total, "partition"), more, wrap)
}

// clear makes room for a line of something else.
func (b bar) clear() {
	if b.live {
		_, _ = io.WriteString(b.w, clearLine)
	}
}

func (b bar) end() {
	if b.live {
		_, _ = io.WriteString(b.w, "\n")
	}
}
