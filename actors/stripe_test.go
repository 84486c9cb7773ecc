package actors

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/torc-io/torc/coordinator"
)

// poolOf returns a pool of coordinators, over several stripes however many
// processors there are.
func poolOf(t *testing.T, limit, stripes int) *coordinatorPool {
	t.Helper()
	n := &Node{table: newReplyTable(), system: quietSystem()}
	n.coordinators = newCoordinatorPool(n, limit)
	n.coordinators.stripes.all = nil
	for i := range stripes {
		n.coordinators.stripes.all = append(n.coordinators.stripes.all, &stripe{index: i})
	}
	t.Cleanup(n.coordinators.close)
	return n.coordinators
}

// TestRequestsAreBounded: by all stripes together, also when the coordinators that
// are free are another stripe's.
func TestRequestsAreBounded(t *testing.T) {
	p := poolOf(t, 2, 3)
	all := p.stripes.all
	a, b := p.take(all[0]), p.take(all[1])
	if a == nil || b == nil || a == b {
		t.Fatal("there was room for two")
	}
	for _, s := range all {
		if p.take(s) != nil {
			t.Fatal("a third request was taken")
		}
	}
	a.release()
	c := p.take(all[2])
	if c != a || c.stripe != all[2] {
		t.Error("the one that was free was not found")
	}
	b.release()
	c.release()
	if again := p.take(all[2]); again != c {
		t.Error("a coordinator stays with the stripe that used it last")
	}
}

// TestABurstIsForgotten: a stripe keeps some coordinators, and the others end.
func TestABurstIsForgotten(t *testing.T) {
	p := poolOf(t, 10*keepCoordinators, 2)
	var burst []*coordinatorActor
	for range 2 * keepCoordinators {
		burst = append(burst, p.take(p.stripes.all[0]))
	}
	for _, c := range burst {
		c.release()
	}
	if live := p.live.Load(); live != keepCoordinators {
		t.Errorf("%d coordinators are left, want %d", live, keepCoordinators)
	}
	p.close()
	if live := p.live.Load(); live != 0 {
		t.Errorf("%d coordinators are left of a closed pool", live)
	}
}

// TestIDsAreUnique: however many take some at a time, from whichever stripe.
func TestIDsAreUnique(t *testing.T) {
	p := poolOf(t, 100, 3)
	var mu sync.Mutex
	seen := make(map[uint32]int)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for range replyBlock {
				c := p.take(p.stripes.all[worker%3])
				mu.Lock()
				seen[c.id]++
				mu.Unlock()
				c.release()
			}
		})
	}
	wg.Wait()
	if len(seen) != 8*replyBlock || seen[0] > 0 {
		t.Errorf("%d ids of %d, 0 was given %d times", len(seen), 8*replyBlock, seen[0])
	}
}

// TestStripesAreShared: whoever asks gets one of the stripes, and counts on it.
func TestStripesAreShared(t *testing.T) {
	s := newStripes()
	m := newMethodMeter("kv", "Store", newMetrics().panics, len(s.all))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				m.observe(s.here(), nil, time.Microsecond)
			}
		})
	}
	wg.Wait()
	if got := gather(t, m)["ok"]; got != 8000 {
		t.Errorf("%v requests were counted, want 8000", got)
	}
}

// TestMeter: what is counted on different stripes is one number, and a request is
// in each bucket that it is not too slow for.
func TestMeter(t *testing.T) {
	m := newMethodMeter("kv", "Store", newMetrics().panics, 2)
	one, two := &stripe{index: 0}, &stripe{index: 1}
	m.observe(one, nil, 10*time.Microsecond) // the bounds are inclusive
	m.observe(two, nil, 11*time.Microsecond)
	m.observe(two, fmt.Errorf("busy: %w", ErrOverloaded), time.Second)
	m.observe(one, &coordinator.QuorumError{Outcome: coordinator.Unknown}, time.Hour)
	m.observe(one, ErrNotFound, time.Millisecond)
	m.observe(one, ErrTooLarge, 0)
	m.observe(one, errors.New("other"), 0)
	got := gather(t, m)
	want := map[string]float64{
		"ok": 2, "overloaded": 1, "unknown": 1, "not_found": 1, "invalid": 1, "failed": 1,
		"≤1e-05": 3, "≤2.5e-05": 4, "≤0.0005": 4, "≤0.001": 5, "≤0.5": 5, "≤1": 6, "≤5": 6, "count": 7, "sum": 3601.001021,
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
}

// gather returns what a meter reports.
func gather(t *testing.T, m *methodMeter) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(&meters{&Node{meters: map[*Method]*methodMeter{{}: m}}})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			if h := metric.GetHistogram(); h != nil {
				got["count"], got["sum"] = float64(h.GetSampleCount()), h.GetSampleSum()
				for _, b := range h.GetBucket() {
					got[fmt.Sprintf("≤%g", b.GetUpperBound())] = float64(b.GetCumulativeCount())
				}
				continue
			}
			for _, l := range metric.GetLabel() {
				if l.GetName() == "outcome" {
					got[l.GetValue()] = metric.GetCounter().GetValue()
				}
			}
		}
	}
	return got
}
