package consul_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/membership/consul"
)

// TestClientsFindHealthyNodes: by the addresses where those answer clients.
func TestClientsFindHealthyNodes(t *testing.T) {
	c := newCluster(t, quick)
	a, silent := c.Connect(), c.Connect()
	for _, n := range []membership.Node{node("a", "127.0.0.1:1", 1), node("b", "127.0.0.1:2", 1)} {
		n.HTTP = map[string]string{"a": "127.0.0.1:4000"}[n.Name]
		register(t, map[string]membership.Membership{"a": a, "b": silent}[n.Name], n)
	}
	await(t, "a to be healthy", a.WatchNodes(t.Context()), func(nodes []membership.Node) bool {
		return len(nodes) == 2 && nodes[0].Healthy && nodes[1].Healthy
	})
	if got, err := c.open().HTTPAddresses(t.Context()); err != nil || !slices.Equal(got, []string{"127.0.0.1:4000"}) {
		t.Errorf("found %q, %v", got, err)
	}
}

func TestClientsWaitForConsulAsLongAsTheyLike(t *testing.T) {
	store, err := consul.Open(consul.Config{Cluster: "nowhere", Agent: "127.0.0.1:1"})
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got, err := store.HTTPAddresses(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("found %q, %v", got, err)
	}
}
