package bench

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The histograms of latencies. Two digits tell percentiles apart to one in a
// hundred, far finer than they repeat, and keep a client's histogram at 30 KB.
const (
	longestLatency = time.Minute
	latencyDigits  = 2
)

// closedLoop is a number of clients that each start the next operation when
// the last one has ended.
type closedLoop struct {
	batch   int
	clients []*client
	all     *hdrhistogram.Histogram
	stop    atomic.Bool
}

// client is one of them. Its fields belong to its goroutine until that ends.
type client struct {
	calls     int64
	err       error
	latencies *hdrhistogram.Histogram
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(longestLatency), latencyDigits)
}

func newClosedLoop(clients, batch int) *closedLoop {
	l := &closedLoop{batch: batch, all: newHistogram()}
	for range clients {
		l.clients = append(l.clients, &client{latencies: newHistogram()})
	}
	return l
}

// run measures one contender for about the given time; each client does at
// least one operation. What is done before the clock starts and after it stops
// is not in the sample: setting up clients, and collecting the last run's garbage.
func (l *closedLoop) run(ctx context.Context, s System, length time.Duration) (Sample, error) {
	start, done := l.ready(s)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	used, began := cpuTime()+cpuOf(s), time.Now()
	close(start)
	timer := time.AfterFunc(length, func() { l.stop.Store(true) })
	interrupt := context.AfterFunc(ctx, func() { l.stop.Store(true) })
	done.Wait()
	elapsed, used := time.Since(began), cpuTime()+cpuOf(s)-used
	runtime.ReadMemStats(&after)
	timer.Stop()
	interrupt()
	if ctx.Err() != nil {
		return Sample{}, context.Cause(ctx)
	}
	return l.sample(spent{elapsed, used}, &before, &after)
}

// ready starts the clients, and returns when all of them wait for start.
func (l *closedLoop) ready(s System) (start chan struct{}, done *sync.WaitGroup) {
	l.stop.Store(false)
	start, done = make(chan struct{}), new(sync.WaitGroup)
	var arrived sync.WaitGroup
	arrived.Add(len(l.clients))
	for i, c := range l.clients {
		op := s.Client(i)
		c.calls, c.err = 0, nil
		c.latencies.Reset()
		done.Go(func() {
			arrived.Done()
			<-start
			c.work(op, &l.stop)
		})
	}
	arrived.Wait()
	return start, done
}

// work calls op until stop. One reading of the clock ends one operation and
// begins the next.
func (c *client) work(op Op, stop *atomic.Bool) {
	last := time.Now()
	for {
		if c.err = op(); c.err != nil {
			stop.Store(true)
			return
		}
		now := time.Now()
		c.calls++
		if c.err = c.latencies.RecordValue(int64(now.Sub(last))); c.err != nil || stop.Load() {
			return
		}
		last = now
	}
}

// spent is what a run took of the clock and of the processors.
type spent struct{ wall, cpu time.Duration }

// sample puts together what the clients found.
func (l *closedLoop) sample(took spent, before, after *runtime.MemStats) (Sample, error) {
	var calls int64
	l.all.Reset()
	for i, c := range l.clients {
		if c.err != nil {
			return Sample{}, fmt.Errorf("client %d, operation %d: %w", i, c.calls+1, c.err)
		}
		calls += c.calls
		l.all.Merge(c.latencies)
	}
	ops := float64(calls) * float64(l.batch)
	s := Sample{
		Nanos:  float64(took.wall) / ops,
		CPU:    float64(took.cpu) / ops,
		Allocs: float64(after.Mallocs-before.Mallocs) / ops,
		Bytes:  float64(after.TotalAlloc-before.TotalAlloc) / ops,
	}
	if l.batch == 1 {
		s.P50 = float64(l.all.ValueAtQuantile(50))
		s.P99 = float64(l.all.ValueAtQuantile(99))
		s.P999 = float64(l.all.ValueAtQuantile(99.9))
	}
	return s, nil
}
