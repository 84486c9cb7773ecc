package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/torc-io/torc/internal/load"
)

// Paced is a row: latency at a part of the highest rate, in an open loop, where it
// counts from when an operation was meant to start.
type Paced struct {
	Work      string  `json:"work"`
	Part      float64 `json:"part"` // of the highest rate
	PerSecond float64 `json:"ops_per_second"`
	P50Nanos  float64 `json:"p50_nanos"`
	P99Nanos  float64 `json:"p99_nanos"`
	P999Nanos float64 `json:"p99_9_nanos"`
	MaxNanos  float64 `json:"max_nanos"`
	Unsent    float64 `json:"unsent"` // that were due when the time was over
}

// pacedClients are those of the closed loop that finds the highest rate, and more
// than are under way at half of it.
const pacedClients = 64

// pacedParts are parts of the highest rate.
var pacedParts = []float64{.5, .8}

// measurePaced finds the highest rate of each kind of work on one node, and then
// asks for parts of it.
func (config *Config) measurePaced(ctx context.Context) (rows []Paced, err error) {
	for _, work := range []struct {
		name string
		op   func(*kvSystem, context.Context, []byte) error
	}{{"store", (*kvSystem).store}, {"fetch", (*kvSystem).fetch}} {
		name := "paced/" + work.name
		if config.Run != nil && !config.Run.MatchString(name) {
			continue
		}
		config.Progress(name)
		found, err := config.pace(ctx, work.name, work.op)
		if err != nil {
			return rows, fmt.Errorf("%s: %w", name, err)
		}
		rows = append(rows, found...)
	}
	return rows, nil
}

func (config *Config) pace(ctx context.Context, name string, op func(*kvSystem, context.Context, []byte) error) (rows []Paced, err error) {
	opened, err := openKV(op)(ctx, config.Keys)
	if err != nil {
		return nil, err
	}
	s := opened.(*kvSystem)
	defer func() { err = errors.Join(err, s.Close()) }()
	samples := make([][]Paced, len(pacedParts))
	highest, err := config.highest(ctx, s)
	if err != nil {
		return nil, err
	}
	for range config.Runs {
		for i, part := range pacedParts {
			one, err := config.paceAt(ctx, s, part*highest)
			if err != nil {
				return nil, err
			}
			one.Work, one.Part = name, part
			samples[i] = append(samples[i], one)
		}
	}
	for _, all := range samples {
		rows = append(rows, medianPaced(all))
	}
	return rows, nil
}

// highest is the rate of a closed loop: the median of the runs.
func (config *Config) highest(ctx context.Context, s System) (float64, error) {
	loop := newClosedLoop(pacedClients, 1)
	var rates []float64
	for range config.Runs {
		sample, err := loop.run(ctx, s, config.Time)
		if err != nil {
			return 0, err
		}
		rates = append(rates, float64(time.Second)/sample.Nanos)
	}
	return median(rates), nil
}

func (config *Config) paceAt(ctx context.Context, s *kvSystem, rate float64) (Paced, error) {
	asked := load.Config{
		Rate: rate, Clients: pacedClients, Time: config.Time, Keys: load.Keys{Count: len(s.keys)},
	}
	result, err := load.Run(ctx, asked, func(ctx context.Context, op load.Op) error {
		return s.op(s, ctx, s.keys[op.Number])
	})
	switch {
	case err != nil:
		return Paced{}, err
	case ctx.Err() != nil:
		return Paced{}, context.Cause(ctx)
	case result.Failed() > 0:
		return Paced{}, fmt.Errorf("%d failed, for example: %s", result.Failed(), result.Failures[0].Example)
	}
	latency := result.All.Latency
	return Paced{
		PerSecond: float64(result.All.Count) / result.Elapsed.Seconds(), Unsent: float64(result.Unsent),
		P50Nanos: float64(latency.P50), P99Nanos: float64(latency.P99), P999Nanos: float64(latency.P999), MaxNanos: float64(latency.Max),
	}, nil
}

func medianPaced(all []Paced) Paced {
	column := func(of func(Paced) float64) float64 { return median(collect(all, of)) }
	return Paced{
		Work: all[0].Work, Part: all[0].Part,
		PerSecond: column(func(p Paced) float64 { return p.PerSecond }),
		P50Nanos:  column(func(p Paced) float64 { return p.P50Nanos }),
		P99Nanos:  column(func(p Paced) float64 { return p.P99Nanos }),
		P999Nanos: column(func(p Paced) float64 { return p.P999Nanos }),
		MaxNanos:  column(func(p Paced) float64 { return p.MaxNanos }),
		Unsent:    column(func(p Paced) float64 { return p.Unsent }),
	}
}
