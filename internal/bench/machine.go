package bench

import (
	"cmp"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/klauspost/cpuid/v2"
)

// Machine is where a report was made. It has no date, so that two reports differ
// where their numbers do.
type Machine struct {
	Go         string `json:"go"`
	System     string `json:"system"`
	CPU        string `json:"cpu"`
	CPUs       int    `json:"cpus"`
	GOMAXPROCS int    `json:"gomaxprocs"`
}

func describeMachine() Machine {
	return Machine{
		Go:         runtime.Version(),
		System:     runtime.GOOS + "/" + runtime.GOARCH,
		CPU:        cmp.Or(cpuid.CPU.BrandName, "unknown CPU"),
		CPUs:       runtime.NumCPU(),
		GOMAXPROCS: runtime.GOMAXPROCS(0),
	}
}

// String is one line.
func (m Machine) String() string {
	return fmt.Sprintf("%s %s, %s, %d CPUs, GOMAXPROCS %d", m.Go, m.System, m.CPU, m.CPUs, m.GOMAXPROCS)
}

// Calibration says how fast the machine is, and, made before and after a run,
// how busy others kept it meanwhile: what leaves the second number behind that
// of the first took time from the contenders too.
type Calibration struct {
	Loop       float64 `json:"loop_per_second"`                // steps of a tight loop
	AllLoops   float64 `json:"all_loops_per_second"`           // on GOMAXPROCS goroutines together
	RoundTrips float64 `json:"channel_round_trips_per_second"` // between two goroutines
	ClockNanos float64 `json:"clock_nanos"`                    // to read the clock once, as for each operation
}

// String is one line.
func (c Calibration) String() string {
	return fmt.Sprintf("loop %.0f M/s, %d loops %.0f M/s, channel round trip %.2f M/s, clock %.0f ns",
		c.Loop/1e6, runtime.GOMAXPROCS(0), c.AllLoops/1e6, c.RoundTrips/1e6, c.ClockNanos)
}

// The steps of each calibration, so that all take about half a second at an
// ordinary speed; and the shortest measurement that is worth that. Each is the
// best of some attempts.
const (
	loopSteps       = 30_000_000
	roundTrips      = 100_000
	clockReadings   = 500_000
	calibrations    = 3
	calibrationPays = 100 * time.Millisecond
)

// calibrate takes a tenth of its time if measurements are as short as in tests.
func calibrate(measurement time.Duration) Calibration {
	part := 1
	if measurement < calibrationPays {
		part = 10
	}
	var c Calibration
	clock := 0.0
	for range calibrations {
		c.Loop = max(c.Loop, perSecond(loopSteps/part, spin))
		c.AllLoops = max(c.AllLoops, perSecond(loopSteps/part, spinAll)*float64(runtime.GOMAXPROCS(0)))
		c.RoundTrips = max(c.RoundTrips, perSecond(roundTrips/part, pingPong))
		clock = max(clock, perSecond(clockReadings/part, readClock))
	}
	c.ClockNanos = float64(time.Second) / clock
	return c
}

// perSecond returns how many steps of work are done in a second.
func perSecond(steps int, work func(steps int)) float64 {
	began := time.Now()
	work(steps)
	return float64(steps) / time.Since(began).Seconds()
}

// spin steps through Marsaglia's xorshift, where each step waits for the last.
func spin(steps int) {
	x := uint64(88172645463325252)
	for range steps {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	runtime.KeepAlive(x)
}

func spinAll(steps int) {
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() { spin(steps) })
	}
	all.Wait()
}

func pingPong(steps int) {
	there, back := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(back)
		for range there {
			back <- struct{}{}
		}
	}()
	for range steps {
		there <- struct{}{}
		<-back
	}
	close(there)
	<-back
}

func readClock(steps int) {
	var last time.Time
	for range steps {
		last = time.Now()
	}
	runtime.KeepAlive(last)
}
