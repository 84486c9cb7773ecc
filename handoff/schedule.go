package handoff

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/torc-io/torc/ring"
)

// Candidate is a transfer that should be.
type Candidate struct {
	Transfer

	// Obstacle is what keeps it from beginning now, in words; "" if nothing does.
	Obstacle string
}

// Schedule returns which candidates begin now, and why each of the others does
// not. Running are the transfers that this node sends already; at most limit run
// at a time. Repair comes before ownership, and that before hinted: see [Type].
// Among equals each receiver has its turn, so that one that is slow, or at its
// limit, does not hold up the others.
func Schedule(me ring.NodeName, want []Candidate, running []Transfer, limit int) (begin []Transfer, waiting []Candidate) {
	ready := make([]Candidate, 0, len(want))
	for _, c := range want {
		switch {
		case slices.Contains(running, c.Transfer):
		case c.Obstacle != "":
			waiting = append(waiting, c)
		default:
			ready = append(ready, c)
		}
	}
	busy := map[ring.NodeName]int{}
	for _, t := range running {
		busy[t.To]++
	}
	for len(ready) > 0 && len(running)+len(begin) < limit {
		i := first(ready, busy)
		begin = append(begin, ready[i].Transfer)
		busy[ready[i].To]++
		ready = slices.Delete(ready, i, i+1)
	}
	full := fmt.Sprintf("%s has %d of %d outgoing transfers", me, len(running)+len(begin), limit)
	for _, c := range ready {
		c.Obstacle = full
		waiting = append(waiting, c)
	}
	return begin, waiting
}

// first returns the index of the candidate whose turn it is. It looks at all of
// them, since a turn changes the order; but there are only as many turns as a
// node may have transfers.
func first(ready []Candidate, busy map[ring.NodeName]int) int {
	least := 0
	for i := range ready {
		if compare(ready[i], ready[least], busy) < 0 {
			least = i
		}
	}
	return least
}

func compare(a, b Candidate, busy map[ring.NodeName]int) int {
	return cmp.Or(
		cmp.Compare(a.Type, b.Type),
		cmp.Compare(busy[a.To], busy[b.To]),
		cmp.Compare(a.Partition, b.Partition),
		cmp.Compare(a.Source, b.Source),
		cmp.Compare(a.To, b.To),
	)
}
