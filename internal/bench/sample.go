package bench

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Sample is what one measurement found. All times are nanoseconds.
type Sample struct {
	Nanos          float64 // wall time by operations, over all clients
	CPU            float64 // processor time by operations; 0 if unknown
	P50, P99, P999 float64 // latency; 0 where operations were timed in batches
	Allocs, Bytes  float64 // per operation, of the whole process
}

// Result is a row: a contender's samples, each column's median by itself.
type Result struct {
	Case      string `json:"case"`
	Detail    string `json:"detail,omitempty"`
	Clients   int    `json:"clients"`
	Contender string `json:"contender"`

	// Ratio is the subject's time per operation to this contender's; 0 for the
	// subject itself, and where there is none.
	Ratio float64 `json:"ratio,omitempty"`
	// CPURatio is the same of their processor time.
	CPURatio float64 `json:"cpu_ratio,omitempty"`

	OpsPerSecond float64 `json:"ops_per_second"`
	NanosPerOp   float64 `json:"nanos_per_op"`
	CPUNanos     float64 `json:"cpu_nanos_per_op,omitempty"`
	P50Nanos     float64 `json:"p50_nanos,omitempty"`
	P99Nanos     float64 `json:"p99_nanos,omitempty"`
	P999Nanos    float64 `json:"p99_9_nanos,omitempty"`
	AllocsPerOp  float64 `json:"allocs_per_op"`
	BytesPerOp   float64 `json:"bytes_per_op"`

	// Spread is how far the slowest run was from the fastest, as a part of the
	// median: how noisy the machine was.
	Spread float64 `json:"spread"`
}

// summarise makes the rows of a case: rounds holds the samples by contender.
func (c *Case) summarise(rounds [][]Sample) []Result {
	results := make([]Result, len(rounds))
	for i, samples := range rounds {
		column := func(of func(Sample) float64) float64 { return median(collect(samples, of)) }
		times := collect(samples, func(s Sample) float64 { return s.Nanos })
		results[i] = Result{
			Case: c.Name, Detail: c.Detail, Clients: c.Clients, Contender: c.Contenders[i].Name,
			OpsPerSecond: float64(time.Second) / median(times),
			NanosPerOp:   median(times),
			CPUNanos:     column(func(s Sample) float64 { return s.CPU }),
			P50Nanos:     column(func(s Sample) float64 { return s.P50 }),
			P99Nanos:     column(func(s Sample) float64 { return s.P99 }),
			P999Nanos:    column(func(s Sample) float64 { return s.P999 }),
			AllocsPerOp:  column(func(s Sample) float64 { return s.Allocs }),
			BytesPerOp:   column(func(s Sample) float64 { return s.Bytes }),
			Spread:       (slices.Max(times) - slices.Min(times)) / median(times),
		}
		if i > 0 {
			results[i].Ratio = ratio(rounds[0], samples)
			results[i].CPURatio = cpuRatio(rounds[0], samples)
		}
	}
	return results
}

// ratio is the median of the ratios that two contenders had in the same round.
func ratio(subject, other []Sample) float64 {
	return ratioOf(subject, other, func(s Sample) float64 { return s.Nanos })
}

// cpuRatio is that of their processor time; 0 if the system does not tell it, or
// not exactly enough.
func cpuRatio(subject, other []Sample) float64 {
	value := ratioOf(subject, other, func(s Sample) float64 { return s.CPU })
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0
	}
	return value
}

func ratioOf[S any](subject, other []S, nanos func(S) float64) float64 {
	ratios := make([]float64, len(subject))
	for round := range ratios {
		ratios[round] = nanos(subject[round]) / nanos(other[round])
	}
	return median(ratios)
}

func collect[S any](samples []S, of func(S) float64) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	return values
}

// median returns the middle value, or the mean of the two in the middle. It
// sorts a copy. Of nothing it is not a number.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.SortedFunc(slices.Values(values), cmp.Compare[float64])
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}
