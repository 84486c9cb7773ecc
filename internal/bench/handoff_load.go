package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/torc-io/torc/kv"
)

// The phases of a measurement under load.
const (
	before = iota // one node has everything
	during        // half of it moves
	after         // two nodes share it
	phases
)

var phaseNames = [phases]string{"before", "during", "after"}

// Load is a row: what commands took in one phase.
type Load struct {
	Value string `json:"value"`
	Phase string `json:"phase"`

	// Ratio is the p99 of the transfer's phase by this one's; 0 for itself.
	Ratio float64 `json:"ratio,omitempty"`

	Nanos        float64 `json:"nanos"` // that it lasted, all runs together
	OpsPerSecond float64 `json:"ops_per_second"`
	P50Nanos     float64 `json:"p50_nanos"`
	P99Nanos     float64 `json:"p99_nanos"`
	P999Nanos    float64 `json:"p99_9_nanos"`
	MaxNanos     float64 `json:"max_nanos"`
	Failed       int64   `json:"failed"` // requests; there should be none

	// ItemsPerSecond is how fast items moved under this load.
	ItemsPerSecond float64 `json:"items_per_second,omitempty"`
}

// loaded is what all runs found, by phase.
type loaded struct {
	latencies [phases]*hdrhistogram.Histogram
	lasted    [phases]time.Duration
	failed    [phases]int64
	cause     error // of one of the failures
	items     float64
}

// loads measures commands before, during and after transfers. The latencies of
// all runs go together.
func (config *HandoffConfig) loads(ctx context.Context, size handoffSize) ([]Load, error) {
	l := &loaded{}
	for phase := range l.latencies {
		l.latencies[phase] = newHistogram()
	}
	for range config.Runs {
		if err := config.loadRun(ctx, size, l); err != nil {
			return nil, err
		}
	}
	if l.cause != nil && config.Progress != nil {
		config.Progress(fmt.Sprintf("a request failed: %v", l.cause))
	}
	return l.rows(size), nil
}

// loadRun has clients work while the second node is given its share.
func (config *HandoffConfig) loadRun(ctx context.Context, size handoffSize, l *loaded) (err error) {
	p, err := openPair(ctx, config, size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	var phase atomic.Int32
	clients := make([]loadClient, loadClients)
	var working sync.WaitGroup
	for i := range clients {
		c := &clients[i]
		for phase := range c.latencies {
			c.latencies[phase] = newHistogram()
		}
		working.Go(func() { c.work(ctx, p, i, &phase) })
	}
	rest := func(phase int) error {
		began := time.Now()
		select {
		case <-time.After(config.Load):
		case <-ctx.Done():
		}
		l.lasted[phase] += time.Since(began)
		return context.Cause(ctx)
	}
	err = rest(before)
	if err == nil {
		phase.Store(during)
		began := time.Now()
		err = p.join(ctx)
		l.lasted[during] += time.Since(began)
		phase.Store(after)
	}
	if err == nil {
		err = rest(after)
	}
	phase.Store(phases)
	working.Wait()
	for i := range clients {
		l.add(&clients[i])
	}
	items, _, sent := p.sent()
	l.items += items
	return errors.Join(err, sent)
}

// loadClient does one request after the other. Its fields belong to its
// goroutine until that ends.
type loadClient struct {
	latencies [phases]*hdrhistogram.Histogram
	failed    [phases]int64
	cause     error
}

// work stores and fetches by turns. A request counts for the phase in which it
// began; one that fails is counted, and is no reason to stop.
func (c *loadClient) work(ctx context.Context, p *pair, number int, phase *atomic.Int32) {
	key := p.draw(number)
	for turn := 0; ; turn++ {
		at := phase.Load()
		if at == phases {
			return
		}
		began := time.Now()
		var err error
		if turn%2 == 0 {
			_, err = p.kv.Store(ctx, key(), kv.Value{Bytes: p.value})
		} else {
			_, err = p.kv.Fetch(ctx, key())
		}
		if err != nil {
			c.failed[at]++
			c.cause = err
		}
		_ = c.latencies[at].RecordValue(min(int64(time.Since(began)), int64(longestLatency)))
	}
}

func (l *loaded) add(c *loadClient) {
	for phase := range l.latencies {
		l.latencies[phase].Merge(c.latencies[phase])
		l.failed[phase] += c.failed[phase]
	}
	l.cause = errors.Join(l.cause, c.cause)
}

func (l *loaded) rows(size handoffSize) []Load {
	rows := make([]Load, phases)
	for phase, h := range l.latencies {
		seconds := l.lasted[phase].Seconds()
		rows[phase] = Load{
			Value: size.name, Phase: phaseNames[phase],
			Ratio:        float64(l.latencies[during].ValueAtQuantile(99)) / float64(max(1, h.ValueAtQuantile(99))),
			Nanos:        float64(l.lasted[phase]),
			OpsPerSecond: float64(h.TotalCount()) / seconds,
			P50Nanos:     float64(h.ValueAtQuantile(50)),
			P99Nanos:     float64(h.ValueAtQuantile(99)),
			P999Nanos:    float64(h.ValueAtQuantile(99.9)),
			MaxNanos:     float64(h.Max()),
			Failed:       l.failed[phase],
		}
	}
	rows[during].Ratio, rows[during].ItemsPerSecond = 0, l.items/l.lasted[during].Seconds()
	// The phase that is measured comes first, as the subject of a case does.
	return slices.Concat(rows[during:during+1], rows[:during], rows[after:])
}
