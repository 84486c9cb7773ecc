package ring

import "slices"

// maxFitWork bounds the turns that fit tries, at about 0.1 s: each turn costs
// Q + members³ steps.
const maxFitWork = 1 << 25

// fit turns a dealt ring around and renames its members so that as many
// partitions as possible stay with their owner. Neither changes the ring's
// balance or its violations.
func fit(dealt, start assignment, members int) assignment {
	turns := min(len(dealt), max(1, maxFitWork/(len(dealt)+members*members*members)))
	twice := slices.Concat(dealt, dealt)
	var best assignment
	mostStay := -1
	for turn := range turns {
		turned := twice[turn : turn+len(dealt)]
		stay := overlap(turned, start, members)
		names := match(stay)
		if n := stay.sum(names); n > mostStay {
			best, mostStay = turned.renamed(names), n
		}
	}
	return best
}

// renamed returns the assignment with member m called names[m].
func (a assignment) renamed(names []int) assignment {
	ring := make(assignment, len(a))
	for p, m := range a {
		ring[p] = names[m]
	}
	return ring
}

// matrix is square; row and column are members.
type matrix [][]int

// overlap counts, for each dealt member and each real one, the partitions that
// stay if the first is called like the second.
func overlap(dealt, start assignment, members int) matrix {
	stay := make(matrix, members)
	for m := range stay {
		stay[m] = make([]int, members)
	}
	for p, m := range start {
		if m != nobody {
			stay[dealt[p]][m]++
		}
	}
	return stay
}

// sum adds up what each row gains by its column.
func (g matrix) sum(columns []int) (sum int) {
	for row, column := range columns {
		sum += g[row][column]
	}
	return sum
}
