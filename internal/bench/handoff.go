package bench

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"slices"
	"time"
)

const (
	// DefaultHandoffKeys make 300,000 items at N=3, of which half move.
	DefaultHandoffKeys = 100_000
	// loadClients are enough to keep two cores busy, and few enough that they do
	// not wait for each other.
	loadClients = 8
)

// handoffSizes are the values whose items move.
var handoffSizes = []handoffSize{{"100B", 100}, {"1KiB", 1 << 10}}

type handoffSize struct {
	name  string
	bytes int
}

// The names of the contenders of a handoff.
const (
	chunksTwin = "chunks" // the same bytes, in chunks
	itemsTwin  = "items"  // the same bytes, a message an item
	storeTwin  = "store"  // the same items, from maps to maps
)

// HandoffConfig bounds the measurements of handoff.
type HandoffConfig struct {
	Runs      int
	Keys      int            // stored on three replicas
	Transfers int            // at a time; 0 is the default of a node
	Rate      int64          // that a node sends at, in bytes per second; 0 gives way to commands
	Load      time.Duration  // how long commands are measured before and after a transfer
	Run       *regexp.Regexp // which: of names like handoff/1KiB/move and handoff/1KiB/load; nil is all
	Progress  func(string)   // is told what begins; nil is nobody
}

// HandoffReport is what the measurements of handoff found.
type HandoffReport struct {
	Runs      int    `json:"runs"`
	Keys      int    `json:"keys"`
	Transfers int    `json:"transfers,omitempty"`
	Rate      int64  `json:"rate,omitempty"`
	Moves     []Move `json:"moves"`
	Loads     []Load `json:"loads"`
}

// Move is a row: how long one contender took to move the items that change
// their node when a second one joins the first.
type Move struct {
	Value     string `json:"value"`
	Contender string `json:"contender"`

	// Ratio is torc's time to this contender's; 0 for torc itself.
	Ratio float64 `json:"ratio,omitempty"`

	Nanos         float64 `json:"nanos"`
	Items         float64 `json:"items"`
	Bytes         float64 `json:"bytes"` // of the items as they go over, keys and versions included
	CPUPerItem    float64 `json:"cpu_nanos_per_item,omitempty"`
	AllocsPerItem float64 `json:"allocs_per_item"`
	BytesPerItem  float64 `json:"alloc_bytes_per_item"`
	Spread        float64 `json:"spread"`
}

// moved is one measurement of a Move.
type moved struct {
	spent

	items, bytes   float64
	allocs, memory float64
}

// handoffTwins move as many items, or bytes, as torc did in the same round. What
// comes before the returned function is called is not in the measurement.
var handoffTwins = []struct {
	name  string
	ready func(handoffSize, moved) func(context.Context) error
}{{chunksTwin, readyChunks}, {itemsTwin, readyItems}, {storeTwin, readyStores}}

// Handoff measures how fast items move to a node that joins, beside plain gRPC
// streams that move as much, and what the commands notice of it. When ctx ends,
// it stops at once and returns what is complete, with the error.
func Handoff(ctx context.Context, config HandoffConfig) (*HandoffReport, error) {
	report := &HandoffReport{Runs: config.Runs, Keys: config.Keys, Transfers: config.Transfers, Rate: config.Rate}
	for _, size := range handoffSizes {
		if !config.wants("move", size) {
			continue
		}
		moves, err := config.moves(ctx, size)
		if err != nil {
			return report, fmt.Errorf("handoff of %s: %w", size.name, err)
		}
		report.Moves = append(report.Moves, moves...)
	}
	for _, size := range handoffSizes {
		if !config.wants("load", size) {
			continue
		}
		loads, err := config.loads(ctx, size)
		if err != nil {
			return report, fmt.Errorf("handoff of %s under load: %w", size.name, err)
		}
		report.Loads = append(report.Loads, loads...)
	}
	return report, nil
}

// wants says whether a measurement is to be made, and tells of its beginning.
func (config *HandoffConfig) wants(what string, size handoffSize) bool {
	name := fmt.Sprintf("handoff/%s/%s", size.name, what)
	if config.Run != nil && !config.Run.MatchString(name) {
		return false
	}
	if config.Progress != nil {
		config.Progress(fmt.Sprintf("%s, %d keys, %d runs", name, config.Keys, config.Runs))
	}
	return true
}

// moves lets torc and its twins take turns. Each run has nodes of its own, and
// the twins run while these are there, so that all have the same heap to walk.
func (config *HandoffConfig) moves(ctx context.Context, size handoffSize) ([]Move, error) {
	rounds := make([][]moved, 1+len(handoffTwins))
	for range config.Runs {
		round, err := config.round(ctx, size)
		if err != nil {
			return nil, err
		}
		for i, m := range round {
			rounds[i] = append(rounds[i], m)
		}
	}
	names := []string{framework}
	for _, t := range handoffTwins {
		names = append(names, t.name)
	}
	return summariseMoves(size, names, rounds), nil
}

// round has torc move what there is, and each twin as much.
func (config *HandoffConfig) round(ctx context.Context, size handoffSize) (round []moved, err error) {
	p, err := openPair(ctx, config, size)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	torc, err := timed(func() error { return p.join(ctx) })
	if err != nil {
		return nil, err
	}
	if torc.items, torc.bytes, err = p.sent(); err != nil {
		return nil, err
	}
	round = []moved{torc}
	for _, t := range handoffTwins {
		move := t.ready(size, torc)
		m, err := timed(func() error { return move(ctx) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
		m.items, m.bytes = torc.items, torc.bytes
		round = append(round, m)
	}
	return round, nil
}

// timed measures one call.
func timed(do func() error) (m moved, err error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	used, began := cpuTime(), time.Now()
	err = do()
	m.wall, m.cpu = time.Since(began), cpuTime()-used
	runtime.ReadMemStats(&after)
	m.allocs, m.memory = float64(after.Mallocs-before.Mallocs), float64(after.TotalAlloc-before.TotalAlloc)
	return m, err
}

// summariseMoves makes the rows: rounds holds the measurements by contender.
func summariseMoves(size handoffSize, names []string, rounds [][]moved) []Move {
	moves := make([]Move, len(rounds))
	for i, all := range rounds {
		column := func(of func(moved) float64) float64 { return median(collect(all, of)) }
		times := collect(all, moved.nanos)
		moves[i] = Move{
			Value: size.name, Contender: names[i], Nanos: median(times),
			Items:         column(func(m moved) float64 { return m.items }),
			Bytes:         column(func(m moved) float64 { return m.bytes }),
			CPUPerItem:    column(func(m moved) float64 { return float64(m.cpu) / m.items }),
			AllocsPerItem: column(func(m moved) float64 { return m.allocs / m.items }),
			BytesPerItem:  column(func(m moved) float64 { return m.memory / m.items }),
			Spread:        (slices.Max(times) - slices.Min(times)) / median(times),
		}
		if i > 0 {
			moves[i].Ratio = ratioOf(rounds[0], all, moved.nanos)
		}
	}
	return moves
}

func (m moved) nanos() float64 { return float64(m.wall) }
