package actors

import (
	"errors"
	"sort"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/torc-io/torc/coordinator"
)

// latencyBuckets span what a request can take, from a local vnode's few
// microseconds to the default timeout, in steps of about 2.5.
var latencyBuckets = [...]time.Duration{
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second,
}

// outcome is how a request ended.
type outcome uint8

const (
	outcomeOK outcome = iota
	outcomeNotFound
	outcomeInvalid
	outcomeOverloaded
	outcomeFailed
	outcomeUnknown
)

var outcomeNames = [...]string{"ok", "not_found", "invalid", "overloaded", "failed", "unknown"}

// outcomeOf says how a request with this error ended.
func outcomeOf(err error) outcome {
	if err == nil {
		return outcomeOK
	}
	short, isQuorum := errors.AsType[*coordinator.QuorumError](err)
	switch {
	case isQuorum && short.Outcome == coordinator.Unknown:
		return outcomeUnknown
	case errors.Is(err, ErrOverloaded):
		return outcomeOverloaded
	case errors.Is(err, ErrNotFound):
		return outcomeNotFound
	case errors.Is(err, ErrInvalid), errors.Is(err, ErrTooLarge):
		return outcomeInvalid
	default:
		return outcomeFailed
	}
}

// methodMeter is what one command counts.
type methodMeter struct {
	service, command string
	panics           prometheus.Counter
	tallies          []*tally // by stripe
}

// tally is the part of the requests that one stripe counts. Prometheus's own
// counters are one for all processors.
type tally struct {
	ended [len(outcomeNames)]atomic.Uint64
	took  [len(latencyBuckets) + 1]atomic.Uint64 // by the bucket alone, not cumulative
	nanos atomic.Uint64                          // that all of them took

	_ [64]byte // keeps neighbours off one cache line
}

func newMethodMeter(service, command string, panics *prometheus.CounterVec, stripes int) *methodMeter {
	m := &methodMeter{service: service, command: command, tallies: make([]*tally, stripes)}
	m.panics = panics.WithLabelValues(service, command)
	for i := range m.tallies {
		m.tallies[i] = &tally{}
	}
	return m
}

// observe counts one request.
func (m *methodMeter) observe(here *stripe, err error, took time.Duration) {
	t := m.tallies[here.index]
	t.ended[outcomeOf(err)].Add(1)
	bucket := sort.Search(len(latencyBuckets), func(i int) bool { return took <= latencyBuckets[i] })
	t.took[bucket].Add(1)
	t.nanos.Add(uint64(took))
}

var (
	descRequests = prometheus.NewDesc("torc_requests_total", "Coordinated requests, by how they ended.", []string{"service", "command", "outcome"}, nil)
	descDuration = prometheus.NewDesc("torc_request_duration_seconds", "Time from a request to its answer.", []string{"service", "command"}, nil)
)

// meters reports what all commands have counted.
type meters struct{ node *Node }

// Describe names the metrics.
func (m *meters) Describe(ch chan<- *prometheus.Desc) {
	ch <- descRequests
	ch <- descDuration
}

// Collect sums up the stripes.
func (m *meters) Collect(ch chan<- prometheus.Metric) {
	for _, meter := range m.node.meters {
		meter.collect(ch)
	}
}

func (m *methodMeter) collect(ch chan<- prometheus.Metric) {
	for i, name := range outcomeNames {
		sum := uint64(0)
		for _, t := range m.tallies {
			sum += t.ended[i].Load()
		}
		ch <- prometheus.MustNewConstMetric(descRequests, prometheus.CounterValue, float64(sum), m.service, m.command, name)
	}
	count, nanos, upTo := uint64(0), uint64(0), make(map[float64]uint64, len(latencyBuckets))
	for i := range len(latencyBuckets) + 1 {
		for _, t := range m.tallies {
			count += t.took[i].Load()
		}
		if i < len(latencyBuckets) {
			upTo[latencyBuckets[i].Seconds()] = count
		}
	}
	for _, t := range m.tallies {
		nanos += t.nanos.Load()
	}
	ch <- prometheus.MustNewConstHistogram(descDuration, count, time.Duration(nanos).Seconds(), upTo, m.service, m.command)
}
