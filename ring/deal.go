package ring

// deal makes a balanced ring with the least violations from nothing: members
// are dealt round and round, as cards are, so that each appears again after all
// others. Only where the last round would come out too short is it more clever.
func deal(q, members, window int) assignment {
	switch rest := q % members; {
	case rest == 0 || rest >= window:
		return dealRounds(q, members)
	case leastViolations(q, members, window) == 0:
		return dealSkipping(q, members)
	default:
		return dealAround(q, members, window)
	}
}

// dealRounds counts the members off. It leaves no violation if the last round is
// as long as a window.
func dealRounds(q, members int) assignment {
	ring := make(assignment, q)
	for p := range ring {
		ring[p] = p % members
	}
	return ring
}

// dealSkipping deals one round more than would be full, and has every round skip
// some members, so that the skips are spread over all rounds and the last is
// not too short. To balance, a member is skipped at most once.
//
// The members to be skipped form groups, as many as a round may skip
// (members-window at most); round i skips the i-th from the end of each group.
// Between two turns of a member at most one of each group is skipped: the next
// round skips one that sits before the one this round skipped. Hence any two
// turns are at least members - groups ≥ window apart.
func dealSkipping(q, members int) assignment {
	rounds := q/members + 1
	skips := rounds*members - q
	ring := make(assignment, 0, q)
	for round := range rounds {
		for m := range members {
			if m >= skips || skippedIn(m, skips, rounds) != round {
				ring = append(ring, m)
			}
		}
	}
	return ring
}

// skippedIn returns the round that skips member m, one of the first skips
// members: they form groups of one a round, and each group is skipped from its
// end.
func skippedIn(m, skips, rounds int) int {
	group := m / rounds
	last := min((group+1)*rounds, skips) - 1
	return last - m
}

// dealAround makes the ring with the least violations where some are
// unavoidable. With Q = a·window + r, the x members that must have a+1
// partitions stand at 0, window, 2·window … a·window, and so all violations
// are in the one gap that is too short, the last. The others are counted off in
// the places between, where each appears again after all others of them and at
// least one row of the x.
func dealAround(q, members, window int) assignment {
	a := q / window
	often := q - a*members
	ring := make(assignment, q)
	others := 0
	for p := range ring {
		if column := p % window; column < often {
			ring[p] = column
			continue
		}
		ring[p] = often + others%(members-often)
		others++
	}
	return ring
}
