package ring

// The tension between a partition and a member says how badly the member fits
// there. It is positive exactly if some window with that partition repeats the
// member: one clash outweighs all that can be taken off.
const (
	// clash is for each partition of the member less than a window away.
	clash = 1000

	// home is taken off where the member is already, since every move costs. It
	// is less than a clash, so that moving one partition to end one clash pays.
	home = 600

	// likeness is taken off in crowded rings for each partition of the member
	// that is a window or more away, but less than two. It fades with distance,
	// and adds up to 2×(1+2+…+15) = 240 at most, with windows of MaxN.
	likeness = 1
)

// crowded reports whether likeness counts. It makes stretches in which the same
// few members take turns, so that any other fits in where one of them leaves.
// That is needed if the partitions that share a window with a given one (two
// windows less two) may be of all other members: then nobody fits there, and
// one move leads to another. Windows of up to three are too short for that,
// except with so few members that much has to move anyway.
func crowded(members, window int) bool { return window > 3 && members < 2*window }

// board is an assignment that is being changed, with tables that tell at once
// what a change does.
type board struct {
	owner   assignment
	members int
	have    []int   // partitions of each member
	pull    []int32 // the tension between two partitions of a member, by distance
	tension []int32 // of partition p and member m, at p×members + m
}

// newBoard sets up an assignment, in which nobody may own some partitions.
func newBoard(start assignment, members, window int) board {
	b := board{
		owner:   make(assignment, len(start)),
		members: members,
		have:    make([]int, members),
		pull:    pulls(len(start), members, window),
		tension: make([]int32, len(start)*members),
	}
	for p, m := range start {
		b.owner[p] = nobody
		if m != nobody {
			b.give(p, m)
			b.tension[p*members+m] -= home
		}
	}
	return b
}

// pulls tabulates clash and likeness by distance, as far as they reach, but at
// most half around the ring.
func pulls(q, members, window int) []int32 {
	pull := make([]int32, 1, 2*window)
	for d := 1; d < window && 2*d <= q; d++ {
		pull = append(pull, clash)
	}
	for d := window; d < 2*window-1 && 2*d <= q && crowded(members, window); d++ {
		pull = append(pull, int32(-likeness*(2*window-1-d)))
	}
	return pull
}

// give makes m the owner of p.
func (b *board) give(p, m int) {
	if old := b.owner[p]; old != nobody {
		b.have[old]--
		b.radiate(p, old, -1)
	}
	b.owner[p] = m
	b.have[m]++
	b.radiate(p, m, +1)
}

// radiate adds (sign +1) or removes (-1) what m at p does to the tension of m
// at the partitions around.
func (b *board) radiate(p, m int, sign int32) {
	q := len(b.owner)
	for d := 1; d < len(b.pull); d++ {
		b.tension[(p+d)%q*b.members+m] += sign * b.pull[d]
		if 2*d != q { // else it is the same partition
			b.tension[(p+q-d)%q*b.members+m] += sign * b.pull[d]
		}
	}
}

// at returns the tension between p and m.
func (b *board) at(p, m int) int { return int(b.tension[p*b.members+m]) }

// clashes reports whether a window with p repeats p's owner.
func (b *board) clashes(p int) bool { return b.at(p, b.owner[p]) > 0 }

// swapCost returns by how much the tension changes if p and x change owners.
// Near each other they do not feel the owners that go away.
func (b *board) swapCost(p, x int) int {
	mp, mx := b.owner[p], b.owner[x]
	cost := b.at(p, mx) + b.at(x, mp) - b.at(p, mp) - b.at(x, mx)
	if d := b.distance(p, x); d < len(b.pull) {
		cost -= 2 * int(b.pull[d])
	}
	return cost
}

// distance returns how far apart p and x are, the shorter way around.
func (b *board) distance(p, x int) int {
	d := max(p-x, x-p)
	return min(d, len(b.owner)-d)
}

// openness tells how easily the ring could do without any one member: how many
// of its partitions each other could take over without a clash, up to a fair
// share, added up. Open rings keep the next moves few. They also spread the load
// of a failed member: in a ring that deals the members round and round, the same
// N are its fallbacks everywhere.
func (b *board) openness() (sum int) {
	fits := make([]int, b.members*b.members)
	for p, m := range b.owner {
		for other := range b.members {
			if other != m && b.at(p, other) <= 0 {
				fits[m*b.members+other]++
			}
		}
	}
	for m, have := range b.have {
		share := (have + b.members - 2) / max(1, b.members-1)
		for _, n := range fits[m*b.members : (m+1)*b.members] {
			sum += min(n, share)
		}
	}
	return sum
}
