package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/ring"
)

func newMembers(o *operator) *cobra.Command {
	return &cobra.Command{
		Use: "members", Short: "List the members: status, share of the ring now and when all transfers are done",
		Long: `members lists the members of the cluster.

Status, Ring and Pending are facts of the ring, alike on every node: how far a
member is in or out, its share now, and its share once all pending transfers are
done. Seen is what the asked node thinks of it right now, by heartbeats.`,
		Example: "  node members\n  node members -o json --http 127.0.0.1:4001",
		Args:    takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var m httpapi.Members
			if err := o.client().get(cmd.Context(), "/api/members", nil, &m); err != nil {
				return err
			}
			return o.show(m, func(p palette) string { return drawMembers(m, p) })
		},
	}
}

// drawMembers draws the table that riak-admin member-status has, with how the
// members fare beside it.
func drawMembers(m httpapi.Members, p palette) string {
	t := table{palette: p}
	t.add("Status", "Ring", "Pending", "Node", "Seen", "Address", "HTTP", "Zone")
	count := make(map[ring.Status]int)
	for _, member := range m.Members {
		count[member.Status]++
		t.add(member.Status.String(), percent(member.Share), percent(member.NextShare), string(member.Name),
			member.Liveness, member.Address, member.HTTP, member.Zone)
	}
	return fmt.Sprintf("===== Membership =====\n%sValid:%d / Leaving:%d / Exiting:%d / Joining:%d / Down:%d\n", t.String(),
		count[ring.Valid], count[ring.Leaving], count[ring.Exiting], count[ring.Joining], count[ring.Down])
}

func percent(share float64) string { return fmt.Sprintf("%.1f%%", 100*share) }

func newRing(o *operator) *cobra.Command {
	return &cobra.Command{
		Use: "ring", Short: "Draw the ring: who owns which partition, and what is moving",
		Example: "  node ring\n  node ring -o json | jq .owners",
		Args:    takes(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var answer httpapi.Ring
			if err := o.client().get(cmd.Context(), "/api/ring", nil, &answer); err != nil {
				return err
			}
			r, err := answer.Ring()
			if err != nil {
				return fmt.Errorf("the node at %s answered a ring that cannot be: %w", o.address, err)
			}
			return o.show(answer, func(p palette) string { return drawRing(r, p) })
		},
	}
}

func newWhere(o *operator) *cobra.Command {
	var k keyFlag
	var q quorumFlags
	cmd := &cobra.Command{
		Use: "where KEY", Short: "Tell which members serve a key",
		Long: `where tells the preference list of a key: the partitions that hold its replicas,
who owns them, and who serves them now if the owner cannot be reached.`,
		Example: "  node where my_key\n  node where --hex 00ff --n 5",
		Args:    takes(1, 1, "a KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := k.parse(args[0])
			if err != nil {
				return err
			}
			var w httpapi.Where
			if err := o.client().get(cmd.Context(), keyPath("/api/where/", key), q.values, &w); err != nil {
				return err
			}
			return o.show(w, func(p palette) string { return drawWhere(w, p) })
		},
	}
	k.flags(cmd.Flags())
	q.flags(cmd.Flags(), "n")
	return cmd
}

func drawWhere(w httpapi.Where, p palette) string {
	var text strings.Builder
	fmt.Fprintf(&text, "%v hashes to %s: partition %d of %d\n", w.Key, w.Hash, w.Partition, w.Size)
	t := table{palette: p}
	t.add("Partition", "Owner", "Seen by "+string(w.Via), "Served by")
	for _, at := range w.List {
		seen, by := "alive", string(at.Node)
		if !at.Reachable {
			seen = "unreachable"
		}
		if at.Fallback {
			by += " (fallback)"
		}
		t.add(fmt.Sprint(at.Partition), string(at.Owner), seen, by)
	}
	return text.String() + t.String()
}

func newPing(o *operator) *cobra.Command {
	var q quorumFlags
	cmd := &cobra.Command{
		Use: "ping [KEY]", Short: "Ask the vnode of a key, or any, to answer",
		Long:    "ping goes to the vnode that the key hashes to. Without a key, to a different one each time.",
		Example: "  node ping\n  node ping my_key",
		Args:    takes(0, 1, "one KEY or none"),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := q.values
			if len(args) == 1 {
				query.Set("key", args[0])
			}
			var pong httpapi.Pong
			if err := o.client().get(cmd.Context(), "/api/ping", query, &pong); err != nil {
				return err
			}
			return o.show(pong, func(palette) string {
				return fmt.Sprintf("pong from partition %d on %s, asked through %s\n", pong.Partition, pong.Node, pong.Via)
			})
		},
	}
	q.flags(cmd.Flags(), "timeout")
	return cmd
}
