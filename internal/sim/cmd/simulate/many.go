package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/torc-io/torc/internal/sim"
)

const (
	// maxFailures is how many failures are enough to look at.
	maxFailures = 10
	// seldom is how often each rare path must have been taken, at least.
	seldom = 10
)

// many runs seeds one after the other, as many at a time as there are cores.
type many struct {
	from, seeds uint64
	long        time.Duration
	shrink      bool
	progress    io.Writer
}

// run returns what came of it, in words, and whether all is well.
func (m many) run() (text string, ok bool) {
	began := time.Now()
	tally := m.gather(began)
	m.draw(fmt.Sprintf("%*s", barWidth+40, ""))
	var b strings.Builder
	fmt.Fprintf(&b, "%v\n%d runs, %d of them with a change of the membership, with at least %d operations and %d faults each, in %v\n",
		tally.Counts, tally.Runs, tally.Changed, tally.Least[sim.Operations], tally.Least[sim.Faults], time.Since(began).Round(time.Second))
	for _, c := range tally.Missing(seldom) {
		fmt.Fprintf(&b, "seldom: %v, %d times\n", c, tally.Counts[c])
	}
	for _, r := range tally.Failed {
		b.WriteString(m.explain(r))
	}
	return b.String(), len(tally.Failed) == 0
}

// gather runs the seeds.
func (m many) gather(began time.Time) *sim.Tally {
	var tally sim.Tally
	var mu sync.Mutex
	var workers sync.WaitGroup
	next := m.from
	take := func() (seed uint64, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		over := m.long > 0 && time.Since(began) > m.long || m.long == 0 && next == m.from+m.seeds
		if over || len(tally.Failed) >= maxFailures {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range runtime.NumCPU() {
		workers.Go(func() {
			for seed, ok := take(); ok; seed, ok = take() {
				r := sim.Run(sim.NewScenario(seed), nil)
				mu.Lock()
				tally.Add(r)
				m.show(&tally, began)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return &tally
}

const (
	barWidth  = 40
	showEvery = 20 // runs
)

// show draws the progress.
func (m many) show(t *sim.Tally, began time.Time) {
	if t.Runs%showEvery != 0 {
		return
	}
	done := float64(t.Runs) / float64(max(m.seeds, 1))
	if m.long > 0 {
		done = float64(time.Since(began)) / float64(m.long)
	}
	full := int(min(done, 1) * barWidth)
	m.draw(fmt.Sprintf("[%s%s] %d seeds, %d failed", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), t.Runs, len(t.Failed)))
}

// draw replaces the line of the progress. It is for a person, who does not mind if
// it cannot be drawn.
func (m many) draw(line string) { _, _ = fmt.Fprintf(m.progress, "\r%s\r", line) }

// explain says how a run failed, and with how few faults it still does.
func (m many) explain(r sim.Result) string {
	shrunk := ""
	if m.shrink {
		s := sim.Shrink(r.Scenario)
		shrunk = fmt.Sprintf("shrunk from %d faults to %d: %v", len(r.Scenario.Faults), len(s.Faults), s)
	}
	return fmt.Sprintf("\nseed %d fails: %s\n%sreplay: go run ./internal/sim/cmd/simulate -seed %d\n", r.Scenario.Seed, r.Failure, shrunk, r.Scenario.Seed)
}
