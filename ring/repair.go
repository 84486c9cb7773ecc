package ring

import "math"

// repair turns the ring there is into a balanced one with few violations and
// few moves: fill hands out what has to move, and search swaps until nothing
// clashes. Another seed gives another result.
type repair struct {
	board
	start  assignment
	dice   dice
	frozen []int // the step until which a partition just swapped stays as it is
	work   int   // swaps looked at so far, or what takes as long
}

func newRepair(c claimProblem, seed uint64) *repair {
	return &repair{
		board:  newBoard(c.start, c.members, c.window),
		start:  c.start,
		dice:   dice(seed),
		frozen: make([]int, len(c.start)),
	}
}

// fill gives the partitions that nobody has, and every member's surplus, to
// members below their quota. From a place that the dice choose it goes around
// twice: first it gives only what clashes with nothing, then the rest.
func (r *repair) fill() *repair {
	q := len(r.owner)
	quota := quotas(r.have, q)
	first := r.dice.roll(q)
	for _, tolerated := range []int{0, math.MaxInt} {
		for i := range q {
			p := (first + i) % q
			if m := r.owner[p]; m != nobody && r.have[m] <= quota[m] {
				continue
			}
			if m := r.taker(p, quota, tolerated); m != nobody {
				r.give(p, m)
			}
		}
	}
	return r
}

// taker returns the member below its quota that fits best at p, or nobody if
// all fit worse than is tolerated. Equals draw lots, by what they lack: taking
// turns would make a regular ring, and such rings are not open.
func (r *repair) taker(p int, quota []int, tolerated int) int {
	best, lots := nobody, 0
	r.work += r.members
	for m, want := range quota {
		lacks := want - r.have[m]
		switch {
		case lacks <= 0 || r.at(p, m) > tolerated:
		case best == nobody || r.at(p, m) < r.at(p, best):
			best, lots = m, lacks
		case r.at(p, m) == r.at(p, best):
			if lots += lacks; r.dice.roll(lots) < lacks {
				best = m
			}
		}
	}
	return best
}

const (
	// freezeSteps is how long a partition that was swapped stays as it is, so
	// that the search does not go in circles (a tabu list, as in TabuCol, Hertz
	// and de Werra 1987). The dice add up to as many again.
	freezeSteps = 5

	// Searches that succeed take fewer steps than partitions clash after fill.
	// baseSteps is for small rings, where luck plays a larger part.
	baseSteps         = 1000
	stepsPerPartition = 2
)

// search relieves one clashing partition after the other, by the swap that
// helps most or hurts least, until there is none or the steps run out.
func (r *repair) search() *repair {
	for step := range baseSteps + stepsPerPartition*len(r.owner) {
		p, some := r.clashing(step)
		if !some {
			break
		}
		if p != nobody {
			r.relieve(p, step)
		}
	}
	return r
}

// clashing returns a partition that clashes and is not frozen, or nobody, and
// whether any clashes at all.
func (r *repair) clashing(step int) (p int, some bool) {
	q := len(r.owner)
	first := r.dice.roll(q)
	for i := range q {
		if p := (first + i) % q; r.clashes(p) {
			some = true
			if r.frozen[p] <= step {
				return p, true
			}
		}
	}
	return nobody, some
}

// relieve gives p another owner in the cheapest way that keeps the balance: by a
// swap with another partition, or, if p's owner is one above the floor, by giving
// p to a member on it.
func (r *repair) relieve(p, step int) {
	x, cost := r.bestSwap(p, step)
	m, costAlone := r.bestHeir(p)
	until := step + freezeSteps + r.dice.roll(freezeSteps+1)
	switch {
	case m != nobody && (x == nobody || costAlone < cost):
		r.give(p, m)
	case x != nobody:
		mp, mx := r.owner[p], r.owner[x]
		r.give(p, mx)
		r.give(x, mp)
		r.frozen[x] = until
	}
	r.frozen[p] = until
}

// bestSwap returns the partition to swap p with, and the cost. Where the dice
// let it start decides between equals.
func (r *repair) bestSwap(p, step int) (best, cost int) {
	q := len(r.owner)
	first := r.dice.roll(q)
	best = nobody
	r.work += q
	for i := range q {
		x := first + i
		if x >= q {
			x -= q
		}
		if r.owner[x] == r.owner[p] || r.frozen[x] > step {
			continue
		}
		if c := r.swapCost(p, x); best == nobody || c < cost {
			best, cost = x, c
		}
	}
	return best, cost
}

// bestHeir returns the member that p can simply be given to, and the cost.
func (r *repair) bestHeir(p int) (best, cost int) {
	best = nobody
	floor := len(r.owner) / r.members
	if r.have[r.owner[p]] == floor {
		return best, cost
	}
	for m, have := range r.have {
		if c := r.at(p, m) - r.at(p, r.owner[p]); have == floor && (best == nobody || c < cost) {
			best, cost = m, c
		}
	}
	return best, cost
}

// moves counts the partitions that are not where they were.
func (r *repair) moves() (moved int) {
	for p, m := range r.owner {
		if m != r.start[p] {
			moved++
		}
	}
	return moved
}

// clean reports whether nothing clashes.
func (r *repair) clean() bool {
	for p := range r.owner {
		if r.clashes(p) {
			return false
		}
	}
	return true
}

// betterThan prefers clean repairs, then few moves, then open rings.
func (r *repair) betterThan(other *repair) bool {
	if r.clean() != other.clean() {
		return r.clean()
	}
	if r.moves() != other.moves() {
		return r.moves() < other.moves()
	}
	return r.openness() > other.openness()
}

// dice are a small deterministic generator (splitmix64), so that a plan depends
// on nothing but its ring: the seed of a try is its number.
type dice uint64

// roll returns one of 0…n-1.
func (d *dice) roll(n int) int {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) % uint64(n))
}
