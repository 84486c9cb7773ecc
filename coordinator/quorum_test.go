package coordinator

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/torc-io/torc/ring"
)

func TestParseCount(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want int
	}{
		{"one", 3, 1},
		{"quorum", 1, 1},
		{"quorum", 2, 2},
		{"quorum", 3, 2},
		{"quorum", 4, 3},
		{"quorum", 5, 3},
		{"all", 3, 3},
		{"2", 3, 2},
		{"0", 3, 0},
		{"-1", 3, -1},
		{"99", 3, 99},
	} {
		if got, err := ParseCount(c.text, c.n); got != c.want || err != nil {
			t.Errorf("ParseCount(%q, %d) = %d, %v, want %d", c.text, c.n, got, err, c.want)
		}
	}
	for _, text := range []string{"", "One", "most", "2.5", " 2", "99999999999999999999", "٣"} {
		if got, err := ParseCount(text, 3); !errors.Is(err, ErrQuorum) {
			t.Errorf("ParseCount(%q, 3) = %d, %v, want ErrQuorum", text, got, err)
		}
	}
}

// Majorities meet, whatever n is, and no smaller number does it.
func TestMajority(t *testing.T) {
	for n := 1; n <= ring.MaxN; n++ {
		if m := Majority(n); 2*m <= n || 2*(m-1) > n || m > n {
			t.Errorf("Majority(%d) = %d", n, m)
		}
	}
}

// Validate agrees with a list of the quorums that can be met at all.
func TestValidate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		near := rapid.IntRange(-1, ring.MaxN+2)
		q := Quorum{near.Draw(t, "n"), near.Draw(t, "need"), near.Draw(t, "primaries"), near.Draw(t, "nodes")}
		size := rapid.IntRange(1, 40).Draw(t, "size")
		possible := q.Need > 0 && q.Primaries >= 0 && q.Nodes >= 0 && q.N <= size && q.N <= ring.MaxN &&
			satisfies(q, everyoneAnswers(q.N))
		for _, k := range []Kind{Read, Write} {
			if err := q.Validate(k, size); (err == nil) != possible || err != nil && !errors.Is(err, ErrQuorum) {
				t.Fatalf("%+v on %d partitions: %v, but possible is %v", q, size, err, possible)
			}
		}
	})
}

// everyoneAnswers is the best that n positions can come to.
func everyoneAnswers(n int) []seat {
	seats := make([]seat, max(n, 0))
	for i := range seats {
		seats[i] = seat{node: ring.NodeName(rune('a' + i)), state: answered}
	}
	return seats
}

// satisfies is the obvious reading of a Quorum.
func satisfies(q Quorum, seats []seat) bool {
	answers, primaries, nodes := 0, 0, map[ring.NodeName]bool{}
	for _, s := range seats {
		if s.state != answered {
			continue
		}
		answers++
		nodes[s.node] = true
		if !s.fallback {
			primaries++
		}
	}
	return answers >= q.Need && primaries >= q.Primaries && len(nodes) >= q.Nodes
}

// somehow reports whether any outcome of the open seats satisfies the quorum,
// by trying all of them.
func somehow(q Quorum, seats []seat) bool {
	for i, s := range seats {
		if s.state != open {
			continue
		}
		for _, outcome := range []state{failed, answered} {
			trial := append([]seat(nil), seats...)
			trial[i].state = outcome
			if somehow(q, trial) {
				return true
			}
		}
		return false
	}
	return satisfies(q, seats)
}

// twin is what judge should say.
func twin(q Quorum, seats []seat) Answer {
	switch {
	case satisfies(q, seats):
		return Met
	case somehow(q, seats):
		return None
	}
	return Impossible
}

// The arithmetic agrees with trying everything: Met if the answers suffice,
// Impossible if nothing that can still come makes them.
func TestJudgeAgreesWithTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seats := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) seat {
			return seat{
				node:     ring.NodeName(rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "node")),
				fallback: rapid.Bool().Draw(t, "fallback"),
				state:    rapid.SampledFrom([]state{failed, open, answered}).Draw(t, "state"),
			}
		}), 1, 7).Draw(t, "seats")
		n := len(seats)
		q := Quorum{
			N: n, Need: rapid.IntRange(1, n).Draw(t, "need"),
			Primaries: rapid.IntRange(0, n).Draw(t, "primaries"),
			Nodes:     rapid.IntRange(0, n).Draw(t, "nodes"),
		}
		tally := count(seats, q.Nodes > 0)
		if got, want := tally.judge(q), twin(q, seats); got != want {
			t.Fatalf("%+v of %+v: judge says %v, the twin %v", q, seats, got, want)
		}
	})
}

// What fell short is a requirement that did.
func TestShortNamesWhatIsMissing(t *testing.T) {
	q := Quorum{N: 3, Need: 2, Primaries: 2, Nodes: 2}
	for _, c := range []struct {
		counts [requirements]int
		want   Requirement
	}{
		{[requirements]int{1, 1, 1}, Answers},
		{[requirements]int{2, 1, 1}, Primaries},
		{[requirements]int{2, 2, 1}, Nodes},
	} {
		if got := q.short(c.counts); got != c.want {
			t.Errorf("short(%v) = %v, want %v", c.counts, got, c.want)
		}
	}
}
