package coordinator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/ring"
)

// ringOf returns a ring whose partitions 0, 1, … are owned by the given nodes.
func ringOf(t testing.TB, owners ...ring.NodeName) *ring.Ring {
	t.Helper()
	names := slices.Clone(owners)
	slices.Sort(names)
	state := ring.State{ClusterID: "test", Epoch: 1, Hash: ring.HashName, TargetN: 1, Owners: owners}
	for _, name := range slices.Compact(names) {
		state.Members = append(state.Members, ring.Member{Name: name, Status: ring.Valid})
	}
	r, err := ring.FromState(state)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// letters returns one node for each letter: "abc" is a, b, c.
func letters(s string) (names []ring.NodeName) {
	for _, c := range s {
		names = append(names, ring.NodeName(c))
	}
	return names
}

// target writes a target as partition@node, with a star for a fallback.
func target(t ring.Target) string {
	star := ""
	if t.Fallback {
		star = "*"
	}
	return fmt.Sprintf("%d@%s%s", t.Partition, t.Node, star)
}

// targets writes sends one after the other.
func targets(sends []coordinator.Send) string {
	var words []string
	for _, s := range sends {
		words = append(words, target(s.Target))
	}
	return strings.Join(words, " ")
}

// begin makes a request and starts it.
func begin(t testing.TB, cfg coordinator.Config) (*coordinator.Request, coordinator.Step) {
	t.Helper()
	r := new(coordinator.Request)
	if err := r.Init(cfg); err != nil {
		t.Fatal(err)
	}
	return r, r.Start()
}
