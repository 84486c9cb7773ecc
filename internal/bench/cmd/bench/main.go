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
	json                   bool
	cpuProfile, memProfile string
}

func main() {
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
	var pattern string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.DurationVar(&s.config.Time, "time", 2*time.Second, "of one measurement")
	flags.IntVar(&s.config.Runs, "runs", 3, "measurements of each contender; the table shows medians")
	flags.IntVar(&s.config.Keys, "keys", bench.DefaultKeys, "stored before, and drawn from uniformly")
	flags.StringVar(&pattern, "run", "", "only what matches the `regexp`, of names like store/C=64/torc")
	flags.BoolVar(&s.json, "json", false, "print JSON instead of the table")
	flags.StringVar(&s.cpuProfile, "cpuprofile", "", "write a CPU profile to `file`")
	flags.StringVar(&s.memProfile, "memprofile", "", "write a profile of allocations to `file`")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if s.config.Run, err = regexp.Compile(pattern); err != nil {
		return nil, fmt.Errorf("-run: %w", err)
	}
	return s, s.check(flags.Args())
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
	}
	return nil
}

// errNothing explains an empty report.
var errNothing = errors.New("-run matches nothing: names are like store/C=64/torc, lookup/C=1/torc")

// run measures, and prints what is complete even if something went wrong.
func (s *settings) run(ctx context.Context) error {
	stop, err := s.startCPUProfile()
	if err != nil {
		return err
	}
	report, err := bench.Run(ctx, bench.Cases(), s.config)
	err = errors.Join(err, stop(), s.writeMemProfile())
	switch {
	case len(report.Results) == 0 && err == nil:
		return errNothing
	case len(report.Results) == 0:
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
