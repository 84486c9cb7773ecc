package consul

import (
	"context"
	"fmt"
)

// HTTPAddresses returns where the healthy nodes of the cluster answer clients, in
// order of their names. It is what the Resolve of a client.Config wants, and may
// be called by programs that are no nodes. It waits for Consul until ctx ends.
func (s *Store) HTTPAddresses(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	nodes, answered := <-s.Connect().WatchNodes(ctx)
	if !answered {
		return nil, fmt.Errorf("consul: find the nodes of %s: %w", s.config.Cluster, context.Cause(ctx))
	}
	var addresses []string
	for _, n := range nodes {
		if n.Healthy && n.HTTP != "" {
			addresses = append(addresses, n.HTTP)
		}
	}
	return addresses, nil
}
