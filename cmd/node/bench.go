package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	torc "github.com/torc-io/torc"
	outside "github.com/torc-io/torc/client"
	"github.com/torc-io/torc/gateway"
	"github.com/torc-io/torc/internal/load"
)

// The ways to a cluster.
const (
	overHTTP    = "http"
	overConnect = "connect"
	overNothing = "inside"
)

// The distributions of keys.
const (
	uniform = "uniform"
	zipf    = "zipf"
)

// benchTime is for how long a run goes on that nothing else bounds: long enough
// for p99.9 to stand on some thousand operations.
const benchTime = 10 * time.Second

// benching is the command bench.
type benching struct {
	*operator

	load         load.Config
	over         string
	also         []string
	members      int
	distribution string
	skew         float64
	timeout      time.Duration
	bare         bool
	quorum       quorumFlags
}

const benchLong = `bench puts a load on a cluster, and measures what its requests take.

Without --rate it is a closed loop: each of --clients sends its next request when
its last one is answered, which finds the highest rate. With --rate it is an open
loop: requests are sent at that rate whatever becomes of those before, as many
users do, and --clients only bounds how many are under way. Latency counts from
when a request was meant to be sent, so it shows what users waited while the
cluster stood still or fell behind; "service" counts from when it was sent.

--over chooses the way: http is GET and PUT of /api/store, connect is package
client through the gateway, and inside is a cluster of --members within this
process, without any of the two.

bench stores its keys first, named bench-…, and leaves them there. It ends after
--time or --count, whichever comes first, or with ^C, and prints what it has
measured until then; a terminal shows how it goes. Percentiles are of requests
that succeeded; the others are counted by kind. If none succeeded, it exits with 1.`

const benchExample = `  node bench                                            # the highest rate over HTTP, for 10 s
  node bench --rate 2000 --time 1m --reads 0.9          # latency at 2,000 requests a second
  node bench --over connect --distribution zipf --value-size 1024 --w all
  node bench --over inside --members 1 --count 100000 -o json`

func newBench(o *operator) *cobra.Command {
	b := benching{operator: o}
	cmd := &cobra.Command{
		Use: "bench", Short: "Put a load on a cluster, and measure it", Long: benchLong, Example: benchExample,
		Args: takes(0, 0, "no arguments"),
		RunE: b.run,
	}
	f := cmd.Flags()
	f.StringVar(&b.over, "over", overHTTP, "the way to the cluster: http, connect or inside")
	f.StringSliceVar(&b.also, "also", nil, "HTTP addresses of more nodes, for requests to go to all in turn")
	f.IntVar(&b.members, "members", 3, "members of the cluster, with --over inside")
	f.Float64Var(&b.load.Rate, "rate", 0, "requests a second: an open loop (default a closed loop)")
	f.IntVar(&b.load.Clients, "clients", 64, "most requests under way")
	f.DurationVar(&b.load.Time, "time", 0, fmt.Sprintf("how long requests are sent (default %v, or no bound with --count)", benchTime))
	f.Int64Var(&b.load.Count, "count", 0, "how many requests are sent (default no bound)")
	f.Float64Var(&b.load.Reads, "reads", 0.5, "the part of them that reads, 0 to 1")
	f.IntVar(&b.load.Keys.Count, "keys", 10_000, "how many keys there are")
	f.StringVar(&b.distribution, "distribution", uniform, "how keys are drawn: uniform, or zipf, where few are drawn often")
	f.Float64Var(&b.skew, "skew", 1.1, "exponent of zipf, more than 1")
	f.IntVar(&b.load.ValueBytes, "value-size", 100, "bytes of a value")
	f.BoolVar(&b.bare, "no-fill", false, "do not store the keys first")
	f.Uint64Var(&b.load.Seed, "seed", 1, "of what is drawn at random")
	b.quorum.flags(f, "n", "r", "w")
	f.DurationVar(&b.timeout, "timeout", outside.DefaultTimeout, "deadline of a request")
	completeWords(cmd, "over", overHTTP, overConnect, overNothing)
	completeWords(cmd, "distribution", uniform, zipf)
	return cmd
}

// run puts the load on, and prints what it has measured.
func (b *benching) run(cmd *cobra.Command, _ []string) error {
	if err := b.check(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process as usual
	target, end, err := b.open(ctx)
	if err != nil {
		return err
	}
	result, err := b.measure(ctx, target)
	if err := errors.Join(err, end()); err != nil {
		return err
	}
	report := b.report(result)
	if err := b.show(report, report.draw); err != nil {
		return err
	}
	if result.All.Count == 0 {
		return errors.New("no request succeeded")
	}
	return nil
}

// check completes what the flags say, and refuses what makes no sense.
func (b *benching) check() error {
	if b.load.Time == 0 && b.load.Count == 0 {
		b.load.Time = benchTime
	}
	switch b.distribution {
	case uniform:
	case zipf:
		b.load.Keys.Skew = b.skew
	default:
		return usagef("--distribution %q: want uniform or zipf", b.distribution)
	}
	switch {
	case b.over != overHTTP && b.over != overConnect && b.over != overNothing:
		return usagef("--over %q: want http, connect or inside", b.over)
	case b.members < 1 || b.members > maxMembers:
		return usagef("--members %d: want 1 to %d", b.members, maxMembers)
	case b.timeout <= 0 || b.timeout > gateway.MaxTimeout:
		return usagef("--timeout %v: want more than 0, and at most %v", b.timeout, gateway.MaxTimeout)
	}
	if err := b.load.Check(); err != nil {
		return usageError{err}
	}
	_, err := b.counts()
	return err
}

// measure stores the keys, and runs the load.
func (b *benching) measure(ctx context.Context, target load.Target) (*load.Result, error) {
	live := liveLine{b.err, isTerminal(b.err)}
	defer live.end()
	if !b.bare {
		live.draw(fmt.Sprintf("storing %s", count(b.load.Keys.Count, "key")))
		if err := load.Fill(ctx, b.load, target); err != nil {
			return nil, fmt.Errorf("store the keys: %w", err)
		}
	}
	config := b.load
	config.Classify = kindOfFailure
	config.Watch = func(p load.Progress) { live.draw(progressText(p)) }
	return load.Run(ctx, config, target)
}

// counts are the counts of replicas that the flags give, in numbers.
func (b *benching) counts() (map[string]int, error) {
	counts, n := make(map[string]int), replicas
	for _, name := range []string{"n", "r", "w"} {
		text := b.quorum.values.Get(name)
		if text == "" {
			continue
		}
		value, err := torc.ParseCount(text, n)
		if err != nil {
			return nil, usagef("--%s: %w", name, err)
		}
		if counts[name] = value; name == "n" {
			n = value
		}
	}
	return counts, nil
}
