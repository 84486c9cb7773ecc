package ring

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// preferenceTwin is the definition: the partitions p, p+1, … mod Q.
func preferenceTwin(r *Ring, p Partition, n int) (list []Target) {
	for i := range min(n, r.Size()) {
		home := Partition((int(p) + i) % r.Size())
		list = append(list, Target{Partition: home, Node: r.Owner(home)})
	}
	return list
}

// reachableTwin fills each place with the best of all reachable nodes: one that
// serves least, and of those the first to be met on the walk.
func reachableTwin(r *Ring, p Partition, n int, up map[NodeName]bool) []Target {
	list := preferenceTwin(r, p, n)
	serves := map[NodeName]int{}
	for _, t := range list {
		if up[t.Node] {
			serves[t.Node]++
		}
	}
	for i, t := range list {
		if up[t.Node] {
			continue
		}
		best := NodeName("")
		for step := range r.Size() {
			node := r.Owner(Partition((int(p) + len(list) + step) % r.Size()))
			if up[node] && (best == "" || serves[node] < serves[best]) {
				best = node
			}
		}
		if best != "" {
			list[i] = Target{Partition: t.Partition, Node: best, Fallback: true}
			serves[best]++
		}
	}
	return list
}

func TestPreferenceListAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRing(t)
		p := Partition(rapid.IntRange(0, r.Size()-1).Draw(t, "partition"))
		n := rapid.IntRange(1, 45).Draw(t, "n")
		if diff := cmp.Diff(preferenceTwin(r, p, n), r.PreferenceList(p, n)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestReachableListAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRing(t)
		up := drawUp(t, r)
		p := Partition(rapid.IntRange(0, r.Size()-1).Draw(t, "partition"))
		n := rapid.IntRange(1, 6).Draw(t, "n")
		got := r.ReachableList(p, n, func(node NodeName) bool { return up[node] })
		want := reachableTwin(r, p, n, up)
		checkReachableList(t, r, up, got)
		if distinctServing(want, up) != distinctServing(got, up) {
			t.Fatalf("%d distinct nodes serve, want %d", distinctServing(got, up), distinctServing(want, up))
		}
		if !repeatsNode(want) && !cmp.Equal(want, got) {
			t.Fatalf("(-want +got):\n%s", cmp.Diff(want, got))
		}
	})
}

// checkReachableList holds the list against the promises one by one.
func checkReachableList(t *rapid.T, r *Ring, up map[NodeName]bool, list []Target) {
	owners := map[NodeName]bool{}
	for _, owner := range r.state.Owners {
		owners[owner] = up[owner]
	}
	reachable := 0
	for _, is := range owners {
		if is {
			reachable++
		}
	}
	if distinctServing(list, up) < min(len(list), reachable) && !primariesRepeat(r, list) {
		t.Fatalf("%d nodes are reachable, but only %d serve: %v", reachable, distinctServing(list, up), list)
	}
	for _, target := range list {
		if !up[target.Node] && reachable > 0 {
			t.Fatalf("%s is unreachable and was not replaced: %v", target.Node, list)
		}
		if target.Fallback == (target.Node == r.Owner(target.Partition)) && !repeatsNode(list) {
			t.Fatalf("%v: a fallback is who does not own the partition", target)
		}
	}
}

// primariesRepeat reports whether the primaries of a list repeat a node already.
func primariesRepeat(r *Ring, list []Target) bool {
	return repeatsNode(r.PreferenceList(list[0].Partition, len(list)))
}

func repeatsNode(list []Target) bool {
	seen := map[NodeName]bool{}
	for _, t := range list {
		if seen[t.Node] {
			return true
		}
		seen[t.Node] = true
	}
	return false
}

func distinctServing(list []Target, up map[NodeName]bool) int {
	seen := map[NodeName]bool{}
	for _, t := range list {
		if up[t.Node] {
			seen[t.Node] = true
		}
	}
	return len(seen)
}

func drawUp(t *rapid.T, r *Ring) map[NodeName]bool {
	up := map[NodeName]bool{}
	for _, m := range r.state.Members {
		up[m.Name] = rapid.Bool().Draw(t, string(m.Name))
	}
	return up
}

// With riak_core's rule, 27 to 36 % of these lists repeat a node.
func TestNoListRepeatsANodeWhileEnoughAreReachable(t *testing.T) {
	r := mustNew(t, 64, 3, 8)
	for _, down := range combinations(lettersOf(8), 3) {
		up := func(node NodeName) bool { return !slices.Contains(down, node) }
		for p := range r.Size() {
			if list := r.ReachableList(Partition(p), 3, up); repeatsNode(list) {
				t.Fatalf("with %v down: %v", down, list)
			}
		}
	}
}

// combinations returns all ways to choose k of the names.
func combinations(names []NodeName, k int) (all [][]NodeName) {
	if k == 0 {
		return [][]NodeName{nil}
	}
	for i := range names {
		for _, rest := range combinations(names[i+1:], k-1) {
			all = append(all, append([]NodeName{names[i]}, rest...))
		}
	}
	return all
}

func TestReachableListInPlace(t *testing.T) {
	r := ringOf(t, "a b c d e f")
	for _, test := range []struct {
		down []NodeName
		want []Target
	}{
		{nil, []Target{{0, "a", false}, {1, "b", false}, {2, "c", false}}},
		{[]NodeName{"b"}, []Target{{0, "a", false}, {1, "d", true}, {2, "c", false}}},
		{[]NodeName{"a", "c", "d"}, []Target{{0, "e", true}, {1, "b", false}, {2, "f", true}}},
		{[]NodeName{"a", "b", "d", "e", "f"}, []Target{{0, "c", true}, {1, "c", true}, {2, "c", false}}},
		{[]NodeName{"a", "c", "e", "f"}, []Target{{0, "d", true}, {1, "b", false}, {2, "b", true}}},
		{lettersOf(6), []Target{{0, "a", false}, {1, "b", false}, {2, "c", false}}},
	} {
		got := r.ReachableList(0, 3, func(node NodeName) bool { return !slices.Contains(test.down, node) })
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("with %v down (-want +got):\n%s", test.down, diff)
		}
	}
}

func TestFallback(t *testing.T) {
	r := ringOf(t, "a b c d e a")
	for _, test := range []struct {
		taken []NodeName
		want  NodeName
		found bool
	}{
		{[]NodeName{"a", "b", "c"}, "d", true},
		{[]NodeName{"a", "b", "c", "d"}, "e", true},
		{[]NodeName{"b", "c", "d", "e"}, "a", true},
		{lettersOf(5), "", false},
	} {
		got, found := r.Fallback(0, 3, func(node NodeName) bool { return slices.Contains(test.taken, node) })
		if got != test.want || found != test.found {
			t.Errorf("with %v taken: %q, %v, want %q", test.taken, got, found, test.want)
		}
	}
}

func TestListsOfNothing(t *testing.T) {
	empty, err := New("demo", 8, 3)
	if err != nil {
		t.Fatal(err)
	}
	everybody := func(NodeName) bool { return true }
	for _, target := range empty.ReachableList(3, 3, everybody) {
		if target.Node != "" || target.Fallback {
			t.Errorf("%v serves in a ring without members", target)
		}
	}
	if node, found := empty.Fallback(3, 3, func(NodeName) bool { return false }); found {
		t.Errorf("%s is a fallback in a ring without members", node)
	}
	r := mustNew(t, 8, 3, 3)
	for _, list := range [][]Target{
		r.PreferenceList(8, 3), r.PreferenceList(0, 0), r.PreferenceList(0, -1), r.ReachableList(8, 3, everybody),
	} {
		if list != nil {
			t.Errorf("%v, want no list", list)
		}
	}
	if _, found := r.Fallback(8, 3, func(NodeName) bool { return false }); found {
		t.Error("a fallback for a partition that does not exist")
	}
}

func TestListsCannotGrowIntoEachOther(t *testing.T) {
	r := mustNew(t, 8, 3, 4)
	list := r.PreferenceList(0, 3)
	_ = append(list, Target{Node: "intruder"})
	if got := r.PreferenceList(3, 1)[0].Node; got == "intruder" {
		t.Error("appending to a list changed the ring")
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	r := mustNew(t, 64, 3, 5)
	key := []byte("some key")
	everybody := func(NodeName) bool { return true }
	allocs := testing.AllocsPerRun(100, func() {
		p := r.Partition(key)
		r.PreferenceList(p, 3)
		r.ReachableList(p, 3, everybody)
		r.Owner(p)
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}
