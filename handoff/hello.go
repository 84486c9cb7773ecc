package handoff

import (
	"fmt"

	"github.com/torc-io/torc/ring"
)

// Hello opens a transfer of one service: who it is from and what it is about.
type Hello struct {
	Transfer
	Service   string
	ClusterID string
	RingSize  int
	Epoch     ring.Epoch // of the sender's ring
	ID        uint64     // the same when the sender connects again, to go on
	Items     uint64     // at the sender, when it began
}

// Refusal is why a receiver does not take a transfer.
type Refusal struct { //nolint:errname // it is an answer first, and an error to whoever asked
	Reason Reason
	Text   string // for people; names the receiver
}

// Error returns the text.
func (r *Refusal) Error() string { return r.Text }

// Reason says what a sender that was refused should do.
type Reason uint8

// The reasons.
const (
	Busy   Reason = iota + 1 // try again: the receiver has all the transfers that it may
	NotNow                   // try again: something else comes first
	Wrong                    // look at the ring: the transfer should not be
	Broken                   // tell somebody: an item is broken, or the counts differ
)

// Check compares a hello with the ring of the node that it has reached. It
// returns nil if the transfer is one that the ring wants.
func (h Hello) Check(me ring.NodeName, r *ring.Ring) *Refusal {
	refuse := func(reason Reason, format string, args ...any) *Refusal {
		return &Refusal{reason, fmt.Sprintf("%s refuses: ", me) + fmt.Sprintf(format, args...)}
	}
	switch {
	case typeNames[h.Type] == "":
		return refuse(Wrong, "it is of a type that is not known here")
	case h.ClusterID != r.ClusterID():
		return refuse(Wrong, "it is of cluster %s, and %s of %s", r.ClusterID(), h.From, h.ClusterID)
	case h.RingSize != r.Size():
		return refuse(Wrong, "its ring has %d partitions, that of %s has %d", r.Size(), h.From, h.RingSize)
	case h.To != me:
		return refuse(Wrong, "it was taken for %s", h.To)
	case max(uint64(h.Partition), uint64(h.Source)) >= uint64(r.Size()):
		return refuse(Wrong, "there is no partition %d", max(h.Partition, h.Source))
	case h.Type != Repair && h.Source != h.Partition:
		return refuse(Wrong, "partition %d cannot become %d", h.Source, h.Partition)
	case h.Type != Repair && h.From == me:
		return refuse(Wrong, "it would hand partition %d off to itself", h.Partition)
	case h.Epoch > r.Epoch():
		return refuse(NotNow, "it knows the ring of epoch %d, and has yet to hear of %d", r.Epoch(), h.Epoch)
	}
	return h.find(refuse, r)
}

// find looks for the transfer in the ring.
func (h Hello) find(refuse func(Reason, string, ...any) *Refusal, r *ring.Ring) *Refusal {
	_, member := r.Member(h.From)
	owner := r.Owner(h.Partition)
	move, pending := r.Transfer(h.Partition)
	switch {
	case !member:
		return refuse(Wrong, "%s is no member at epoch %d", h.From, r.Epoch())
	case h.Type != Ownership && owner != h.To:
		return refuse(Wrong, "partition %d is owned by %s at epoch %d", h.Partition, owner, r.Epoch())
	case h.Type == Ownership && owner == h.To:
		return nil // the sender may have yet to hear that it serves: see Standing.Confirm
	case h.Type == Ownership && !pending:
		return refuse(Wrong, "partition %d stays with %s at epoch %d", h.Partition, owner, r.Epoch())
	case h.Type == Ownership && (move.From != h.From || move.To != h.To):
		return refuse(Wrong, "at epoch %d partition %d is to move from %s to %s", r.Epoch(), h.Partition, move.From, move.To)
	}
	return nil
}
