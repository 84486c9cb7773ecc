package handoff_test

import (
	"cmp"
	"slices"
	"testing"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// On each small ring, with each number of replicas: a vnode hears from exactly
// those that share a key with it, and is sent exactly the keys that are its own.
func TestSourcesAndHoldsAgainstPreferenceLists(t *testing.T) {
	names := letters("abcdefghi")
	for size := 1; size <= len(names); size++ {
		r, err := ringOf(names[:size])
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= size+1; n++ {
			for p := range ring.Partition(size) {
				compareSources(t, r, p, n)
			}
		}
	}
}

func compareSources(t *testing.T, r *ring.Ring, p ring.Partition, n int) {
	t.Helper()
	shares := map[handoff.Source]bool{}
	for home := range ring.Partition(r.Size()) {
		list := r.PreferenceList(home, n)
		in := slices.ContainsFunc(list, func(t ring.Target) bool { return t.Partition == p })
		if got := handoff.Holds(p, home, n, r.Size()); got != in {
			t.Errorf("partition %d of %d, N=%d: keys of %d: holds %v, and the preference list says %v", p, r.Size(), n, home, got, in)
		}
		for _, other := range list {
			if in && other.Partition != p {
				shares[handoff.Source{Partition: other.Partition, Node: other.Node}] = true
			}
		}
	}
	sources := handoff.Sources(r, p, n)
	for _, s := range sources {
		if !shares[s] {
			t.Errorf("partition %d of %d, N=%d: %v is a source, or is one twice", p, r.Size(), n, s)
		}
		delete(shares, s)
	}
	if len(shares) > 0 {
		t.Errorf("partition %d of %d, N=%d: %v are no sources of it", p, r.Size(), n, shares)
	}
}

// Nobody can be asked for a partition that nobody owns, as when all are leaving.
func TestSourcesWithoutOwner(t *testing.T) {
	r, err := ring.FromState(ring.State{
		ClusterID: "test", Epoch: 1, Hash: ring.HashName, TargetN: 1, Owners: []ring.NodeName{"a", "", "b", ""},
		Members: []ring.Member{{Name: "a", Status: ring.Leaving}, {Name: "b", Status: ring.Leaving}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := handoff.Sources(r, 0, 4)
	slices.SortFunc(got, func(a, b handoff.Source) int { return cmp.Compare(a.Partition, b.Partition) })
	if want := []handoff.Source{{Partition: 2, Node: "b"}}; !slices.Equal(got, want) {
		t.Errorf("sources are %v, want %v", got, want)
	}
}
