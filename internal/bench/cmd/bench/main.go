// Bench measures what the framework costs beside plain Go, and prints a table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/torc-io/torc/internal/bench"
)

// Exit codes, as those of cmd/node; a shell makes 130 of an interrupt.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// settings are the flags.
type settings struct {
	config                 bench.Config
	many                   int
	quick, json            bool
	cpuProfile, memProfile string
}

func main() {
	if bench.IsMember() {
		if err := bench.RunMember(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(exitFailed)
		}
		return
	}
	s, err := parse(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitUsage)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, cancel) // a second interrupt ends the process as usual
	err = s.run(ctx)
	interrupted := ctx.Err() != nil
	cancel()
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		os.Exit(exitInterrupted)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(exitFailed)
	}
}

func parse(args []string) (*settings, error) {
	s := &settings{config: bench.Config{Progress: func(line string) { fmt.Fprintln(os.Stderr, line) }}}
	s.config.Handoff, s.config.Apart = new(bench.HandoffConfig), true
	var pattern string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.DurationVar(&s.config.Time, "time", time.Second, "of one measurement")
	flags.IntVar(&s.config.Runs, "runs", 5, "measurements of each contender; the table shows medians")
	flags.IntVar(&s.config.Keys, "keys", bench.DefaultKeys, "stored before, and drawn from uniformly")
	flags.IntVar(&s.many, "many", bench.DefaultMany, "keys of the larger store in grow-keys")
	flags.BoolVar(&s.quick, "quick", false, "one short run of each, to see that all works; flags for times and keys still count")
	flags.IntVar(&s.config.Handoff.Keys, "handoff-keys", bench.DefaultHandoffKeys, "stored on three replicas, of which half move")
	flags.IntVar(&s.config.Handoff.Transfers, "transfers", 0, "at a time in handoff; 0 is what a node does by default")
	flags.Int64Var(&s.config.Handoff.Rate, "transfer-rate", 0, "of handoff, in bytes per second; 0 gives way to commands")
	flags.StringVar(&pattern, "run", "", "only what matches the `regexp`, of names like store/C=64/torc")
	flags.BoolVar(&s.json, "json", false, "print JSON instead of the table")
	flags.StringVar(&s.cpuProfile, "cpuprofile", "", "write a CPU profile to `file`")
	flags.StringVar(&s.memProfile, "memprofile", "", "write a profile of allocations to `file`")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if s.quick {
		s.hurry(flags)
	}
	var err error
	if s.config.Run, err = regexp.Compile(pattern); err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	return s, s.check(flags.Args())
}

// hurry makes everything short that no flag has set.
func (s *settings) hurry(flags *flag.FlagSet) {
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if !given["time"] {
		s.config.Time = 200 * time.Millisecond
	}
	if !given["runs"] {
		s.config.Runs = 1
	}
	if !given["many"] {
		s.many = 100_000
	}
	if !given["handoff-keys"] {
		s.config.Handoff.Keys = 10_000
	}
}

func (s *settings) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected %q: see -help", rest[0])
	case s.config.Time <= 0:
		return fmt.Errorf("-time %v: want more than 0", s.config.Time)
	case s.config.Runs < 1:
		return fmt.Errorf("-runs %d: want 1 or more", s.config.Runs)
	case s.config.Keys < 1:
		return fmt.Errorf("-keys %d: want 1 or more", s.config.Keys)
	case s.many < 1:
		return fmt.Errorf("-many %d: want 1 or more", s.many)
	case s.config.Handoff.Keys < 1:
		return fmt.Errorf("-handoff-keys %d: want 1 or more", s.config.Handoff.Keys)
	case s.config.Handoff.Transfers < 0:
		return fmt.Errorf("-transfers %d: want 0 or more", s.config.Handoff.Transfers)
	case s.config.Handoff.Rate < 0:
		return fmt.Errorf("-transfer-rate %d: want 0 or more", s.config.Handoff.Rate)
	}
	return nil
}

// errNothing explains an empty report.
var errNothing = errors.New("-run matches nothing: names are like store/C=64/torc, paced/store, idle/Q=120, handoff/1KiB/move")

// run measures, and prints what is complete even if something went wrong.
func (s *settings) run(ctx context.Context) error {
	stop, err := s.startCPUProfile()
	if err != nil {
		return err
	}
	report, err := bench.Run(ctx, bench.Cases(s.many), s.config)
	err = errors.Join(err, stop(), s.writeMemProfile())
	empty := len(report.Results)+len(report.Paced)+len(report.Idle) == 0 && report.Handoff == nil
	switch {
	case empty && err == nil:
		return errNothing
	case empty:
		return err
	case s.json:
		return errors.Join(err, report.WriteJSON(os.Stdout))
	default:
		return errors.Join(err, report.WriteTable(os.Stdout))
	}
}

func (s *settings) startCPUProfile() (stop func() error, err error) {
	if s.cpuProfile == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(s.cpuProfile) //nolint:gosec // the user of the program says where
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

func (s *settings) writeMemProfile() error {
	if s.memProfile == "" {
		return nil
	}
	file, err := os.Create(s.memProfile) //nolint:gosec // the user of the program says where
	if err != nil {
		return err
	}
	runtime.GC() // the profile is as of the last collection
	return errors.Join(pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
}
