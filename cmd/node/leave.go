package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
}

func newLeave(o *operator) *cobra.Command {
	d := departure{operator: o}
	return &cobra.Command{
		Use: "leave", Short: "Make a node hand off all it owns, leave the cluster, and stop",
		Long: `leave asks the node at --http to leave, and waits until it owns nothing any more.
The node then stops by itself. If you stop waiting, the leave goes on.

Where the cluster rebalances manually, leave refuses: use node plan --leave NAME.`,
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

// follow waits until the node owns nothing, and shows how far it is.
func (d *departure) follow(ctx context.Context) error {
	tick := time.NewTicker(leaveEvery)
	defer tick.Stop()
	bar := bar{d.out, isTerminal(d.out) && d.form == asTable}
	defer bar.end()
	heard := time.Now()
	for {
		left, gone, err := d.look(ctx)
		switch {
		case err == nil && gone:
			bar.draw(d.total, d.total)
			return nil
		case err == nil:
			heard = time.Now()
			bar.draw(d.total-left, d.total)
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

// bar shows progress on a terminal, and nothing elsewhere.
type bar struct {
	w    io.Writer
	live bool
}

// barWidth leaves room for the numbers on a line of 80.
const barWidth = 40

func (b bar) draw(done, total int) {
	if !b.live {
		return
	}
	filled := barWidth
	if total > 0 {
		filled = barWidth * done / total
	}
	_, _ = fmt.Fprintf(b.w, "\r[%s%s] %d of %s handed off",
		strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), done, count(total, "partition"))
}

func (b bar) end() {
	if b.live {
		_, _ = io.WriteString(b.w, "\n")
	}
}

func newDown(o *operator) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use: "down NAME", Short: "Give a member up for dead: its partitions get other owners at once",
		Long: `down gives a member up for dead. It cannot hand off any more, so its partitions get
other owners at once, and are rebuilt from their replicas. A member that comes
back joins anew.

One that the asked node can still reach is refused: let it leave instead.`,
		Example: "  node down c\n  node down c --force",
		Args:    takes(1, 1, "the NAME of a member"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r := request{path: keyPath("/api/down/", []byte(args[0]))}
			if force {
				r.query = url.Values{"force": {"1"}}
			}
			var done httpapi.Plan
			if err := o.client().post(cmd.Context(), r, struct{}{}, &done); err != nil {
				return explainDown(err)
			}
			return o.show(done, func(palette) string {
				return fmt.Sprintf("%s is down, and %s with new owners are rebuilt from replicas\n", args[0], count(len(done.Rebuilt), "partition"))
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "even if it can be reached")
	return cmd
}

// explainDown names the flag that overrules a refusal.
func explainDown(err error) error {
	var refused *problemError
	if errors.As(err, &refused) && refused.Status == http.StatusConflict && strings.Contains(refused.Detail, "can be reached") {
		return fmt.Errorf("%w (--force)", err)
	}
	return err
}
