package bench

import (
	"context"
	"fmt"
	"runtime"

	"github.com/torc-io/torc/ring"
)

const (
	lookupBatch   = 1000 // of lookups: one is as short as reading the clock
	lookupMembers = 5    // so that a list of three with one away has a choice
	claimSize     = 1024
	claimMembers  = 40
)

// ringCases are the pure functions of package ring. There is nothing to compare
// them with.
func ringCases() []Case {
	only := func(open func(keys int) (Op, error)) []Contender {
		return []Contender{{framework, func(_ context.Context, keys int) (System, error) {
			op, err := open(keys)
			return pure(op), err
		}}}
	}
	return []Case{
		{Name: "lookup", Detail: "Q=120 N=3", Clients: 1, Batch: lookupBatch, Contenders: only(lookup)},
		{Name: "reachable", Detail: "Q=120 N=3, 1 of 5 down", Clients: 1, Batch: lookupBatch, Contenders: only(reachable)},
		{Name: "join", Detail: "Q=1024, 39 → 40", Clients: 1, Contenders: only(joinPlan)},
		{Name: "claim", Detail: "Q=1024, 0 → 40", Clients: 1, Contenders: only(firstRing)},
	}
}

// pure is a system without anything to set up.
type pure Op

// Client returns the operation.
func (p pure) Client(int) Op { return Op(p) }

// Close has nothing to end.
func (pure) Close() error { return nil }

// lookup finds the partition of a key and its preference list.
func lookup(keys int) (Op, error) {
	r, err := ring.New("bench", ring.DefaultSize, replicas, members(lookupMembers)...)
	space := newKeyspace(keys)
	next := 0
	return func() error {
		var last ring.NodeName
		for range lookupBatch {
			list := r.PreferenceList(r.Partition(space.keys[next]), replicas)
			last = list[len(list)-1].Node
			next = (next + 1) % len(space.keys)
		}
		runtime.KeepAlive(last)
		return nil
	}, err
}

// reachable does the same while a node cannot be reached, so that three lists
// in five need a fallback.
func reachable(keys int) (Op, error) {
	all := members(lookupMembers)
	r, err := ring.New("bench", ring.DefaultSize, replicas, all...)
	up := func(name ring.NodeName) bool { return name != all[0].Name }
	space := newKeyspace(keys)
	next := 0
	return func() error {
		var last ring.NodeName
		for range lookupBatch {
			list := r.ReachableList(r.Partition(space.keys[next]), replicas, up)
			last = list[len(list)-1].Node
			next = (next + 1) % len(space.keys)
		}
		runtime.KeepAlive(last)
		return nil
	}, err
}

// joinPlan plans the join of one more member to a large ring.
func joinPlan(int) (Op, error) {
	all := members(claimMembers)
	r, err := ring.New("bench", claimSize, replicas, all[:claimMembers-1]...)
	return func() error {
		_, err := r.Plan(ring.Join(all[claimMembers-1]))
		return err
	}, err
}

// firstRing gives a large ring to as many members at once.
func firstRing(int) (Op, error) {
	all := members(claimMembers)
	return func() error {
		_, err := ring.New("bench", claimSize, replicas, all...)
		return err
	}, nil
}

func members(count int) []ring.Member {
	all := make([]ring.Member, count)
	for i := range all {
		all[i] = ring.Member{Name: ring.NodeName(fmt.Sprintf("node-%02d", i)), Address: fmt.Sprintf("10.0.0.%d:7000", i)}
	}
	return all
}
