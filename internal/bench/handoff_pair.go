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

// join gives the second node its share, and returns when it has it. What is
// measured begins with the commit: a plan of an operator does not wait for the
// cluster to settle.
func (p *pair) join(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pairWithin)
	defer cancel()
	first, second := p.nodes[0], p.nodes[1]
	member, known := first.Ring().Member(second.Name())
	if !known {
		return fmt.Errorf("%s has not heard of %s", first.Name(), second.Name())
	}
	plan, err := first.Plan(ring.Join(member))
	if err != nil {
		return err
	}
	if err := first.Commit(ctx, plan); err != nil {
		return err
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for len(first.Ring().Transfers()) > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%w: still to move: %v", context.Cause(ctx), first.Transfers())
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
