package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/kv"
	"github.com/torc-io/torc/membership/local"
	"github.com/torc-io/torc/ring"
)

const (
	// pairWithin bounds all waits for the two nodes: ten times what the slowest
	// transfer has taken on a small machine.
	pairWithin = time.Minute
	// lookEvery is how exactly the end of a transfer is seen.
	lookEvery = time.Millisecond
)

// pair is a node that holds all replicas of all keys, and one that has joined
// and owns nothing yet, in one process and over the real transport.
type pair struct {
	*keyspace
	registry *prometheus.Registry // of the first node
	kv       *kv.Client           // through the first node
	nodes    []*torc.Node
}

func openPair(ctx context.Context, config *HandoffConfig, size handoffSize) (*pair, error) {
	p := &pair{keyspace: newKeyspace(config.Keys), registry: prometheus.NewRegistry()}
	p.value = bytes.Repeat([]byte("v"), size.bytes)
	store := local.NewStore()
	service := kv.New(torc.Quorum{N: replicas, R: need, W: need})
	start := func(name string, metrics prometheus.Registerer) error {
		limits := torc.TransferLimits{Out: config.Transfers, In: config.Transfers}
		node, err := torc.Start(ctx, torc.Config{
			Name: name, Membership: store.Connect(), Rebalance: torc.RebalanceManual, Transfers: limits, Metrics: metrics,
		}, service)
		if err != nil {
			return err
		}
		p.nodes = append(p.nodes, node)
		limits = node.TransferLimits()
		limits.Rate = config.Rate
		return node.SetTransferLimits(limits)
	}
	err := start("first", p.registry)
	if err == nil {
		p.kv = service.On(p.nodes[0])
		err = p.fillAll(ctx)
	}
	if err == nil {
		err = start("second", nil)
	}
	if err == nil {
		err = p.meet(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// fillAll stores every key on all replicas.
func (p *pair) fillAll(ctx context.Context) error {
	return p.fillParallel(ctx, func(key, value []byte) error {
		_, err := p.kv.Store(ctx, key, kv.Value{Bytes: value}, torc.W(replicas))
		return err
	})
}

// meet returns when the first node has heard of the second: that a member has
// started is news to the others, and comes to them in its own time.
func (p *pair) meet(ctx context.Context) error {
	first, second := p.nodes[0], p.nodes[1].Name()
	return p.until(ctx, func() bool { _, known := first.Ring().Member(second); return known },
		func() string { return fmt.Sprintf("%s has not heard of %s", first.Name(), second) })
}

// join gives the second node its share, and returns when it has it. What is
// measured begins with the commit: a plan of an operator does not wait for the
// cluster to settle.
func (p *pair) join(ctx context.Context) error {
	first := p.nodes[0]
	member, _ := first.Ring().Member(p.nodes[1].Name())
	plan, err := first.Plan(ring.Join(member))
	if err != nil {
		return err
	}
	if err := first.Commit(ctx, plan); err != nil {
		return err
	}
	return p.until(ctx, func() bool { return len(first.Ring().Transfers()) == 0 },
		func() string { return fmt.Sprintf("still to move: %v", first.Transfers()) })
}

// until looks every lookEvery, and returns when done says so. What is missing
// becomes the error when that takes longer than pairWithin.
func (p *pair) until(ctx context.Context, done func() bool, missing func() string) error {
	ctx, cancel := context.WithTimeout(ctx, pairWithin)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for !done() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", context.Cause(ctx), missing())
		}
	}
	return nil
}

// sent returns what the first node has sent.
func (p *pair) sent() (items, size float64, err error) {
	families, err := p.registry.Gather()
	if err != nil {
		return 0, 0, err
	}
	for _, f := range families {
		switch f.GetName() {
		case "torc_handoff_sent_items_total":
			items = f.GetMetric()[0].GetCounter().GetValue()
		case "torc_handoff_sent_bytes_total":
			size = f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	if items == 0 {
		return 0, 0, errors.New("nothing was moved")
	}
	return items, size, nil
}

// close shuts both nodes down.
func (p *pair) close() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	for _, node := range p.nodes {
		err = errors.Join(err, node.Shutdown(ctx))
	}
	return err
}
