package load

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The histograms of latencies. Two digits tell percentiles apart to one in a
// hundred, finer than they repeat.
const (
	longestLatency = time.Hour
	latencyDigits  = 2
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(longestLatency), latencyDigits)
}

// times is what operations of one kind have taken.
type times struct{ latency, service *hdrhistogram.Histogram }

func newTimes() times { return times{newHistogram(), newHistogram()} }

func (t times) add(other times) {
	t.latency.Merge(other.latency)
	t.service.Merge(other.service)
}

func (t times) reset() {
	t.latency.Reset()
	t.service.Reset()
}

// record is what is known of operations that have ended.
type record struct {
	times     [kinds]times
	failures  map[string]*Failure // by kind
	failed    int64
	abandoned int64
}

func newRecord() *record {
	r := &record{failures: make(map[string]*Failure)}
	for kind := range r.times {
		r.times[kind] = newTimes()
	}
	return r
}

// add takes over what another has, and empties it.
func (r *record) add(other *record) {
	for kind := range r.times {
		r.times[kind].add(other.times[kind])
		other.times[kind].reset()
	}
	for kind, f := range other.failures {
		r.fail(kind, f.Count, f.Example)
	}
	clear(other.failures)
	r.abandoned += other.abandoned
	other.failed, other.abandoned = 0, 0
}

func (r *record) fail(kind string, count int64, example string) {
	f, known := r.failures[kind]
	if !known {
		f = &Failure{Kind: kind, Example: example}
		r.failures[kind] = f
	}
	f.Count += count
	r.failed += count
}

// succeeded counts the operations that did.
func (r *record) succeeded() (count int64) {
	for _, t := range r.times {
		count += t.latency.TotalCount()
	}
	return count
}

// all returns the times of all kinds together.
func (r *record) all() times {
	sum := newTimes()
	for _, t := range r.times {
		sum.add(t)
	}
	return sum
}

// sorted returns the failures, the most frequent first.
func (r *record) sorted() []Failure {
	var all []Failure
	for _, f := range r.failures {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// shard is the record of some of the clients since it was last emptied.
type shard struct {
	mu sync.Mutex
	record
}

// ended is an operation that has.
type ended struct {
	kind             Kind
	latency, service time.Duration
	err              error
	abandoned        bool
}

// note records it. A failure's kind is worked out outside of the lock.
func (s *shard) note(e ended, classify func(error) string) {
	kind := ""
	if e.err != nil && !e.abandoned {
		kind = classify(e.err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.abandoned:
		s.abandoned++
	case e.err != nil:
		s.fail(kind, 1, e.err.Error())
	default:
		t := s.times[e.kind]
		// Both are within the range of the histograms, which is all they refuse.
		_ = t.latency.RecordValue(int64(clamp(e.latency)))
		_ = t.service.RecordValue(int64(clamp(e.service)))
	}
}

func clamp(d time.Duration) time.Duration { return max(1, min(d, longestLatency)) }
