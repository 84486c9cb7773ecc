package ring

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// anyBoard draws a board on which everybody owns something somewhere, and the
// start it remembers.
func anyBoard(t *rapid.T) (b board, start assignment, window int) {
	members := rapid.IntRange(1, 20).Draw(t, "members")
	start = anyAssignment(t, members)
	window = feasibleWindow(len(start), members, rapid.IntRange(1, MaxN).Draw(t, "n"))
	b = newBoard(start, members, window)
	for p := range start {
		b.give(p, rapid.IntRange(0, members-1).Draw(t, "owner"))
	}
	return b, start, window
}

// However a board came about, its tables are those of a board set up afresh.
func TestBoardKeepsItsTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, start, window := anyBoard(t)
		fresh := newBoard(start, b.members, window)
		for p := range slices.Backward(start) { // in another order
			fresh.give(p, b.owner[p])
		}
		if !slices.Equal(b.tension, fresh.tension) || !slices.Equal(b.have, fresh.have) {
			t.Fatal("the tables depend on the order of changes")
		}
	})
}

// The tension tells exactly whether a partition's member is repeated in a window.
func TestBoardClashesAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b, _, window := anyBoard(t)
		q := len(b.owner)
		for p, m := range b.owner {
			repeated := false
			for d := 1; d < window; d++ {
				repeated = repeated || b.owner[(p+d)%q] == m || b.owner[(p+q-d)%q] == m
			}
			if b.clashes(p) != repeated {
				t.Fatalf("partition %d: clashes %v, want %v", p, b.clashes(p), repeated)
			}
		}
	})
}

// totalTension adds up the tension of the whole ring.
func totalTension(b board) (sum int) {
	for p, m := range b.owner {
		sum += b.at(p, m)
	}
	return sum
}

// A swap's cost is half of how the total changes: the total counts both ends of
// each pair of partitions. Home counts once, so it is left out here.
func TestSwapCostAgainstTotal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.IntRange(1, 6).Draw(t, "members")
		owners := rapid.SliceOfN(rapid.IntRange(0, members-1), 2, 40).Draw(t, "owners")
		window := feasibleWindow(len(owners), members, rapid.IntRange(1, 6).Draw(t, "n"))
		b := newBoard(slices.Repeat(assignment{nobody}, len(owners)), members, window)
		for p, m := range owners {
			b.give(p, m)
		}
		p := rapid.IntRange(0, len(owners)-1).Draw(t, "p")
		x := rapid.IntRange(0, len(owners)-1).Draw(t, "x")
		if owners[p] == owners[x] {
			t.Skip("nothing to swap")
		}
		cost, before := b.swapCost(p, x), totalTension(b)
		b.give(p, owners[x])
		b.give(x, owners[p])
		if change := totalTension(b) - before; change != 2*cost {
			t.Fatalf("swapping %d and %d costs %d, but the total changes by %d", p, x, cost, change)
		}
	})
}

func TestHomeAndLikenessNeverOutweighAClash(t *testing.T) {
	most := home
	for _, pull := range pulls(4*MaxN, MaxN, MaxN)[MaxN:] {
		most -= 2 * int(pull)
	}
	if most >= clash {
		t.Errorf("up to %d is taken off, which hides a clash of %d", most, clash)
	}
}

func TestFillBalancesWithTheFewestMoves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.IntRange(1, 9).Draw(t, "members")
		c := claimProblem{start: anyAssignment(t, members), members: members}
		c.window = feasibleWindow(len(c.start), members, 3)
		r := newRepair(c, rapid.Uint64().Draw(t, "seed")).fill()
		if !slices.Equal(slices.Sorted(slices.Values(r.have)), slices.Sorted(slices.Values(quotas(c.start.counts(members), len(c.start))))) {
			t.Fatalf("members have %v", r.have)
		}
		if got, want := r.moves(), lowerBound(c.start, members); got != want {
			t.Fatalf("%d moves, want %d", got, want)
		}
	})
}

func TestDiceAreFrozen(t *testing.T) {
	d := dice(1)
	var rolls []int
	for range 8 {
		rolls = append(rolls, d.roll(100))
	}
	if want := []int{65, 19, 90, 35, 61, 48, 45, 33}; !slices.Equal(rolls, want) {
		t.Errorf("rolls %v, want %v: plans of different versions would differ", rolls, want)
	}
}
