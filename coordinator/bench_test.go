package coordinator_test

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/ring"
)

// benchRing is a ring as large as the default, of ten nodes with names of a
// usual length.
func benchRing(t testing.TB) *ring.Ring {
	owners := make([]ring.NodeName, ring.DefaultSize)
	for i := range owners {
		owners[i] = ring.NodeName("torc-node-" + strconv.Itoa(i%10))
	}
	return ringOf(t, owners...)
}

// converse is the common path: everybody is reachable, and everybody answers.
func converse(t testing.TB, r *coordinator.Request, cfg *coordinator.Config) {
	if err := r.Init(*cfg); err != nil {
		t.Fatal(err)
	}
	closed := 0
	for _, s := range r.Start().Sends {
		if _, counted, step := r.Reply(s.Target, coordinator.Acked); counted && step.Closed {
			closed++
		}
	}
	if closed != 1 || len(r.Repairs(same)) != 0 {
		t.Fatal(r)
	}
}

func same(int) bool { return true }

// stagger is the same with one node that refuses.
func stagger(t testing.TB, r *coordinator.Request, cfg *coordinator.Config) {
	if err := r.Init(*cfg); err != nil {
		t.Fatal(err)
	}
	sends := r.Start().Sends
	_, _, step := r.Reply(sends[0].Target, coordinator.Refused)
	for _, s := range sends[1:] {
		r.Reply(s.Target, coordinator.Acked)
	}
	if _, _, step = r.Reply(step.Sends[0].Target, coordinator.Acked); !step.Closed {
		t.Fatal(r)
	}
}

// configs are the dialogues that are measured, by name.
func configs(t testing.TB) map[string]coordinator.Config {
	table := benchRing(t)
	up := map[ring.NodeName]bool{}
	for p := range ring.Partition(10) {
		up[table.Owner(p)] = true
	}
	read := coordinator.Config{Ring: table, Partition: 17, Quorum: coordinator.Quorum{N: 3, Need: 2}}
	withMap, strict, one, all := read, read, read, read
	withMap.Reachable = func(n ring.NodeName) bool { return up[n] }
	strict.Quorum = coordinator.Quorum{N: 3, Need: 2, Primaries: 2, Nodes: 2}
	one.Quorum = coordinator.Quorum{N: 1, Need: 1}
	all.Quorum = coordinator.Quorum{N: ring.MaxN, Need: ring.MaxN}
	return map[string]coordinator.Config{
		"n=3": read, "n=3 reachable by map": withMap, "n=3 pr=2 nodes=2": strict, "n=1": one, "n=16": all,
	}
}

// The common path allocates nothing beyond the request.
func TestDialogueDoesNotAllocate(t *testing.T) {
	r := new(coordinator.Request)
	for name, cfg := range configs(t) {
		if allocs := testing.AllocsPerRun(100, func() { converse(t, r, &cfg) }); allocs != 0 {
			t.Errorf("%s: %v allocations a request", name, allocs)
		}
	}
}

// BenchmarkDialogue measures whole requests: Init, Start, a reply for each
// position, and Repairs.
func BenchmarkDialogue(b *testing.B) {
	all := configs(b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		cfg := all[name]
		b.Run(name, func(b *testing.B) {
			r := new(coordinator.Request)
			b.ReportAllocs()
			for b.Loop() {
				converse(b, r, &cfg)
			}
		})
	}
}

// BenchmarkRefusal measures a request that goes to one fallback.
func BenchmarkRefusal(b *testing.B) {
	cfg := configs(b)["n=3"]
	r := new(coordinator.Request)
	b.ReportAllocs()
	for b.Loop() {
		stagger(b, r, &cfg)
	}
}
