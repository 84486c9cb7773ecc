package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/membership/consul"
	"github.com/torc-io/torc/membership/local"
	"github.com/torc-io/torc/ping"
	pingpb "github.com/torc-io/torc/proto/torc/ping/v1"
)

// store opens the membership that the flags name: Consul's, or one within this
// process.
func (c *starting) store(test *selfTest, config torc.Config) (membership.Membership, error) {
	if c.consul == "" {
		return local.NewStore().Connect(), nil
	}
	store, err := consul.Open(consul.Config{
		Cluster: c.cluster, Agent: c.consul, SelfTest: test.run,
		RingSize: c.ringSize, Version: readBuild().Version, Logger: config.Logger,
	})
	if err != nil {
		return nil, usagef("--consul %s, --cluster %s: %w", c.consul, c.cluster, err)
	}
	return store.Connect(), nil
}

// selfTest is how a member proves to its membership store that it works: by a
// command through its own coordinator, proxy and vnode, with no other member.
type selfTest struct {
	node atomic.Pointer[torc.Node]
	ping *ping.Service
}

// errNotStarted is the outcome until the member has a ring.
var errNotStarted = errors.New("the member is starting")

// run pings a partition of the node's own, another one each time. A member that
// owns none yet has nothing to ping.
func (t *selfTest) run(ctx context.Context) error {
	node := t.node.Load()
	if node == nil {
		return errNotStarted
	}
	own := slices.Collect(node.Ring().Owned(node.Name()))
	if len(own) == 0 {
		return nil
	}
	p := own[rand.IntN(len(own))]
	pong, err := t.ping.Ping.At(ctx, node, p, &pingpb.Ping{Key: []byte("self test")})
	if err == nil && pong.GetNode() != string(node.Name()) {
		err = fmt.Errorf("%s answered in its place", pong.GetNode())
	}
	if err != nil {
		return fmt.Errorf("ping of partition %d: %w", p, err)
	}
	return nil
}
