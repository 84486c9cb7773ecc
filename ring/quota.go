package ring

// quotas returns how many partitions each member shall have: ⌊Q/members⌋, and
// one more for as many as it takes to place all Q. Those who have the most now
// get the one more, the first of several: every partition that may stay where
// it is is a partition less to move.
func quotas(have []int, q int) []int {
	floor, extra := q/len(have), q%len(have)
	quota := make([]int, len(have))
	for m := range quota {
		quota[m] = floor
	}
	for range extra {
		quota[richest(have, quota, floor)]++
	}
	return quota
}

// richest returns who has the most of the members whose quota is floor.
func richest(have, quota []int, floor int) int {
	best := nobody
	for m := range have {
		if quota[m] == floor && (best == nobody || have[m] > have[best]) {
			best = m
		}
	}
	return best
}

// counts returns how many partitions each member has.
func (a assignment) counts(members int) []int {
	have := make([]int, members)
	for _, m := range a {
		if m != nobody {
			have[m]++
		}
	}
	return have
}

// lowerBound returns how many partitions must change hands before the ring is
// balanced: those that nobody keeps, and each member's surplus over its quota.
// Giving the larger quotas to the richest makes it exact for balance alone;
// spreading may take more.
func lowerBound(start assignment, members int) int {
	have := start.counts(members)
	stay := 0
	for m, quota := range quotas(have, len(start)) {
		stay += min(have[m], quota)
	}
	return len(start) - stay
}
