package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a run has measured.
type Result struct {
	// Elapsed is from the first operation's start to the last one's end.
	Elapsed time.Duration
	// All, Reads and Writes are the operations that succeeded.
	All, Reads, Writes Figures
	// Failures are the others, the most frequent kind first.
	Failures []Failure
	// Unsent were due before the end and did not start.
	Unsent int64
	// Abandoned were under way when the run was interrupted. They are in no other
	// number.
	Abandoned int64
}

// Failed is how many operations failed.
func (r *Result) Failed() (count int64) {
	for _, f := range r.Failures {
		count += f.Count
	}
	return count
}

// Failure is a kind of error.
type Failure struct {
	Kind    string
	Count   int64
	Example string // the text of the first one
}

// Figures are those of some operations.
type Figures struct {
	Count int64
	// Latency is from the start that was meant, Service from the start that was.
	// In a closed loop they are the same.
	Latency, Service Percentiles
}

// Percentiles are times within which that part of the operations ended.
type Percentiles struct{ P50, P90, P99, P999, Max time.Duration }

func figuresOf(t times) Figures {
	return Figures{t.latency.TotalCount(), percentilesOf(t.latency), percentilesOf(t.service)}
}

func percentilesOf(h *hdrhistogram.Histogram) Percentiles {
	at := func(q float64) time.Duration { return time.Duration(h.ValueAtQuantile(q)) }
	return Percentiles{at(50), at(90), at(99), at(99.9), time.Duration(h.Max())}
}

// Progress is how a run goes.
type Progress struct {
	Elapsed      time.Duration
	Done, Failed int64 // since the start; Done has those that failed too

	// Of the time since the last one.
	PerSecond float64
	P50, P99  time.Duration
}
