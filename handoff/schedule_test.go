package handoff_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

func drawTransfers(rt *rapid.T, label string) (transfers []handoff.Transfer) {
	for _, code := range rapid.SliceOfDistinct(rapid.IntRange(0, 3*8*4-1), func(i int) int { return i }).Draw(rt, label) {
		p := ring.Partition(code / 3 % 8)
		transfers = append(transfers, handoff.Transfer{
			Type: handoff.Type(code%3 + 1), Partition: p, Source: p, From: "a", To: letters("bcde")[code/24],
		})
	}
	return transfers
}

// Whatever is wanted: the limit is kept and used, nothing is lost, what comes first
// goes first, and the order of the candidates is nothing to the result.
func TestScheduleRules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		running, limit := drawTransfers(rt, "running"), rapid.IntRange(0, 12).Draw(rt, "limit")
		var want []handoff.Candidate
		for i, transfer := range drawTransfers(rt, "want") {
			c := handoff.Candidate{Transfer: transfer}
			if i%5 == 4 {
				c.Obstacle = "an obstacle"
			}
			want = append(want, c)
		}
		begin, waiting := handoff.Schedule("a", want, running, limit)
		if len(begin) > 0 && len(running)+len(begin) > limit {
			rt.Fatalf("%d run and %d begin, the limit is %d", len(running), len(begin), limit)
		}
		complete(rt, want, running, begin, waiting)
		for _, c := range waiting {
			if c.Obstacle != "an obstacle" && len(running)+len(begin) < limit {
				rt.Fatalf("%v waits: %s; %d of %d run", c.Transfer, c.Obstacle, len(running)+len(begin), limit)
			}
			if c.Obstacle != "an obstacle" && slices.ContainsFunc(begin, func(b handoff.Transfer) bool { return b.Type > c.Type }) {
				rt.Fatalf("%v waits, and one of less urgency begins: %v", c.Transfer, begin)
			}
		}
		slices.Reverse(want)
		if again, _ := handoff.Schedule("a", want, running, limit); !slices.Equal(again, begin) {
			rt.Fatalf("the reverse begins %v, and not %v", again, begin)
		}
	})
}

// complete requires that each candidate runs, begins, or waits for a reason.
func complete(rt *rapid.T, want []handoff.Candidate, running, begin []handoff.Transfer, waiting []handoff.Candidate) {
	for _, c := range want {
		places := 0
		for _, there := range [][]handoff.Transfer{running, begin} {
			if slices.Contains(there, c.Transfer) {
				places++
			}
		}
		if slices.ContainsFunc(waiting, func(w handoff.Candidate) bool { return w.Transfer == c.Transfer && w.Obstacle != "" }) {
			places++
		}
		if places != 1 {
			rt.Fatalf("%v is in %d places", c.Transfer, places)
		}
	}
}

// Receivers have their turns: none gets two more than another that could have had it.
func TestScheduleIsFair(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var want []handoff.Candidate
		left := map[ring.NodeName]int{}
		for _, transfer := range drawTransfers(rt, "want") {
			transfer.Type = handoff.Ownership
			want = append(want, handoff.Candidate{Transfer: transfer})
			left[transfer.To]++
		}
		begin, _ := handoff.Schedule("a", want, nil, rapid.IntRange(0, 12).Draw(rt, "limit"))
		has := map[ring.NodeName]int{}
		for _, b := range begin {
			has[b.To]++
			left[b.To]--
		}
		for _, more := range letters("bcde") {
			for _, less := range letters("bcde") {
				if left[less] > 0 && has[more] > has[less]+1 {
					rt.Fatalf("%s has %d, and %s %d with %d that wait", more, has[more], less, has[less], left[less])
				}
			}
		}
	})
}

// BenchmarkSchedule is a pass of a node that gives 2,000 partitions away.
func BenchmarkSchedule(b *testing.B) {
	var want []handoff.Candidate
	for p := range ring.Partition(2000) {
		to := ring.NodeName(fmt.Sprint("node-", p%10))
		want = append(want, handoff.Candidate{Transfer: handoff.Transfer{Type: handoff.Ownership, Partition: p, Source: p, From: "a", To: to}})
	}
	slices.SortFunc(want, func(x, y handoff.Candidate) int { return cmp.Compare(x.To, y.To) })
	for b.Loop() {
		handoff.Schedule("a", want, nil, 4)
	}
}
