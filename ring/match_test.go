package ring

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// matchTwin tries every permutation.
func matchTwin(gain matrix) int {
	best := 0
	used := make([]bool, len(gain))
	var try func(row, sum int)
	try = func(row, sum int) {
		if row == len(gain) {
			best = max(best, sum)
			return
		}
		for column := range gain {
			if !used[column] {
				used[column] = true
				try(row+1, sum+gain[row][column])
				used[column] = false
			}
		}
	}
	try(0, 0)
	return best
}

func TestMatchAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		row := rapid.SliceOfN(rapid.IntRange(0, 20), n, n)
		gain := matrix(rapid.SliceOfN(row, n, n).Draw(t, "gain"))
		columns := match(gain)
		if !isPermutation(columns) {
			t.Fatalf("%v is no matching", columns)
		}
		if got, want := gain.sum(columns), matchTwin(gain); got != want {
			t.Fatalf("%v gains %d, want %d", columns, got, want)
		}
	})
}

func isPermutation(columns []int) bool {
	for i, column := range slices.Sorted(slices.Values(columns)) {
		if i != column {
			return false
		}
	}
	return true
}

// Fitting a ring to itself, turned and renamed, finds it again.
func TestFitFindsTheRingAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := rapid.IntRange(6, 40).Draw(t, "q")
		members := rapid.IntRange(3, 6).Draw(t, "members")
		dealt := deal(q, members, 3)
		turn := rapid.IntRange(0, q-1).Draw(t, "turn")
		names := rapid.Permutation([]int{0, 1, 2, 3, 4, 5}[:members]).Draw(t, "names")
		start := slices.Concat(dealt[turn:], dealt[:turn]).renamed(names)
		if got := fit(dealt, start, members); !slices.Equal(got, start) {
			t.Fatalf("fit makes %v, want %v", got, start)
		}
	})
}
