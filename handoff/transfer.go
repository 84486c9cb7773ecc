package handoff

import (
	"fmt"

	"github.com/torc-io/torc/ring"
)

// Type says why items move.
type Type uint8

// The types, in the order of their priority: what has too few replicas comes
// before what is merely in the wrong place, and that before what a fallback
// keeps for its owner.
const (
	Repair    Type = iota + 1 // replicas give a vnode what it lacks
	Ownership                 // a partition gets another owner
	Hinted                    // a fallback returns what it took for the owner
)

// typeNames are the words for the types in logs, tables and JSON.
var typeNames = map[Type]string{Repair: "repair", Ownership: "ownership", Hinted: "hinted"}

// String returns the type's word, such as "hinted".
func (t Type) String() string {
	if name, known := typeNames[t]; known {
		return name
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// MarshalText writes the type's word.
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads what [Type.MarshalText] wrote.
func (t *Type) UnmarshalText(text []byte) error {
	for known, name := range typeNames {
		if name == string(text) {
			*t = known
			return nil
		}
	}
	return fmt.Errorf("handoff: %q is no type of transfer", text)
}

// Transfer names one transfer: the items of a partition, of all services, on
// their way from one node to another.
type Transfer struct {
	Type      Type
	Partition ring.Partition // of the vnodes that receive
	Source    ring.Partition // of those that send; another one in a repair alone
	From, To  ring.NodeName
}

// String returns the transfer as in "ownership transfer of partition 7 from a to b".
func (t Transfer) String() string {
	source := ""
	if t.Source != t.Partition {
		source = fmt.Sprintf(" out of %d", t.Source)
	}
	return fmt.Sprintf("%v transfer of partition %d%s from %s to %s", t.Type, t.Partition, source, t.From, t.To)
}

// Phase is how far a transfer is. See the package comment.
type Phase uint8

// The phases, in their order.
const (
	Waiting Phase = iota // for its turn, its peer, or what stands in its way
	Copying              // the snapshot goes over
	Rounds               // what was written meanwhile goes over, until little is left
	Through              // each write is acknowledged when the receiver has it, too
	Sealed               // both sides have the same, and nothing is written
	Done                 // the receiver serves, or has it all
)

var phaseNames = [...]string{"waiting", "copying", "rounds", "through", "sealed", "done"}

// String returns the phase's word.
func (p Phase) String() string { return phaseNames[min(p, Done)] }

// MarshalText writes the phase's word.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what [Phase.MarshalText] wrote.
func (p *Phase) UnmarshalText(text []byte) error {
	for i, name := range phaseNames {
		if name == string(text) {
			*p = Phase(i)
			return nil
		}
	}
	return fmt.Errorf("handoff: %q is no phase of a transfer", text)
}
