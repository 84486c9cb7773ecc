package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"
)

// Target executes one operation. It is called from many goroutines, and must end
// within a time of its own: a run waits for what is under way, unless ctx ends.
type Target func(ctx context.Context, op Op) error

// Op is what a target is asked to do. Its bytes belong to the run and stay as
// they are.
type Op struct {
	Kind   Kind
	Key    []byte
	Number int    // of the key, from 0
	Value  []byte // to write
}

// Kind is what an operation does.
type Kind int

// The kinds of operations.
const (
	Read Kind = iota
	Write
	kinds = iota
)

// Config says what a run does. At least one of Count and Time bounds it.
type Config struct {
	// Rate is how many operations start in a second; 0 makes a closed loop.
	Rate float64
	// Clients are how many operations are under way at most.
	Clients int
	// Count is how many operations there are; 0 is no bound.
	Count int64
	// Time is for how long operations start; 0 is no bound.
	Time time.Duration

	// Reads are their part of the operations, 0 to 1.
	Reads float64
	// Keys is what operations work on.
	Keys Keys
	// ValueBytes is the size of what is written.
	ValueBytes int
	// Seed makes a run draw what another has drawn.
	Seed uint64

	// Classify names the kind of an error, in few and short words; nil takes the
	// error's own.
	Classify func(error) string
	// Watch is told every second how the run goes, from one goroutine; nil is
	// nobody.
	Watch func(Progress)
}

// The bounds of a run.
const (
	// maxClients each have a goroutine, and over a network a connection or so:
	// beyond this, it is the loader that is measured.
	maxClients = 10_000
	// maxRate is more than a process can start.
	maxRate = 1e7
	// watchEvery is how often a person wants to be told.
	watchEvery = time.Second
)

// Check says what is wrong with a configuration; nil if nothing is.
func (c *Config) Check() error {
	switch {
	case c.Count <= 0 && c.Time <= 0:
		return errors.New("neither a count nor a time bounds the run")
	case c.Count < 0 || c.Time < 0:
		return fmt.Errorf("a count of %d and a time of %v: want neither below 0", c.Count, c.Time)
	case c.Clients < 1 || c.Clients > maxClients:
		return fmt.Errorf("%d clients: want 1 to %d", c.Clients, maxClients)
	case !(c.Rate >= 0 && c.Rate <= maxRate):
		return fmt.Errorf("a rate of %v: want 0 to %.0f", c.Rate, maxRate)
	case !(c.Reads >= 0 && c.Reads <= 1):
		return fmt.Errorf("a part of reads of %v: want 0 to 1", c.Reads)
	case c.ValueBytes < 0:
		return fmt.Errorf("values of %d bytes", c.ValueBytes)
	}
	return c.Keys.check()
}

// due returns when operation i is meant to start, as time since the run's start.
func (c *Config) due(i int64) time.Duration {
	return time.Duration(math.Round(float64(i) / c.Rate * float64(time.Second)))
}
