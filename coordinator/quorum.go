package coordinator

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/torc-io/torc/ring"
)

// ErrQuorum is wrapped by every error about a quorum that could never be met:
// one that no state of the cluster makes valid. It is found before any send.
var ErrQuorum = errors.New("invalid quorum")

// Kind says whether a request may change state.
type Kind uint8

// The kinds of a request.
const (
	Read  Kind = iota // executes nothing; a primary's NotFound is an answer
	Write             // may leave a trace wherever it was sent
)

// String returns "read" or "write".
func (k Kind) String() string {
	if k == Write {
		return "write"
	}
	return "read"
}

// letter is how operators call the quorum of this kind.
func (k Kind) letter() string {
	if k == Write {
		return "w"
	}
	return "r"
}

// Quorum is what a request must gather before its client gets an answer. The
// three requirements hold together, each on its own count, so Primaries and
// Nodes may be above Need: R=1, PR=2 waits for two primaries (as in Riak KV,
// which waits for max(R, PR)).
type Quorum struct {
	N         int // positions: replicas to ask, 1 … min(ring size, ring.MaxN)
	Need      int // R or W: answers, 1 … N
	Primaries int // PR or PW: answers from primaries, 0 … N; 0 = any node does
	Nodes     int // answers from different nodes, 0 … N; 0 = may be the same
}

// Validate refuses a quorum that no cluster could meet on a ring of ringSize
// partitions. The error wraps [ErrQuorum] and names the parameter, its value and
// its bounds. riak_kv's {n_val_violation, N} and {r_val_violation, R}.
func (q Quorum) Validate(k Kind, ringSize int) error {
	switch most := min(ringSize, ring.MaxN); {
	case q.N < 1 || q.N > most:
		return outside("n", q.N, 1, most)
	case q.Need < 1 || q.Need > q.N:
		return outside(k.letter(), q.Need, 1, q.N)
	case q.Primaries < 0 || q.Primaries > q.N:
		return outside("p"+k.letter(), q.Primaries, 0, q.N)
	case q.Nodes < 0 || q.Nodes > q.N:
		return outside("nodes", q.Nodes, 0, q.N)
	}
	return nil
}

func outside(name string, value, low, high int) error {
	return fmt.Errorf("%w: %s=%d is outside %d…%d", ErrQuorum, name, value, low, high)
}

// Majority returns the smallest number of n replicas such that any two sets of
// that size share one: n/2 + 1.
func Majority(n int) int { return n/2 + 1 }

// ParseCount reads a count of replicas as users write it: "one", "quorum" (the
// majority of n), "all" (n), or a decimal number. It returns a number as it is:
// Validate knows the bounds, and the parameter's name. An error wraps [ErrQuorum].
func ParseCount(s string, n int) (int, error) {
	switch s {
	case "one":
		return 1, nil
	case "quorum":
		return Majority(n), nil
	case "all":
		return n, nil
	}
	v, err := strconv.Atoi(s)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not one, quorum, all or a number", ErrQuorum, s)
	}
	return v, nil
}

// Requirement is one of the three parts of a Quorum.
type Requirement uint8

// The requirements, in the order in which a failure names them.
const (
	Answers   Requirement = iota // Need
	Primaries                    // Primaries
	Nodes                        // Nodes
	requirements
)

// String returns "answers", "primaries" or "distinct nodes".
func (r Requirement) String() string {
	return [...]string{"answers", "primaries", "distinct nodes", "?"}[min(r, requirements)]
}

// needs returns how many of what r counts the quorum asks for.
func (q Quorum) needs(r Requirement) int {
	return [requirements]int{q.Need, q.Primaries, q.Nodes}[r]
}

// state is what has become of a position.
type state uint8

const (
	failed   state = iota // nobody answered, and nobody will; also not asked yet
	open                  // a node has been asked and may still answer
	doubted               // an answer that counts only if there is no other way
	answered              // counts, and never again
)

// seat is one position, as the arithmetic sees it: the node asked last while it
// is open, the node that answered once it is answered.
type seat struct {
	node     ring.NodeName
	fallback bool
	state    state
}

// tally holds, for each requirement, what the seats have gathered (got) and
// what they have in the best case, where all open seats answer (best).
type tally struct{ got, best [requirements]int }

// count makes the tally of the seats. Different nodes are counted only if
// nodes is true, as that is quadratic and seldom asked for.
func count(seats []seat, nodes bool) tally {
	var t tally
	for i := range seats {
		s := &seats[i]
		if s.state == failed {
			continue
		}
		t.add(Answers, s.state)
		if !s.fallback {
			t.add(Primaries, s.state)
		}
	}
	if nodes {
		t.countNodes(seats)
	}
	return t
}

func (t *tally) add(r Requirement, s state) {
	t.best[r]++
	if s == answered {
		t.got[r]++
	}
}

// countNodes counts a node at its first seat: among the answered ones for got,
// among all that are or may be answered for best.
func (t *tally) countNodes(seats []seat) {
	for i, s := range seats {
		if s.state == failed {
			continue
		}
		if !sits(seats[:i], s.node, open) {
			t.best[Nodes]++
		}
		if s.state == answered && !sits(seats[:i], s.node, answered) {
			t.got[Nodes]++
		}
	}
}

// sits reports whether node has a seat in state least or better.
func sits(seats []seat, node ring.NodeName, least state) bool {
	for i := range seats {
		if seats[i].state >= least && seats[i].node == node {
			return true
		}
	}
	return false
}

// judge compares the tally with the quorum: Met, Impossible, or None while
// replies can still decide it.
func (t *tally) judge(q Quorum) Answer {
	verdict := Met
	for r := range requirements {
		switch need := q.needs(r); {
		case t.best[r] < need:
			return Impossible
		case t.got[r] < need:
			verdict = None
		}
	}
	return verdict
}

// short returns the first requirement that the counts do not meet. The counts
// are best after Impossible, and got after Expired.
func (q Quorum) short(counts [requirements]int) Requirement {
	for r := range Nodes {
		if counts[r] < q.needs(r) {
			return r
		}
	}
	return Nodes
}
