package history

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// forever is the end of a phase that has not ended.
const forever = time.Duration(math.MaxInt64)

// Phase is a part of a history with a name.
type Phase struct {
	Name string
	// Planned says that nothing may fail in it.
	Planned    bool
	Begin, End time.Duration
}

// between is the phase of what happened in none.
var between = Phase{Name: "between phases"}

// phaseOf returns the phase that answers for an operation: the first that was not
// planned and that it was under way in, for that may be why it failed; or else
// the one in which it began.
func (r *Record) phaseOf(o Op) Phase {
	mine := between
	for _, p := range r.phases {
		switch {
		case !p.Planned && o.Begin < p.End && o.End >= p.Begin:
			return p
		case o.Begin >= p.Begin && o.Begin < p.End:
			mine = p
		}
	}
	return mine
}

// Failure counts the operations of one kind and phase that ended in one way, and
// not OK.
type Failure struct {
	Phase   Phase
	Kind    Kind
	Outcome Outcome
	Count   int
	First   Op
	Why     string // of the first
}

// String returns the failure on one line, with the first operation.
func (f Failure) String() string {
	return fmt.Sprintf("%s: %d × %v %v, first %v: %v: %s", f.Phase.Name, f.Count, f.Kind, f.Outcome, f.First.Key, f.First, cmp.Or(f.Why, "no reason given"))
}

// Failures counts what was not OK, in the order in which it first happened.
func Failures(r *Record) []Failure {
	type kind struct {
		phase   string
		kind    Kind
		outcome Outcome
	}
	found := map[kind]*Failure{}
	for _, o := range r.ops {
		if o.Outcome == OK {
			continue
		}
		p := r.phaseOf(o)
		k := kind{p.Name, o.Kind, o.Outcome}
		if found[k] == nil {
			found[k] = &Failure{Phase: p, Kind: o.Kind, Outcome: o.Outcome, First: o}
		}
		f := found[k]
		f.Count++
		if o.Begin < f.First.Begin {
			f.First = o
		}
	}
	all := make([]Failure, 0, len(found))
	for _, f := range found {
		f.Why = r.Why(f.First)
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(a.First.Begin, b.First.Begin), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.First.Key, b.First.Key))
	})
	return all
}

// Summary is a phase in numbers. Final reads do not count.
type Summary struct {
	Phase           Phase
	Ops             int
	Failed, Unknown int
	Found           map[string]int // findings by their word
	P50, P99, Max   time.Duration  // of all operations, however they ended
}

// String returns the summary on one line.
func (s Summary) String() string {
	return fmt.Sprintf("%-28s %7d ops, %d failed, %d unknown, %d stale, %d resurrected, %d invented, p50 %v, p99 %v, max %v",
		s.Phase.Name+":", s.Ops, s.Failed, s.Unknown, s.Found["stale"], s.Found["resurrected"], s.Found["invented"],
		stamp(s.P50), stamp(s.P99), stamp(s.Max))
}

// Summarise returns the summary of each phase, in their order, and with a last
// one for what was between them if there is anything.
func Summarise(r *Record, found ...Finding) []Summary {
	took := map[string][]time.Duration{}
	sums := map[string]*Summary{}
	order := append(slices.Clone(r.phases), between)
	for _, p := range order {
		sums[p.Name] = &Summary{Phase: p, Found: map[string]int{}}
	}
	for _, o := range r.ops {
		if o.Kind == Final {
			continue
		}
		s := sums[r.phaseOf(o).Name]
		took[s.Phase.Name] = append(took[s.Phase.Name], o.End-o.Begin)
		s.count(o)
	}
	for _, f := range found {
		sums[r.phaseOf(f.Read).Name].Found[f.What]++
	}
	var all []Summary
	for _, p := range order {
		s := sums[p.Name]
		s.measure(took[p.Name])
		if s.Ops > 0 || p != between {
			all = append(all, *s)
		}
	}
	return all
}

func (s *Summary) count(o Op) {
	s.Ops++
	switch o.Outcome {
	case Failed:
		s.Failed++
	case Unknown:
		s.Unknown++
	case OK:
	}
}

// measure fills in how long operations took.
func (s *Summary) measure(took []time.Duration) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	s.P50, s.P99, s.Max = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
}

// Table draws summaries, a line each.
func Table(all []Summary) string {
	var lines strings.Builder
	for _, s := range all {
		lines.WriteString(s.String() + "\n")
	}
	return lines.String()
}
