package sim

import (
	"fmt"
	"strings"

	"github.com/torc-io/torc/handoff"
)

// Count numbers something that happens in a run.
type Count int

// What is counted. Up to Recovered they are the rare paths, each of which a
// thousand seeds must take at least ten times.
const (
	FallbackWrite Count = iota
	FallbackAck
	EpochRefusal
	CatchUp
	Forwarded
	HeldCommand
	CancelledTransfer
	ResumedTransfer
	BeginsAnew
	RefusedTransfer
	HintReplay
	FencedClaimant
	Conflict
	StaleWatch
	RecoveringRefused
	BehindDoubted
	StoppedRefused
	NoticedStop
	UndecidedSwitch
	UndecidedRefusal
	UndoneSwitch
	Unconfirmed
	PassedWrite
	ReadRepair
	Switched
	Recovered

	BusyReceiver
	MemoryLost
	MessageLost
	MessageTwice
	RepairDone
	OwnershipDone
	HintedDone
	StaleRead
	Operations
	Unanswered
	Faults
	Skipped
	Changes
	counts
)

var countNames = [counts]string{
	"write by a fallback", "quorum met with a fallback", "epoch refusal", "wait for a newer ring", "forwarded command",
	"held command", "transfer called off", "transfer resumed", "transfer begun anew", "transfer refused",
	"hint replayed", "claimant fenced", "conflict at the store", "stale watch", "recovering read refused",
	"behind read doubted", "stopped read refused", "stop noticed", "switch undecided", "refusal while undecided", "switch undone",
	"new owner unconfirmed", "write passed to the receiver", "read repair", "partition switched", "vnode recovered",
	"receiver busy", "memory lost", "message lost", "message twice", "repairs done", "ownership transfers done",
	"hinted transfers done", "stale reads (sloppy)", "operations", "operations not answered", "faults", "faults skipped", "membership changes",
}

// String returns what is counted, in words.
func (c Count) String() string { return countNames[c] }

// Counts says how often each thing happened.
type Counts [counts]int

// Add adds the counts of another run.
func (c *Counts) Add(other Counts) {
	for i := range c {
		c[i] += other[i]
	}
}

// String returns a table.
func (c Counts) String() string {
	var b strings.Builder
	for i, n := range c {
		fmt.Fprintf(&b, "%-30s %9d\n", Count(i), n)
	}
	return b.String()
}

// Rare returns the rare paths.
func Rare() (all []Count) {
	for c := range Recovered + 1 {
		all = append(all, c)
	}
	return all
}

func (c *Counts) done(t handoff.Type, items int) {
	switch t {
	case handoff.Repair:
		c[RepairDone]++
	case handoff.Ownership:
		c[OwnershipDone]++
	case handoff.Hinted:
		c[HintedDone]++
		c[HintReplay] += min(items, 1)
	}
}
