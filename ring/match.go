package ring

import (
	"math"
	"slices"
)

// match gives each row a column of its own so that the sum of the gains is the
// greatest possible: the assignment problem, by the Hungarian method (Kuhn 1955,
// Munkres 1957), in O(n³).
func match(gain matrix) []int {
	m := matching{
		gain:        gain,
		rowOf:       slices.Repeat([]int{nobody}, len(gain)),
		rowPrice:    make([]int, len(gain)),
		columnPrice: make([]int, len(gain)),
	}
	columns := make([]int, len(gain))
	for row := range gain {
		m.enter(row)
	}
	for column, row := range m.rowOf {
		columns[row] = column
	}
	return columns
}

// matching matches the rows that have entered. Its prices prove that no other
// matching of them gains more: rowPrice + columnPrice ≥ gain everywhere, with
// equality where matched, so that no sum of gains exceeds the sum of the prices.
type matching struct {
	gain                  matrix
	rowOf                 []int // the row of each column, or nobody
	rowPrice, columnPrice []int
}

// enter matches one more row. It grows a tree of columns that the row could get
// if the rows that have them moved on, the cheapest first, until one is free.
func (m *matching) enter(row int) {
	t := newTree(len(m.gain))
	m.rowPrice[row] = slices.Max(m.gain[row]) // column prices are never negative
	column := nobody
	for at := row; at != nobody; at = m.rowOf[column] {
		m.look(t, at, column)
		column = t.nearest()
		m.reprice(t, row, t.excess[column])
		t.taken[column] = true
	}
	for via := t.via[column]; via != nobody; column, via = via, t.via[via] {
		m.rowOf[column] = m.rowOf[via]
	}
	m.rowOf[column] = row
}

// tree is what enter knows of the columns.
type tree struct {
	taken  []bool // the column is in the tree
	excess []int  // how much its price and that of the nearest row in the tree exceed the gain
	via    []int  // the column that this row would leave, nobody for the row that enters
}

func newTree(n int) tree {
	return tree{
		taken:  make([]bool, n),
		excess: slices.Repeat([]int{math.MaxInt}, n),
		via:    slices.Repeat([]int{nobody}, n),
	}
}

// look notes which columns the row, which would leave column via, comes nearest to.
func (m *matching) look(t tree, row, via int) {
	for column, gain := range m.gain[row] {
		excess := m.rowPrice[row] + m.columnPrice[column] - gain
		if !t.taken[column] && excess < t.excess[column] {
			t.excess[column], t.via[column] = excess, via
		}
	}
}

// nearest returns the column with the least excess that is not taken.
func (t tree) nearest() int {
	best := nobody
	for column, taken := range t.taken {
		if !taken && (best == nobody || t.excess[column] < t.excess[best]) {
			best = column
		}
	}
	return best
}

// reprice lowers the price of the rows in the tree, and raises that of its
// columns, until the nearest other column has no excess.
func (m *matching) reprice(t tree, entering, by int) {
	m.rowPrice[entering] -= by
	for column, taken := range t.taken {
		if taken {
			m.rowPrice[m.rowOf[column]] -= by
			m.columnPrice[column] += by
		} else {
			t.excess[column] -= by
		}
	}
}
