package actors

import (
	"fmt"
	"time"

	"github.com/torc-io/torc/handoff"
)

// TransferStatus is what a node knows about a transfer: all of it if it sends it,
// what has come if it receives it, and otherwise that the ring wants it.
type TransferStatus struct {
	handoff.Transfer
	Phase handoff.Phase
	// Reason is why it waits, in words; empty unless Phase is Waiting.
	Reason string
	// Since is when the phase, or the reason to wait, arose.
	Since time.Time
	// Items and Bytes went over so far, each time that they did; the totals are
	// how many there are to go. TotalBytes is an estimate from the items so far.
	Items, TotalItems int64
	Bytes, TotalBytes int64
	// Rate is in bytes per second, over the last seconds.
	Rate float64
	// ETA is the time that the rest takes at this rate; 0 if that is not known.
	ETA time.Duration
}

// TransferLimits bound what handoff may take of a node. They hold until they are
// changed or the node stops.
type TransferLimits struct {
	// Out and In are how many transfers may run at a time from this node, and to
	// it. 0 lets none begin.
	Out, In int
	// Rate bounds what the node sends, in bytes per second. At 0 it is as fast as
	// can be while the node has no commands to execute, and gives way to those.
	Rate int64
}

// defaultTransfers is how many transfers run at a time in each direction. Four
// keep a network or a disk busy; more would only finish each of them later.
const defaultTransfers = 4

// check refuses limits that are none.
func (l TransferLimits) check() error {
	if l.Out < 0 || l.In < 0 || l.Rate < 0 {
		return fmt.Errorf("%w: transfer limits of %d out, %d in, %d bytes/s: none may be negative", ErrInvalid, l.Out, l.In, l.Rate)
	}
	return nil
}

// TransferLimits returns the limits in force.
func (n *Node) TransferLimits() TransferLimits { return n.limits.Load().(TransferLimits) }

// SetTransferLimits changes them.
func (n *Node) SetTransferLimits(l TransferLimits) error {
	if err := l.check(); err != nil {
		return err
	}
	n.limits.Store(l)
	n.mover.pace.set(l.Rate)
	n.mover.wake()
	return nil
}
