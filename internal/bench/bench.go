package bench

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Op does one operation, or Case.Batch of them. An error ends the measurement:
// what fails is not worth timing.
type Op func() error

// System is what has been set up to be measured.
type System interface {
	// Client returns the operation of one client, which calls it from a
	// goroutine of its own. Clients of one number do the same operations in the
	// same order in every system.
	Client(number int) Op
	// Close ends all that opening began. No client is running any more.
	Close() error
}

// Contender is one way to do a case's work.
type Contender struct {
	Name string
	// Open sets up the system, with this many keys stored.
	Open func(ctx context.Context, keys int) (System, error)
}

// Case is work to be measured. The first contender is the subject: the ratio of
// every other row is the subject's time per operation to that row's.
type Case struct {
	Name       string // of the work, short: it is matched by Config.Run
	Detail     string // what a reader of the table wants to know besides
	Clients    int
	Batch      int // operations in one Op, where one is too short to time; 0 is 1
	Contenders []Contender
}

// path is the full name of a contender in its case, as Config.Run sees it.
func (c *Case) path(contender string) string {
	return fmt.Sprintf("%s/C=%d/%s", c.Name, c.Clients, contender)
}

// Config bounds a run.
type Config struct {
	Time     time.Duration  // of one measurement
	Runs     int            // measurements of each contender
	Keys     int            // stored before, and drawn from uniformly
	Run      *regexp.Regexp // which contenders: of paths like store/C=64/torc; nil is all
	Progress func(string)   // is told which case begins; nil is nobody
	Handoff  *HandoffConfig // what is its own; nil leaves handoff out
	Apart    bool           // measure idle processes, and latency at a rate, too
}

// Warm-up comes before the measurements, to fill pools, grow stacks and settle
// the garbage collector's pace. It takes this part of a measurement's time.
const warmUpPart = 4

// Run measures the cases, one after the other. When ctx ends, it stops at once
// and returns what is complete, with the error.
func Run(ctx context.Context, cases []Case, config Config) (*Report, error) {
	if config.Progress == nil {
		config.Progress = func(string) {}
	}
	report := &Report{Machine: describeMachine(), Time: config.Time, Runs: config.Runs, Keys: config.Keys}
	report.Before = calibrate(config.Time)
	err := measureCases(ctx, choose(cases, config.Run), config, report)
	for _, next := range []func(context.Context, Config, *Report) error{apart, moving} {
		if err == nil {
			err = next(ctx, config, report)
		}
	}
	report.Targets = report.judge()
	if err == nil {
		report.After = calibrate(config.Time)
	}
	return report, err
}

// measureCases measures what has operations.
func measureCases(ctx context.Context, cases []Case, config Config, report *Report) error {
	for i := range cases {
		c := &cases[i]
		config.Progress(fmt.Sprintf("%d of %d: %s, C=%d, about %v",
			i+1, len(cases), c.title(), c.Clients, config.expect(c).Round(time.Second)))
		results, err := c.measure(ctx, config)
		if err != nil {
			return fmt.Errorf("%s, C=%d: %w", c.Name, c.Clients, err)
		}
		report.Results = append(report.Results, results...)
	}
	return nil
}

// apart measures what is no case: it has no operations, or not as fast as they go.
func apart(ctx context.Context, config Config, report *Report) (err error) {
	if !config.Apart {
		return nil
	}
	if report.Paced, err = config.measurePaced(ctx); err != nil {
		return err
	}
	report.Idle, err = config.measureIdle(ctx)
	return err
}

// moving measures handoff.
func moving(ctx context.Context, config Config, report *Report) error {
	if config.Handoff == nil {
		return nil
	}
	own := *config.Handoff
	own.Runs, own.Run, own.Progress, own.Load = config.Runs, config.Run, config.Progress, config.Time
	found, err := Handoff(ctx, own)
	if len(found.Moves)+len(found.Loads) > 0 {
		report.Handoff = found
	}
	return err
}

// choose keeps the contenders that the pattern matches, and the cases that
// keep any.
func choose(cases []Case, pattern *regexp.Regexp) (chosen []Case) {
	for _, c := range cases {
		var keep []Contender
		for _, contender := range c.Contenders {
			if pattern == nil || pattern.MatchString(c.path(contender.Name)) {
				keep = append(keep, contender)
			}
		}
		if c.Contenders = keep; len(keep) > 0 {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// expect is how long a case takes, opening aside.
func (config Config) expect(c *Case) time.Duration {
	each := config.Time*time.Duration(config.Runs) + config.Time/warmUpPart
	return each * time.Duration(len(c.Contenders))
}

func (c *Case) title() string { return title(c.Name, c.Detail) }

// title is how a case is shown.
func title(name, detail string) string { return strings.TrimSpace(name + " " + detail) }

// measure opens all contenders and lets them take turns.
func (c *Case) measure(ctx context.Context, config Config) (results []Result, err error) {
	systems := make([]System, 0, len(c.Contenders))
	defer func() {
		for _, s := range systems {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, contender := range c.Contenders {
		s, err := contender.Open(ctx, config.Keys)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", contender.Name, err)
		}
		systems = append(systems, s)
	}
	loop := newClosedLoop(c.Clients, max(1, c.Batch))
	rounds := make([][]Sample, len(systems))
	for round := -1; round < config.Runs; round++ {
		for i, s := range systems {
			length := config.Time
			if round < 0 {
				length /= warmUpPart
			}
			sample, err := loop.run(ctx, s, length)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.Contenders[i].Name, err)
			}
			if round >= 0 {
				rounds[i] = append(rounds[i], sample)
			}
		}
	}
	return c.summarise(rounds), nil
}
