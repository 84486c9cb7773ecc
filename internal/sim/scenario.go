package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// Scenario is what a seed means: a cluster, and what will go wrong in it.
type Scenario struct {
	Seed    uint64
	Nodes   int  // at the beginning
	Size    int  // of the ring
	Strict  bool // the primaries of reads and writes overlap
	Changes bool // of the membership
	Length  time.Duration
	Faults  []Fault
}

// Fault is one thing that goes wrong, or that an operator does.
type Fault struct {
	At, For time.Duration
	Kind    FaultKind
	A, B    int  // which nodes, of those that can be
	Flag    bool // a variant
	Cue     Cue
}

// Cue is what a fault waits for, to hit where it hurts. It then happens to the
// nodes that the cue concerns.
type Cue int

// The cues.
const (
	AtOnce         Cue = iota
	TransferBegins     // of any type
	SwitchBegins       // the change of an owner
	RingPublished      // of a plan, or of a transfer that is done
)

// FaultKind says what a fault is.
type FaultKind int

// The faults.
const (
	Crash         FaultKind = iota // and start again, with nothing in memory
	Pause                          // as SIGSTOP
	PauseClaimant                  // for longer than its session lasts
	Cut                            // between two nodes; one way with Flag
	Isolate                        // one node from all others; one way with Flag
	Lossy                          // requests and replies get lost, and come twice
	BreakLanes                     // connections of one node
	BreakStream                    // of transfers
	NoStore                        // for one node
	StoreAway                      // for all
	StoreSlow                      // answers late, or to nobody
	ClockStep                      // of one node
	Join                           // of a new node
	Leave                          // of one
	Replace                        // one by a new one
	Evict                          // crash, and stay away until given up
	Return                         // a leave is called off
	Shuffle                        // a plan without a change: rebalance
	faultKinds
)

var faultNames = [faultKinds]string{
	"crash", "pause", "pause claimant", "cut", "isolate", "lossy", "break lanes", "break streams", "no store", "store away", "store slow",
	"clock step", "join", "leave", "replace", "evict", "return", "shuffle",
}

// String returns the fault's word.
func (k FaultKind) String() string { return faultNames[k] }

// String returns the fault on one line.
func (f Fault) String() string {
	cue := [...]string{"", ", when a transfer begins", ", when a switch begins", ", when a ring is published"}[f.Cue]
	return fmt.Sprintf("%-13v at %6.2fs for %5.2fs (%d, %d, %v)%s", f.Kind, f.At.Seconds(), f.For.Seconds(), f.A, f.B, f.Flag, cue)
}

// String describes the scenario, a line for each fault.
func (s Scenario) String() string {
	mode := "sloppy"
	if s.Strict {
		mode = "strict"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d nodes, %d partitions, %s quorums, %v\n", s.Seed, s.Nodes, s.Size, mode, s.Length)
	for i, f := range s.Faults {
		fmt.Fprintf(&b, "  %2d  %v\n", i, f)
	}
	return b.String()
}

var (
	disturbances = []FaultKind{
		Crash, Crash, Crash, Pause, Pause, Cut, Cut, Isolate, Isolate, Lossy, BreakLanes, BreakStream, BreakStream, NoStore, NoStore, StoreAway,
		StoreSlow, StoreSlow, ClockStep,
	}
	membershipChanges = []FaultKind{Join, Join, Leave, Leave, Replace, Evict, Return, Shuffle}
)

// maxNodes is how many nodes there may be, with those that are gone.
const maxNodes = 7

// NewScenario returns what a seed means.
func NewScenario(seed uint64) Scenario {
	rng := rand.New(rand.NewPCG(seed, 0x66617573))
	s := Scenario{
		Seed: seed, Strict: seed%2 == 0, Changes: seed%5 < 3,
		Nodes: 3 + rng.IntN(3), Size: 8 + rng.IntN(17), Length: time.Duration(16+rng.IntN(5)) * time.Second,
	}
	if s.Strict { // with three nodes, only such rings have no list that repeats one
		s.Size = replicas * (3 + s.Size%6)
	}
	add := func(kind FaultKind, at time.Duration, cues ...Cue) {
		s.Faults = append(s.Faults, Fault{
			At: at, For: 100*time.Millisecond + time.Duration(rng.Int64N(int64(3500*time.Millisecond))), Kind: kind,
			A: rng.IntN(1 << 16), B: rng.IntN(1 << 16), Flag: rng.IntN(2) == 0, Cue: append(cues, AtOnce)[0],
		})
	}
	moment := func() time.Duration { return time.Second + time.Duration(rng.Int64N(int64(s.Length-time.Second))) }
	for range 9 + rng.IntN(5) {
		add(disturbances[rng.IntN(len(disturbances))], moment())
	}
	if s.Changes {
		for range 1 + rng.IntN(3) {
			at := time.Second + time.Duration(rng.Int64N(int64(s.Length/2)))
			add(membershipChanges[rng.IntN(len(membershipChanges))], at)
			if rng.IntN(2) == 0 { // when it is about to plan a join
				add(PauseClaimant, at+2*time.Second+time.Duration(rng.Int64N(int64(4*time.Second))))
			}
			// Transfers follow within seconds: they are what is to be disturbed.
			for range 2 {
				follow := at + 200*time.Millisecond + time.Duration(rng.Int64N(int64(7*time.Second)))
				add(disturbances[rng.IntN(len(disturbances))], follow, Cue(rng.IntN(4)))
			}
		}
	}
	return s
}

// without returns the scenario with fewer faults.
func (s Scenario) without(skip map[int]bool) Scenario {
	var left []Fault
	for i, f := range s.Faults {
		if !skip[i] {
			left = append(left, f)
		}
	}
	s.Faults = left
	return s
}
