package ring

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Every dealt ring is balanced and has the least violations; with the exhaustive
// test of leastViolations, this makes "the fewest possible" true.
func TestDealIsBalancedAndHasTheLeastViolations(t *testing.T) {
	for q := 1; q <= 70; q++ {
		for members := 1; members <= min(q+3, 26); members++ {
			for window := 1; window <= min(q, members, MaxN); window++ {
				checkDeal(t, q, members, window)
			}
		}
	}
	for _, q := range []int{120, 128, 240, 1024} {
		for members := 1; members <= 24; members++ {
			checkDeal(t, q, members, min(members, 5))
		}
	}
}

func checkDeal(t *testing.T, q, members, window int) {
	t.Helper()
	ring := deal(q, members, window)
	have := ring.counts(members)
	if most, fewest := slices.Max(have), slices.Min(have); most-fewest > 1 {
		t.Errorf("%d partitions, %d members, windows of %d: one has %d and one %d", q, members, window, most, fewest)
	}
	if got, least := violations(ring, window), leastViolations(q, members, window); got != least {
		t.Errorf("%d partitions, %d members, windows of %d: %d violations, want %d", q, members, window, got, least)
	}
}

func TestDealGolden(t *testing.T) {
	var text strings.Builder
	for _, d := range []struct {
		q, members, window int
		why                string
	}{
		{12, 3, 3, "full rounds"},
		{14, 4, 2, "a last round as long as a window"},
		{16, 5, 3, "a last round of one would be too short: three rounds skip somebody"},
		{43, 7, 5, "so too with two to skip a round"},
		{16, 3, 3, "no good ring: member a is once too often"},
		{11, 5, 4, "no good ring in spite of a spare member"},
	} {
		fmt.Fprintf(&text, "%d partitions, %d members, windows of %d: %s\n ", d.q, d.members, d.window, d.why)
		for _, m := range deal(d.q, d.members, d.window) {
			text.WriteString(" " + lettered(m, 1))
		}
		text.WriteString("\n")
	}
	golden(t, "deals.txt", text.String())
}
