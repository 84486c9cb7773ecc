package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/ring"
)

const limitPath = "/api/transfer-limit"

// limiting is the command transfer-limit.
type limiting struct {
	*operator

	out, in int
	rate    byteRate
	node    string
}

const limitLong = `transfer-limit shows how much handoff may take of each member, or changes it: how
many transfers may run at a time from a member (out) and to it (in), and how many
bytes per second it sends.

N sets both out and in. All members get the new limits, or the one that --node
names; what is not given stays as it is. 0 lets no transfer begin. A transfer that
runs goes on; the rate holds at once. Rates are in B, kB, MB, GB, KiB, MiB or GiB.
With auto a member sends as fast as it can while it has no commands to execute, and
about 10 MiB a second while it has many.

The limits are forgotten when a member stops: it begins with those of node start,
--transfer-limit and --transfer-rate.`

func newTransferLimit(o *operator) *cobra.Command {
	l := limiting{operator: o}
	cmd := &cobra.Command{
		Use: "transfer-limit [N]", Short: "Show or change how many transfers run at a time, and how fast",
		Long: limitLong,
		Example: `  node transfer-limit
  node transfer-limit 8
  node transfer-limit --rate 10MB
  node transfer-limit --node b --out 0 --in 2`,
		Args: takes(0, 1, "one number N or none"),
		RunE: l.run,
	}
	f := cmd.Flags()
	f.IntVar(&l.out, "out", 0, "transfers at a time from a member")
	f.IntVar(&l.in, "in", 0, "transfers at a time to a member")
	f.Var(&l.rate, "rate", "bytes per second that a member sends, such as 10MB, or auto")
	f.StringVar(&l.node, "node", "", "the one member to ask or to change (default all)")
	return cmd
}

func (l *limiting) run(cmd *cobra.Command, args []string) error {
	change, err := l.change(cmd, args)
	if err != nil {
		return err
	}
	members, via, err := l.members(cmd.Context())
	if err != nil {
		return err
	}
	limits := make([]memberLimits, len(members))
	errs := l.askEach(cmd.Context(), members, func(ctx context.Context, i int, c *client) error {
		if members[i].Name == via {
			c = l.client() // at the address that is known to work
		}
		limits[i].TransferLimits = &httpapi.TransferLimits{}
		if change == (httpapi.LimitsRequest{}) {
			return c.glance(ctx, limitPath, &limits[i])
		}
		return c.post(ctx, request{path: limitPath}, change, &limits[i])
	})
	for i, m := range members {
		if errs[i] != nil {
			limits[i] = memberLimits{Node: m.Name, Error: errs[i].Error()}
			errs[i] = fmt.Errorf("%s: %w", m.Name, errs[i])
		}
	}
	err = l.show(limits, func(p palette) string { return drawLimits(limits, p) })
	return errors.Join(append(errs, err)...)
}

// change returns what the command line wants changed.
func (l *limiting) change(cmd *cobra.Command, args []string) (change httpapi.LimitsRequest, err error) {
	given := cmd.Flags().Changed
	if len(args) == 1 {
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return change, usagef("%q is no number of transfers", args[0])
		}
		if given("out") || given("in") {
			return change, usagef("%d is for out and in, and --out or --in gives another", n)
		}
		l.out, l.in = n, n
		change.Out, change.In = &l.out, &l.in
	}
	if given("out") {
		change.Out = &l.out
	}
	if given("in") {
		change.In = &l.in
	}
	if given("rate") {
		rate := int64(l.rate)
		change.Rate = &rate
	}
	if l.out < 0 || l.in < 0 {
		return change, usagef("a limit of %d: want 0 or more", min(l.out, l.in))
	}
	return change, nil
}

// members returns whom to ask, and the name of the one at --http.
func (l *limiting) members(ctx context.Context) ([]httpapi.MemberShare, ring.NodeName, error) {
	members, via, err := l.runningMembers(ctx)
	if err != nil || l.node == "" {
		return members, via, err
	}
	named := func(m httpapi.MemberShare) bool { return string(m.Name) == l.node }
	at := slices.IndexFunc(members, named)
	if at < 0 {
		return nil, via, fmt.Errorf("no such member: %q; there are %s", l.node, namesOf(members))
	}
	return members[at : at+1], via, nil
}

func namesOf(members []httpapi.MemberShare) string {
	words := make([]string, len(members))
	for i, m := range members {
		words[i] = string(m.Name)
	}
	return strings.Join(words, ", ")
}

// memberLimits are the limits of a member, or why they are not known.
type memberLimits struct {
	Node ring.NodeName `json:"node"`
	*httpapi.TransferLimits
	Error string `json:"error,omitempty"`
}

func drawLimits(limits []memberLimits, p palette) string {
	t := table{palette: p}
	t.add("Node", "Out", "In", "Rate")
	for _, l := range limits {
		if l.TransferLimits == nil {
			t.add(string(l.Node), "?", "?", "?")
			continue
		}
		rate := auto
		if l.Rate > 0 {
			rate = rateText(float64(l.Rate))
		}
		t.add(string(l.Node), strconv.Itoa(l.Out), strconv.Itoa(l.In), rate)
	}
	return t.String()
}
