package ring

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// boundTwin tries every way to choose who gets one partition more.
func boundTwin(have []int, q int) (least int) {
	floor, extra := q/len(have), q%len(have)
	least = q
	for chosen := range 1 << len(have) {
		stay, more := 0, 0
		for m := range have {
			bit := chosen >> m & 1
			more += bit
			stay += min(have[m], floor+bit)
		}
		if more == extra {
			least = min(least, q-stay)
		}
	}
	return least
}

// anyAssignment draws owners, some of them nobody.
func anyAssignment(t *rapid.T, members int) assignment {
	return rapid.SliceOfN(rapid.IntRange(nobody, members-1), 1, 40).Draw(t, "owners")
}

func TestLowerBoundAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.IntRange(1, 8).Draw(t, "members")
		start := anyAssignment(t, members)
		if got, want := lowerBound(start, members), boundTwin(start.counts(members), len(start)); got != want {
			t.Fatalf("lower bound %d, want %d", got, want)
		}
	})
}

func TestQuotasFavourTheRichestThenTheFirst(t *testing.T) {
	for _, test := range []struct{ have, want []int }{
		{[]int{5, 5, 0}, []int{4, 3, 3}},
		{[]int{0, 0, 0}, []int{4, 3, 3}},
		{[]int{1, 2, 7}, []int{3, 3, 4}},
	} {
		if got := quotas(test.have, 10); !slices.Equal(got, test.want) {
			t.Errorf("who have %v shall have %v, want %v", test.have, got, test.want)
		}
	}
}
