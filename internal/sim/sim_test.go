package sim

import (
	"bytes"
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

// seeds is how many a test runs: make soak runs more, by the clock.
var seeds = flag.Uint64("seeds", 1000, "how many seeds to simulate")

func TestSeeds(t *testing.T) {
	n := *seeds
	if testing.Short() || raced {
		n = min(n, 100)
	}
	tally := runSeeds(1, n)
	for _, r := range tally.Failed {
		small := Shrink(r.Scenario)
		t.Errorf("seed %d: %s\nshrunk: %v", r.Scenario.Seed, r.Failure, small)
	}
	t.Logf("%d runs, %d with a change of the membership\n%v", tally.Runs, tally.Changed, tally.Counts)
	if n < 1000 {
		return
	}
	for _, c := range tally.Missing(1) {
		t.Errorf("no seed of %d took the path: %v", n, c)
	}
	if least := tally.Least; least[Operations] < 200 || least[Faults] < 5 {
		t.Errorf("a run had %d operations and %d faults; want 200 and 5", least[Operations], least[Faults])
	}
	if tally.Changed*2 < tally.Runs*9/10 {
		t.Errorf("%d of %d runs changed the membership", tally.Changed, tally.Runs)
	}
}

// runSeeds runs seeds on all cores.
func runSeeds(from, n uint64) *Tally {
	var tally Tally
	var next atomic.Uint64
	var mu sync.Mutex
	var wg sync.WaitGroup
	next.Store(from)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for s := next.Add(1) - 1; s < from+n; s = next.Add(1) - 1 {
				r := Run(NewScenario(s), nil)
				mu.Lock()
				tally.Add(r)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return &tally
}

// TestSameSeedSameTrace also runs with the race detector, by make race, and here
// with other numbers of processors and with other simulations beside it.
func TestSameSeedSameTrace(t *testing.T) {
	traceOf := func(seed uint64) []byte {
		var b bytes.Buffer
		Run(NewScenario(seed), &b)
		return b.Bytes()
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for seed := range uint64(8) {
		runtime.GOMAXPROCS(1)
		want := traceOf(seed)
		runtime.GOMAXPROCS(4)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if got := traceOf(seed); !bytes.Equal(got, want) {
					t.Errorf("seed %d: %s", seed, firstDifference(want, got))
				}
			})
		}
		wg.Wait()
	}
}

func firstDifference(want, got []byte) string {
	a, b := bytes.Split(want, []byte("\n")), bytes.Split(got, []byte("\n"))
	for i := range min(len(a), len(b)) {
		if !bytes.Equal(a[i], b[i]) {
			return "first\n" + string(a[i]) + "\nand then\n" + string(b[i])
		}
	}
	return "one trace is longer"
}

// TestTraceDoesNotMatter keeps the trace from changing what it shows.
func TestTraceDoesNotMatter(t *testing.T) {
	for seed := range uint64(10) {
		var b bytes.Buffer
		with, without := Run(NewScenario(seed), &b), Run(NewScenario(seed), nil)
		if with.Steps != without.Steps || with.Counts != without.Counts {
			t.Errorf("seed %d has %d events with a trace, and %d without", seed, with.Steps, without.Steps)
		}
	}
}

// TestShrink shrinks a failure, which is that of a mutant.
func TestShrink(t *testing.T) {
	h := func() hooks { return hooks{forgetFallback: true} }
	seed, failure := firstFailure(100, h)
	if failure == "" {
		t.Fatal("no failure to shrink")
	}
	s := NewScenario(seed)
	small := shrink(s, h)
	if len(small.Faults) >= len(s.Faults) || run(small, nil, h()).Failure == "" {
		t.Errorf("seed %d is shrunk from %d faults to %d", seed, len(s.Faults), len(small.Faults))
	}
}
