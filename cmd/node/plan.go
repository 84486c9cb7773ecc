package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/ring"
)

// planning is the command plan.
type planning struct {
	*operator

	join, leave, down []string
	replace           map[string]string
}

func newPlan(o *operator) *cobra.Command {
	p := planning{operator: o}
	cmd := &cobra.Command{
		Use: "plan", Short: "Show what changes of the membership would move, and how to commit them",
		Long: `plan shows the ring that changes would lead to: who gives which partitions to whom,
the moves beside the fewest possible, and the lists that would repeat a member
beside the fewest possible. Nothing happens until the plan is committed, by the
line that it ends with.

Without --join all members that are joining are planned in; --join= keeps them
out. Without any change, plan looks for a better balance.`,
		Example: `  node plan
  node plan --leave b
  node plan --replace b=d
  node plan --join= --down c -o json`,
		Args: takes(0, 0, "flags alone"),
		RunE: p.run,
	}
	f := cmd.Flags()
	f.StringSliceVar(&p.join, "join", nil, "joining members to take in (default all)")
	f.StringSliceVar(&p.leave, "leave", nil, "members that hand off all they own")
	f.StringSliceVar(&p.down, "down", nil, "members given up for dead, whose partitions are rebuilt from replicas")
	f.StringToStringVar(&p.replace, "replace", nil, "OLD=NEW: OLD leaves, and joining NEW takes exactly its place")
	return cmd
}

func (p *planning) run(cmd *cobra.Command, _ []string) error {
	asked := httpapi.PlanRequest{Leave: nodeNames(p.leave), Down: nodeNames(p.down)}
	if cmd.Flags().Changed("join") {
		asked.Join = nodeNames(p.join)
	}
	if len(p.replace) > 0 {
		asked.Replace = make(map[ring.NodeName]ring.NodeName)
	}
	for old, heir := range p.replace {
		asked.Replace[ring.NodeName(old)] = ring.NodeName(heir)
	}
	var plan httpapi.Plan
	if err := p.client().post(cmd.Context(), request{path: "/api/plan"}, asked, &plan); err != nil {
		return err
	}
	return p.show(plan, func(palette) string { return plan.Text + "\n" + p.next(plan) })
}

// next says what to do with a plan.
func (p *planning) next(plan httpapi.Plan) string {
	if plan.Idle {
		return "Nothing would change, so there is nothing to commit.\n"
	}
	return fmt.Sprintf("Nothing has changed yet. To make it so:\n  node commit %s%s\n", plan.Token, httpOption(p.address))
}

// httpOption is what a command line needs to find a node again.
func httpOption(address string) string {
	if address == defaultHTTP {
		return ""
	}
	return " --http " + address
}

func nodeNames(words []string) []ring.NodeName {
	names := make([]ring.NodeName, len(words))
	for i, word := range words {
		names[i] = ring.NodeName(word)
	}
	return names
}

func newCommit(o *operator) *cobra.Command {
	return &cobra.Command{
		Use: "commit TOKEN | -", Short: "Publish exactly the plan that was shown",
		Long: `commit publishes the plan that TOKEN stands for, on any node of the cluster; for -
it is the plan on standard input, as node plan has printed it. If the ring has
changed since, it refuses, and exits with 1: look at a new plan.

What is committed moves while the cluster serves; see node transfers.`,
		Example: "  node commit Q4T2KDBX@12-3f2a91bc:join=d\n  node plan > plan && cat plan && node commit - < plan",
		Args:    takes(1, 1, "a TOKEN, which plan prints, or -"),
		RunE: func(cmd *cobra.Command, args []string) error {
			token, err := o.readToken(args[0])
			if err != nil {
				return err
			}
			var done httpapi.Plan
			err = o.client().post(cmd.Context(), request{path: "/api/commit"}, httpapi.CommitRequest{Token: token}, &done)
			if err != nil {
				return err
			}
			return o.show(done, func(palette) string { return drawCommitted(done) })
		},
	}
}

// printedToken finds a token in what plan prints, as a table or as JSON.
var printedToken = regexp.MustCompile(`[^\s"]*@\d+-[0-9a-f]{8}:[^\s"]+`)

// readToken returns the token that an argument stands for.
func (o *operator) readToken(arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	plan, err := io.ReadAll(o.in)
	if err != nil {
		return "", fmt.Errorf("read the plan from standard input: %w", err)
	}
	token := printedToken.FindString(string(plan))
	if token == "" {
		return "", errors.New("standard input is no plan with something to commit")
	}
	return token, nil
}

func drawCommitted(p httpapi.Plan) string {
	text := fmt.Sprintf("committed on epoch %d: %s to move", p.Epoch, count(len(p.Transfers), "partition"))
	if len(p.Rebuilt) > 0 {
		text += fmt.Sprintf(", %d with new owners at once", len(p.Rebuilt))
	}
	return text + "\n"
}

// count writes a number of things.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// post sends a JSON value and reads another.
func (c *client) post(ctx context.Context, r request, value, into any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	r.method, r.body, r.contentType = http.MethodPost, bytes.TrimSpace(body), "application/json"
	a, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	return a.decode(into)
}
