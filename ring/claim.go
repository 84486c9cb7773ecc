package ring

// claim decides which of the claiming members, sorted by name, shall own each
// partition. Start names the present owners, "" where nobody keeps the
// partition. In this order, claim
//
//  1. balances: no two members differ by more than one partition,
//  2. spreads: as few windows of n consecutive partitions as possible repeat a
//     member (none, if there is a balanced ring without), and
//  3. moves little: as few partitions as it finds change their owner.
//
// It is a function: the same input gives the same ring, on every machine.
func claim(start, claiming []NodeName, n int) []NodeName {
	c := claimOf(start, claiming, n)
	owners := make([]NodeName, len(start))
	for p, m := range c.solve() {
		owners[p] = claiming[m]
	}
	return owners
}

// assignment gives the owner of each partition as an index into the claiming
// members, or nobody.
type assignment []int

const nobody = -1

// claimProblem is one question to claim, in small integers.
type claimProblem struct {
	start   assignment
	members int // at least one
	window  int // how many consecutive partitions shall have distinct owners
}

// claimOf translates names into a problem.
func claimOf(start, claiming []NodeName, n int) claimProblem {
	return claimProblem{
		start:   indexed(start, claiming),
		members: len(claiming),
		window:  feasibleWindow(len(start), len(claiming), n),
	}
}

// indexed turns names into indexes; whoever does not claim is nobody.
func indexed(owners, claiming []NodeName) assignment {
	index := make(map[NodeName]int, len(claiming))
	for m, name := range claiming {
		index[name] = m
	}
	a := make(assignment, len(owners))
	for p, name := range owners {
		m, claims := index[name]
		if !claims {
			m = nobody
		}
		a[p] = m
	}
	return a
}

const (
	// maxTries bounds the rings that one claim repairs to choose the best from.
	// On 64 partitions with windows of 5 and 7 or 8 members, where it is hard,
	// walks move 1.03 times the bound with 512 tries, and 1.15 times with one.
	maxTries = 512

	// enoughTries suffice once a ring needs no more moves than the lower bound:
	// they choose an open one.
	enoughTries = 24

	// minTries are made, whatever work they are, before repair is given up.
	minTries = 4

	// maxWork bounds the work of all tries together, in swaps looked at. Two
	// million take some 20 ms. It is counted, not timed, to stay a function.
	maxWork = 1 << 21
)

// solve returns the best assignment it finds. Repairing the present ring moves
// little, and hardly ever fails. Where it does, because no ring but a few
// regular ones is good enough, one is dealt and fitted to the present.
func (c claimProblem) solve() assignment {
	q := len(c.start)
	if c.empty() && c.members <= c.window+1 {
		return deal(q, c.members, c.window)
	}
	repaired := c.bestRepair()
	if violations(repaired, c.window) == c.least() {
		return repaired
	}
	return fit(deal(q, c.members, c.window), c.start, c.members)
}

// least returns the fewest violations that a solution can have.
func (c claimProblem) least() int { return leastViolations(len(c.start), c.members, c.window) }

// empty reports whether nobody owns anything yet.
func (c claimProblem) empty() bool {
	for _, m := range c.start {
		if m != nobody {
			return false
		}
	}
	return true
}

// bestRepair repairs the ring in many ways, as far as the work allows, and
// returns the best result. If each good ring has violations, or is one row of
// members over and over, no search by swaps gets there, and filling must do: it
// does after a replacement.
func (c claimProblem) bestRepair() assignment {
	best := newRepair(c, 0).fill()
	if c.least() > 0 || c.window == c.members && c.window > 1 {
		return best.owner
	}
	best.search()
	bound := lowerBound(c.start, c.members)
	for try, work := 1, best.work; try < maxTries; try++ {
		spent := work >= maxWork && (try >= minTries || best.clean())
		content := try >= enoughTries && best.clean() && best.moves() == bound
		if spent || content {
			break
		}
		next := newRepair(c, uint64(try)).fill().search()
		work += next.work
		if next.betterThan(best) {
			best = next
		}
	}
	return best.owner
}
