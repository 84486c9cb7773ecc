package sim

import (
	"io"
	"time"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/internal/history"
)

// Result is how a run ended.
type Result struct {
	Scenario Scenario
	Failure  string // "" if nothing is wrong
	Counts   Counts
	Took     time.Duration // simulated
	Steps    int
}

// Run runs a scenario. If trace is not nil, each event is written to it.
func Run(s Scenario, traceTo io.Writer) Result { return run(s, traceTo, hooks{}) }

func run(s Scenario, traceTo io.Writer, h hooks) Result {
	w := newWorld(s)
	w.hooks = h
	if traceTo != nil {
		w.trace = &trace{out: traceTo}
	}
	if err := w.founders(); err != nil {
		w.failf("beginning", "%v", err)
	}
	w.startClients()
	w.plague()
	w.departures()
	w.at(s.Length, w.finish)
	w.loop()
	if w.trace != nil && w.trace.err != nil {
		w.failf("trace", "%v", w.trace.err)
	}
	if w.failure == "" && !w.over {
		w.failf("endless", "nothing happens any more, and it is not over")
	}
	return Result{Scenario: s, Failure: w.failure, Counts: w.counts, Took: w.now, Steps: w.steps}
}

// finish ends the faults and the writes, and then looks at what is left.
func (w *World) finish() {
	if w.healing != nil {
		w.after(settlePoll, w.finish)
		return
	}
	w.calm = true
	w.after(2*patience, func() { w.heal(w.conclude) })
}

// conclude checks what is left of what the clients did.
func (w *World) conclude() {
	w.checkReplicas("after a sweep", func(string) bool { return true })
	w.finalReads(0)
}

// finalReads reads each key once more, as a client does.
func (w *World) finalReads(i int) {
	if i == len(w.keys) {
		w.judge()
		w.over = true
		return
	}
	k := w.keys[i]
	begin := w.now
	next := func() { w.finalReads(i + 1) }
	w.ask(func(n *node) {
		n.request(coordinator.Read, k.name, item{}, w.quorum(coordinator.Read), func(a result) {
			op := history.Op{Begin: begin, End: w.now, Key: k.number, Kind: history.Final, Outcome: a.outcome, Version: a.item.read()}
			w.ledger.ops = append(w.ledger.ops, op)
			w.after(time.Millisecond, next)
		})
	}, next)
}

// judge asks the checkers of package history.
func (w *World) judge() {
	record, err := w.ledger.record()
	if err != nil {
		w.failf("history", "%v", err)
		return
	}
	w.found(history.Lost(record), func(history.Op) bool { return true })
	w.found(history.Invented(record), func(history.Op) bool { return true })
	w.found(history.Resurrected(record), w.isStrictAt)
	stale := history.Stale(record)
	w.found(stale, w.isStrictAt)
	w.counts[StaleRead] += len(stale)
}

// isStrictAt says whether a read must not be stale: with quorums that overlap
// never, with others not before the first fault, nor at the end.
func (w *World) isStrictAt(read history.Op) bool {
	return w.scenario.Strict || read.Kind == history.Final || len(w.scenario.Faults) == 0 || read.End < w.firstFault()
}

func (w *World) firstFault() time.Duration {
	first := w.scenario.Length
	for _, f := range w.scenario.Faults {
		first = min(first, f.At)
	}
	return first
}

func (w *World) found(all []history.Finding, counts func(history.Op) bool) {
	for _, f := range all {
		if counts(f.Read) {
			w.failf(f.What, "%v", f)
		}
	}
}
