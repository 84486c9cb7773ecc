package ring

// violations counts the windows of n consecutive partitions, around the end
// too, in which a member appears twice. Each is a preference list with two
// replicas on one node.
func violations[M comparable](owners []M, n int) (repeating int) {
	for p := range owners {
		if repeats(owners, p, min(n, len(owners))) {
			repeating++
		}
	}
	return repeating
}

// repeats reports whether a member appears twice in the window of n at p.
func repeats[M comparable](owners []M, p, n int) bool {
	for i := 1; i < n; i++ {
		for j := range i {
			if owners[(p+i)%len(owners)] == owners[(p+j)%len(owners)] {
				return true
			}
		}
	}
	return false
}

// leastViolations returns the fewest violations that any ring of q partitions
// can have. With Q = aN + r (0 ≤ r < N) it is
//
//   - Q if there are fewer members than N: every window repeats one;
//   - 0 if r ≤ a(members-N). This is members ≥ N + ⌈r/a⌉, the chromatic number
//     of the (N-1)th power of a cycle of Q: cut the ring into a stretches of
//     N…members partitions, and count off in each;
//   - N - a(members-N) - 1 otherwise.
//
// Why the last: in a balanced ring x = Q - a·members of the members have a+1
// partitions each. Their a+1 gaps add up to Q, y = (a+1)N - Q too little for each
// to be N, so y windows have two partitions of one such member; and those of
// another one end elsewhere, which adds at least one for each: x + y - 1, the
// number above. deal makes rings with exactly as many, and a test compares the
// formula with every ring, balanced or not, of nine partitions and six members or
// less, and of ten and four.
func leastViolations(q, members, n int) int {
	n = min(n, q)
	if members < n {
		return q
	}
	a, r, spare := q/n, q%n, members-n
	if r <= a*spare {
		return 0
	}
	return n - a*spare - 1
}

// feasibleWindow returns the windows that claim spreads members over: n, but no
// more than there are members or partitions. With too few members every
// window of n repeats one, and the next best is not to repeat one sooner than
// need be.
func feasibleWindow(q, members, n int) int { return min(n, members, q) }
