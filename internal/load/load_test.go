package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// server answers one operation after the other, each in the same time, and
// stands still once. That its clients wait is what a mailbox does to them.
type server struct {
	turn    chan struct{}
	takes   time.Duration
	stands  time.Duration // how long it stands still,
	standAt time.Time     // at its first operation from then on
	once    sync.Once
}

func newServer(takes time.Duration) *server {
	return &server{turn: make(chan struct{}, 1), takes: takes}
}

func (s *server) do(ctx context.Context, _ Op) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	if s.stands > 0 && !time.Now().Before(s.standAt) {
		s.once.Do(func() { time.Sleep(s.stands) })
	}
	time.Sleep(s.takes)
	return nil
}

func keys() Keys { return Keys{Count: 10} }

func drive(t *testing.T, config Config, target Target) *Result {
	t.Helper()
	config.Keys = keys()
	result, err := Run(t.Context(), config, target)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// near allows for the two digits of a histogram.
func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if math.Abs(float64(got-want)) > .01*float64(want)+1 {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// TestOpenLoopShowsWhatClosedHides: a server that stands still for a second. One
// operation of the closed loop saw that, and a hundred users who came meanwhile.
func TestOpenLoopShowsWhatClosedHides(t *testing.T) {
	still := func() *server {
		s := newServer(time.Millisecond)
		s.stands, s.standAt = time.Second, time.Now().Add(2*time.Second)
		return s
	}
	synctest.Test(t, func(t *testing.T) {
		closed := drive(t, Config{Clients: 1, Time: 5 * time.Second}, still().do)
		near(t, "closed p99.9", closed.All.Latency.P999, time.Millisecond)
		near(t, "closed max", closed.All.Latency.Max, 1001*time.Millisecond)
	})
	synctest.Test(t, func(t *testing.T) {
		open := drive(t, Config{Rate: 100, Clients: 1, Time: 5 * time.Second}, still().do)
		if open.All.Count != 500 || open.Unsent != 0 {
			t.Errorf("%d operations, and %d unsent", open.All.Count, open.Unsent)
		}
		near(t, "open p50", open.All.Latency.P50, time.Millisecond)
		// 9 ms of waiting are made up for with each operation: the fifth that waited
		// longest had 965 ms.
		near(t, "open p99", open.All.Latency.P99, 965*time.Millisecond)
		near(t, "open max", open.All.Latency.Max, 1001*time.Millisecond)
		near(t, "service p99", open.All.Service.P99, time.Millisecond)
	})
}

// TestOverload: at twice the rate that a server can carry, latency grows by half
// a second a second, and half of what is due is not sent.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := drive(t, Config{Rate: 200, Clients: 1, Time: 10 * time.Second}, newServer(10*time.Millisecond).do)
		if open.All.Count != 1000 || open.Unsent != 1000 {
			t.Errorf("%d operations and %d unsent, want 1000 and 1000", open.All.Count, open.Unsent)
		}
		near(t, "p50", open.All.Latency.P50, 2505*time.Millisecond)
		near(t, "max", open.All.Latency.Max, 5005*time.Millisecond)
		near(t, "service", open.All.Service.Max, 10*time.Millisecond)
	})
}

// TestClosedLoop: as many at a time as there are clients, by Little's law.
func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parallel := func(context.Context, Op) error { time.Sleep(10 * time.Millisecond); return nil }
		result := drive(t, Config{Clients: 8, Time: 995 * time.Millisecond}, parallel)
		if result.All.Count != 800 || result.Elapsed != time.Second {
			t.Errorf("%d operations in %v, want 800 in 1s", result.All.Count, result.Elapsed)
		}
		near(t, "max", result.All.Latency.Max, 10*time.Millisecond)
	})
}

// TestCountBounds: not one operation more, in either loop.
func TestCountBounds(t *testing.T) {
	for _, rate := range []float64{0, 1000} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			called := 0
			result := drive(t, Config{Rate: rate, Clients: 4, Count: 101, Reads: .5}, func(context.Context, Op) error {
				mu.Lock()
				defer mu.Unlock()
				called++
				return nil
			})
			if called != 101 || result.All.Count != 101 || result.Reads.Count+result.Writes.Count != 101 || result.Unsent != 0 {
				t.Errorf("called %d times, counted %d (%d, %d), %d unsent", called, result.All.Count,
					result.Reads.Count, result.Writes.Count, result.Unsent)
			}
		})
	}
}

// TestOpenLoopKeepsTheRate: operations start when they are meant to, however
// many are under way.
func TestOpenLoopKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		starts := make(map[time.Duration]int)
		result := drive(t, Config{Rate: 400, Clients: 100, Count: 800}, func(context.Context, Op) error {
			mu.Lock()
			starts[time.Since(began)]++
			mu.Unlock()
			time.Sleep(200 * time.Millisecond)
			return nil
		})
		for i := range 800 {
			if at := time.Duration(i) * 2500 * time.Microsecond; starts[at] != 1 {
				t.Fatalf("%d operations started at %v", starts[at], at)
			}
		}
		near(t, "latency", result.All.Latency.Max, 200*time.Millisecond)
	})
}

var errRefused, errBroken = errors.New("refused"), errors.New("broken")

// TestErrorsByKind: they are counted, and are in no percentile.
func TestErrorsByKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		result := drive(t, Config{
			Clients: 1, Count: 10,
			Classify: func(err error) string {
				if errors.Is(err, errRefused) {
					return "refused"
				}
				return "other"
			},
		}, func(context.Context, Op) error {
			calls++
			time.Sleep(time.Second)
			switch {
			case calls <= 3:
				return fmt.Errorf("%w: %d", errRefused, calls)
			case calls == 4:
				return errBroken
			}
			return nil
		})
		want := []Failure{{"refused", 3, "refused: 1"}, {"other", 1, "broken"}}
		if fmt.Sprint(result.Failures) != fmt.Sprint(want) || result.Failed() != 4 || result.All.Count != 6 {
			t.Errorf("%v, %d succeeded", result.Failures, result.All.Count)
		}
	})
}

// TestInterrupt: what was measured counts, and what was under way does not.
func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(1050*time.Millisecond, cancel)
		wait := func(ctx context.Context, _ Op) error {
			select {
			case <-time.After(100 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		result, err := Run(ctx, Config{Clients: 3, Time: time.Hour, Keys: keys()}, wait)
		if err != nil || result.All.Count != 30 || result.Abandoned != 3 || result.Failed() != 0 || result.Elapsed != 1050*time.Millisecond {
			t.Errorf("%+v, %v", result, err)
		}
	})
}

// TestWatch: each second has its own numbers.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []Progress
		began := time.Now()
		drive(t, Config{Clients: 1, Time: 2500 * time.Millisecond, Watch: func(p Progress) { seen = append(seen, p) }},
			func(context.Context, Op) error {
				if time.Since(began) < time.Second {
					time.Sleep(90 * time.Millisecond)
					return nil
				}
				time.Sleep(50 * time.Millisecond)
				return errBroken
			})
		if len(seen) != 2 {
			t.Fatalf("told %d times, want 2", len(seen))
		}
		first, second := seen[0], seen[1]
		near(t, "p50 of the first second", first.P50, 90*time.Millisecond)
		// The twelfth ends at 1.08 s, and 18 fail from then on.
		if first.Done != 11 || first.Failed != 0 || second.Failed != 18 || second.Done != 30 || second.PerSecond != 19 {
			t.Errorf("%+v, %+v", first, second)
		}
	})
}

// TestMix: reads and writes in their parts, from keys as they are to be drawn.
func TestMix(t *testing.T) {
	const draws = 100_000
	for _, skew := range []float64{0, 1.2} {
		config := Config{Reads: .9, Keys: Keys{Count: 1000, Skew: skew}, ValueBytes: 7, Seed: 3}
		m := newMaterial(&config)
		draw := m.draw(0)
		reads, hits := 0, make(map[string]int)
		for range draws {
			op := draw()
			hits[string(op.Key)]++
			if op.Kind == Read {
				reads++
			} else if len(op.Value) != 7 {
				t.Fatalf("a value of %d bytes", len(op.Value))
			}
		}
		first := hits[string(m.keys[0])]
		if math.Abs(float64(reads)-.9*draws) > .01*draws {
			t.Errorf("%d of %d are reads", reads, draws)
		}
		if skew == 0 && (len(hits) != 1000 || first > 200) || skew > 0 && first < draws/10 {
			t.Errorf("skew %v: %d keys, %d times the first", skew, len(hits), first)
		}
	}
}

func TestFill(t *testing.T) {
	var mu sync.Mutex
	stored := make(map[string]int)
	config := Config{Clients: 7, Keys: Keys{Count: 100}, ValueBytes: 1}
	err := Fill(t.Context(), config, func(_ context.Context, op Op) error {
		mu.Lock()
		defer mu.Unlock()
		stored[string(op.Key)]++
		return nil
	})
	if err != nil || len(stored) != 100 {
		t.Errorf("%d keys, %v", len(stored), err)
	}
	err = Fill(t.Context(), config, func(context.Context, Op) error { return errBroken })
	if !errors.Is(err, errBroken) {
		t.Error(err)
	}
}

func TestSenselessConfigs(t *testing.T) {
	good := Config{Clients: 1, Count: 1, Keys: keys()}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no bound":      func(c *Config) { c.Count = 0 },
		"no clients":    func(c *Config) { c.Clients = 0 },
		"negative rate": func(c *Config) { c.Rate = -1 },
		"no rate":       func(c *Config) { c.Rate = math.NaN() },
		"reads":         func(c *Config) { c.Reads = 1.5 },
		"no keys":       func(c *Config) { c.Keys.Count = 0 },
		"flat Zipf":     func(c *Config) { c.Keys.Skew = .99 },
		"value":         func(c *Config) { c.ValueBytes = -1 },
	} {
		bad := good
		spoil(&bad)
		if _, err := Run(t.Context(), bad, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
