package main

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/internal/load"
)

// TestBenchInterrupted: the end of its context, which is what a signal makes of
// it, ends it with what was measured so far.
func TestBenchInterrupted(t *testing.T) {
	var out, errs bytes.Buffer
	b := benching{operator: &operator{streams: streams{nil, &out, &errs}}, bare: true}
	b.load = load.Config{Clients: 2, Time: time.Hour, Keys: load.Keys{Count: 1}}
	ctx, interrupt := context.WithCancel(t.Context())
	var calls atomic.Int64
	result, err := b.measure(ctx, func(ctx context.Context, _ load.Op) error {
		if calls.Add(1) <= 10 {
			return nil
		}
		interrupt()
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if err != nil || result.All.Count != 10 || result.Abandoned < 1 || result.Failed() > 0 {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestBenchReport: the table of an overloaded open loop.
func TestBenchReport(t *testing.T) {
	b := benching{operator: &operator{}, over: overNothing, members: 3, distribution: zipf}
	b.load = load.Config{Rate: 5000, Clients: 64, Reads: .9, Keys: load.Keys{Count: 1000, Skew: 1.2}, ValueBytes: 1000}
	b.quorum.values = map[string][]string{"r": {"all"}}
	times := load.Percentiles{P50: 1234567, P90: 2 * time.Millisecond, P99: 3 * time.Second, P999: 61 * time.Second, Max: 2 * time.Minute}
	quick := load.Percentiles{P50: 999, P90: 1000, P99: 99_940, P999: 999_999, Max: 1e6}
	figures := load.Figures{Count: 900, Latency: times, Service: quick}
	report := b.report(&load.Result{
		Elapsed: 2 * time.Second, All: figures, Reads: figures, Writes: load.Figures{},
		Failures: []load.Failure{{Kind: "overloaded", Count: 7, Example: "the node is full"}}, Unsent: 12, Abandoned: 3,
	})
	const want = `open loop, 5000 a second, at most 64 under way; inside, 3 members; 90% reads; 1000 keys, zipf 1.20; 1.00 kB; r=all; 2s

Requests    Count   Per s   p50      p90   p99       p99.9   Max
all         900     450     1.23ms   2ms   3s        1m1s    2m0s
  service   900     450     999ns    1µs   99.94µs   1ms     1ms
reads       900     450     1.23ms   2ms   3s        1m1s    2m0s
  service   900     450     999ns    1µs   99.94µs   1ms     1ms
writes      0       0       0s       0s    0s        0s      0s
  service   0       0       0s       0s    0s        0s      0s

Errors       Count   For example
overloaded   7       the node is full
12 were due and not sent: the rate is more than the cluster carries, or than --clients allow
interrupted; 3 under way were abandoned
`
	if got := report.draw(palette{}); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestBenchLiveLine(t *testing.T) {
	var screen bytes.Buffer
	line := liveLine{&screen, true}
	line.draw(progressText(load.Progress{Elapsed: 3 * time.Second, Done: 12_000, Failed: 2, PerSecond: 4000.4, P50: 250_000, P99: 3e6}))
	line.end()
	if want := clearLine + noWrap + "3s   12000 requests, 4000/s, p50 250µs, p99 3ms, 2 failed" + wrap + clearLine; screen.String() != want {
		t.Errorf("got %q, want %q", screen.String(), want)
	}
}

// TestFailureKinds: the words are the same over every way.
func TestFailureKinds(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("wrapped: %w", torc.ErrOverloaded), "overloaded"},
		{&problemError{httpapi.Problem{Type: "urn:torc:overloaded"}}, "overloaded"},
		{&problemError{httpapi.Problem{Type: "urn:torc:too-few-replicas"}}, "too few replicas"},
		{&torc.QuorumError{}, "too few replicas"},
		{&problemError{httpapi.Problem{Status: 418}}, "status 418"},
		{torc.ErrNotFound, "not found"},
		{fmt.Errorf("%w: %w", torc.ErrNoReply, context.DeadlineExceeded), "timeout"},
		{fmt.Errorf("dial: %w", syscall.ECONNREFUSED), "unreachable"},
		{fmt.Errorf("something"), "other"},
	} {
		if got := kindOfFailure(test.err); got != test.want {
			t.Errorf("%v is %q, want %q", test.err, got, test.want)
		}
	}
}
