package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/kv"
	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/membership/local"
)

// clusterSize is the members of a cluster of processes: this one, where the
// clients are, and others. Each key has a replica in each of them.
const clusterSize = 3

// torcCluster is torc's, with its store of members.
type torcCluster struct {
	*kvSystem

	registry *registry
	others   []*process
}

// memberName is the name of a member.
func memberName(i int) string { return fmt.Sprintf("member-%d", i) }

// openCluster starts a cluster of processes, over a transport, for an operation.
func openCluster(over torc.Transport, op func(*kvSystem, context.Context, []byte) error) func(context.Context, int) (System, error) {
	return func(ctx context.Context, keys int) (System, error) {
		c := new(torcCluster)
		if err := c.start(ctx, keys, over, op); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return c, nil
	}
}

func (c *torcCluster) start(ctx context.Context, keys int, over torc.Transport, op func(*kvSystem, context.Context, []byte) error) (err error) {
	store := local.NewStore()
	if c.registry, err = openRegistry(ctx, store); err != nil {
		return err
	}
	// They wait for each other: the others say that they are ready when this one is.
	ready := make(chan error, 1)
	go func() {
		var err error
		c.others, err = startProcesses(ctx, func(i int) []string { return []string{"torc", strconv.Itoa(i), c.registry.address(), string(over)} })
		ready <- err
	}()
	service := clusterService()
	node, err := torc.Start(ctx, clusterConfig(0, store.Connect(), over), service)
	if err := errors.Join(err, <-ready); err != nil {
		if node != nil {
			err = errors.Join(err, shutDown(node))
		}
		return err
	}
	c.kvSystem = &kvSystem{solo: newSolo(ctx, node, keys), kv: service.On(node), op: op}
	return c.fillAll(ctx, replicas)
}

// clusterConfig is that of one member. Nobody moves anything while it is measured.
func clusterConfig(i int, m membership.Membership, over torc.Transport) torc.Config {
	return torc.Config{
		Name: memberName(i), Membership: m, Transport: over, Bootstrap: clusterSize, Rebalance: torc.RebalanceManual, EvictAfter: -1,
	}
}

// memberOfTorc is the role of the other members.
func memberOfTorc(ctx context.Context, args []string, ready func(string)) error {
	number, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	node, err := torc.Start(ctx, clusterConfig(number, &member{args[0], args[1]}, torc.Transport(args[2])), clusterService())
	if err != nil {
		return err
	}
	ready(node.Address())
	<-ctx.Done()
	return shutDown(node)
}

func clusterService() *kv.Service { return kv.New(torc.Quorum{N: replicas, R: need, W: need}) }

func (c *torcCluster) cpu() time.Duration { return cpuOfProcesses(c.others) }

// Close ends the others first: a member that notices that it is left alone would
// have something to do.
func (c *torcCluster) Close() (err error) {
	err = closeProcesses(c.others)
	if c.kvSystem != nil {
		err = errors.Join(err, c.kvSystem.Close())
	}
	if c.registry != nil {
		err = errors.Join(err, c.registry.close())
	}
	return err
}
