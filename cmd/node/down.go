package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/torc-io/torc/internal/httpapi"
)

func newDown(o *operator) *cobra.Command {
	force := false
	cmd := &cobra.Command{
		Use: "down NAME", Short: "Give a member up for dead: its partitions get other owners at once",
		Long: `down gives a member up for dead. It cannot hand off any more, so its partitions get
other owners at once, which bring the items back from their replicas, as node
transfers shows; until they have all of them they answer no reads. What was on the
dead member alone is lost. A member that comes back joins anew.

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
