package load

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// run is one run. The totals belong to the goroutine that collects.
type run struct {
	config   Config
	target   Target
	material *material
	began    time.Time
	tickets  atomic.Int64 // operations that a client has taken on
	started  atomic.Int64 // those of them that started
	shards   []*shard
	totals   *record
}

// Run drives a load until it has its count or its time, or ctx ends, and returns
// what it has measured until then. What is under way when ctx ends is abandoned.
// The error is only for a configuration that makes no sense.
func Run(ctx context.Context, config Config, target Target) (*Result, error) {
	if err := config.Check(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if config.Classify == nil {
		config.Classify = error.Error
	}
	r := &run{config: config, target: target, material: newMaterial(&config), totals: newRecord()}
	for range min(config.Clients, 2*runtime.GOMAXPROCS(0)) { // few of them meet at a lock, and few histograms are enough
		r.shards = append(r.shards, &shard{record: *newRecord()})
	}
	return r.run(ctx), nil
}

func (r *run) run(ctx context.Context) *Result {
	r.began = time.Now()
	var clients sync.WaitGroup
	for i := range r.config.Clients {
		clients.Go(func() { r.work(ctx, i) })
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		clients.Wait()
	}()
	r.collect(ended)
	return r.result(time.Since(r.began))
}

// work is one client.
func (r *run) work(ctx context.Context, number int) {
	draw, shard := r.material.draw(number), r.shards[number%len(r.shards)]
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		meant, ok := r.next(ctx, timer)
		if !ok {
			return
		}
		r.started.Add(1)
		op, start := draw(), time.Now()
		if r.config.Rate == 0 {
			meant = start
		}
		err := r.target(ctx, op)
		end := time.Now()
		shard.note(ended{op.Kind, end.Sub(meant), end.Sub(start), err, err != nil && ctx.Err() != nil}, r.config.Classify)
	}
}

// next waits until the client has an operation to start, and returns when that
// was meant to be. There is none any more once the run is over.
func (r *run) next(ctx context.Context, timer *time.Timer) (meant time.Time, ok bool) {
	ticket, now := r.tickets.Add(1)-1, time.Now()
	if r.config.Count > 0 && ticket >= r.config.Count || !r.within(now) || ctx.Err() != nil {
		return time.Time{}, false
	}
	if r.config.Rate == 0 {
		return now, true
	}
	meant = r.began.Add(r.config.due(ticket))
	if !meant.After(now) {
		return meant, true
	}
	if !r.within(meant) {
		return time.Time{}, false
	}
	timer.Reset(meant.Sub(now))
	select {
	case <-timer.C:
		return meant, true
	case <-ctx.Done():
		return time.Time{}, false
	}
}

// within says whether an operation may start at a time.
func (r *run) within(start time.Time) bool {
	return r.config.Time == 0 || start.Sub(r.began) < r.config.Time
}

// collect gathers what the clients have recorded, and tells how it goes, until
// they have ended.
func (r *run) collect(ended <-chan struct{}) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	last := r.began
	for {
		select {
		case <-ended:
			r.totals.add(r.recent())
			return
		case now := <-tick.C:
			recent := r.recent()
			progress := r.progress(recent, now, now.Sub(last))
			last = now
			if r.config.Watch != nil {
				r.config.Watch(progress)
			}
		}
	}
}

// recent empties the shards.
func (r *run) recent() *record {
	sum := newRecord()
	for _, s := range r.shards {
		s.mu.Lock()
		sum.add(&s.record)
		s.mu.Unlock()
	}
	return sum
}

// progress adds what is recent to the totals, and says how the run goes.
func (r *run) progress(recent *record, now time.Time, took time.Duration) Progress {
	latency, done := recent.all().latency, recent.succeeded()+recent.failed
	r.totals.add(recent)
	return Progress{
		Elapsed: now.Sub(r.began), Done: r.totals.succeeded() + r.totals.failed, Failed: r.totals.failed,
		PerSecond: float64(done) / took.Seconds(),
		P50:       time.Duration(latency.ValueAtQuantile(50)), P99: time.Duration(latency.ValueAtQuantile(99)),
	}
}

func (r *run) result(elapsed time.Duration) *Result {
	result := &Result{
		Elapsed: elapsed, All: figuresOf(r.totals.all()),
		Reads: figuresOf(r.totals.times[Read]), Writes: figuresOf(r.totals.times[Write]),
		Failures: r.totals.sorted(), Abandoned: r.totals.abandoned,
	}
	if r.config.Rate > 0 {
		result.Unsent = max(0, r.dueWithin(elapsed)-r.started.Load())
	}
	return result
}

// dueWithin is how many operations were meant to start in a time.
func (r *run) dueWithin(elapsed time.Duration) int64 {
	if r.config.Time > 0 {
		elapsed = min(elapsed, r.config.Time)
	}
	due := int64(math.Ceil(elapsed.Seconds() * r.config.Rate))
	if r.config.Count > 0 {
		due = min(due, r.config.Count)
	}
	return due
}

// Fill writes every key once, as many at a time as there are clients. It returns
// the first error.
func Fill(ctx context.Context, config Config, target Target) error {
	if err := config.Keys.check(); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	material := newMaterial(&config)
	var next atomic.Int64
	var clients sync.WaitGroup
	for range max(1, config.Clients) {
		clients.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(material.keys)) && ctx.Err() == nil; i = next.Add(1) - 1 {
				op := Op{Kind: Write, Key: material.keys[i], Number: int(i), Value: material.value}
				if err := target(ctx, op); err != nil {
					cancel(fmt.Errorf("write %s: %w", op.Key, err))
				}
			}
		})
	}
	clients.Wait()
	return context.Cause(ctx)
}
