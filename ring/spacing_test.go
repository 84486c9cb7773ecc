package ring

import (
	"testing"

	"pgregory.net/rapid"
)

// violationsTwin is the definition: windows with fewer members than partitions.
func violationsTwin(owners []NodeName, n int) (count int) {
	n = min(n, len(owners))
	for p := range owners {
		distinct := map[NodeName]bool{}
		for i := range n {
			distinct[owners[(p+i)%len(owners)]] = true
		}
		if len(distinct) < n {
			count++
		}
	}
	return count
}

func TestViolationsAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRing(t)
		n := rapid.IntRange(1, 8).Draw(t, "n")
		if got, want := r.Violations(n), violationsTwin(r.state.Owners, n); got != want {
			t.Fatalf("%d violations, want %d", got, want)
		}
	})
}

// The proof of "the fewest possible": every ring of up to nine partitions and six
// members, and of ten and four.
func TestLeastViolationsExhaustively(t *testing.T) {
	for q := 1; q <= 10; q++ {
		for members := 1; members <= min(q, 6); members++ {
			if q == 10 && members > 4 {
				continue
			}
			least := everyRing(q, members)
			for n := 1; n <= q; n++ {
				if got := leastViolations(q, members, n); got != least[n] {
					t.Errorf("%d partitions, %d members, N=%d: least %d, but some ring has %d", q, members, n, got, least[n])
				}
			}
		}
	}
}

// everyRing returns the fewest violations for each n over all rings, balanced or
// not. Renaming members changes nothing, so each new one gets the next number.
func everyRing(q, members int) (least []int) {
	least = make([]int, q+1)
	for n := range least {
		least[n] = q
	}
	ring := make(assignment, q)
	var extend func(p, used int)
	extend = func(p, used int) {
		if p == q {
			for n := 1; n <= q; n++ {
				least[n] = min(least[n], violations(ring, n))
			}
			return
		}
		for m := range min(used+1, members) {
			ring[p] = m
			extend(p+1, max(used, m+1))
		}
	}
	extend(0, 0)
	return least
}

func TestLeastViolationsOfNotedRings(t *testing.T) {
	for _, test := range []struct{ q, members, n, least int }{
		{120, 3, 3, 0}, // the default size and the workshop's cluster
		{64, 3, 3, 2},  // riak_core leaves 32 to 42
		{64, 4, 3, 0},
		{64, 5, 5, 4},
		{64, 6, 5, 0},
		{64, 2, 3, 64}, // too few members
		{8, 8, 16, 0},  // windows are clamped to the ring
		{9, 6, 5, 3},   // more members than N, and still not enough
		{60, 14, 13, 8},
		{16, 0, 3, 16},
	} {
		if got := leastViolations(test.q, test.members, test.n); got != test.least {
			t.Errorf("%d partitions, %d members, N=%d: %d, want %d", test.q, test.members, test.n, got, test.least)
		}
	}
}
