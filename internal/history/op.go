package history

import (
	"fmt"
	"math"
	"time"
)

// Key is the number of a key.
type Key uint32

// String returns the key as it is stored, such as "k17".
func (k Key) String() string { return fmt.Sprintf("k%d", uint32(k)) }

// Version numbers the writes and deletes of one key, from 1.
type Version uint32

const (
	// Nothing is what a read returns that found nothing: the version before the
	// first, or that of any delete.
	Nothing Version = 0
	// Foreign is what a read returns whose value was not made for its key.
	Foreign Version = math.MaxUint32
)

// Kind is what an operation does.
type Kind uint8

// The kinds.
const (
	Write Kind = iota
	Delete
	Read
	// Final is a read when nothing goes on any more. Lost looks at these alone.
	Final
)

var kindNames = [...]string{"write", "delete", "read", "final read"}

// String returns the kind's word.
func (k Kind) String() string { return kindNames[min(k, Final)] }

func (k Kind) reads() bool { return k >= Read }

// rank sorts what changes a key before what reads it.
func (k Kind) rank() int {
	if k.reads() {
		return 1
	}
	return 0
}

// Outcome is how an operation ended, as far as its client knows.
type Outcome uint8

// The outcomes.
const (
	OK      Outcome = iota
	Failed          // it was certainly not executed
	Unknown         // it may have been, or may still be
)

var outcomeNames = [...]string{"ok", "failed", "unknown"}

// String returns the outcome's word.
func (o Outcome) String() string { return outcomeNames[min(o, Unknown)] }

// Op is one operation. A history has millions of them, so it is 32 bytes.
type Op struct {
	Begin, End time.Duration // since the history began
	Key        Key
	Version    Version // that it wrote, or returned
	why        uint32  // the number of its reason in the record, from 1; 0 is none
	Client     uint16
	Kind       Kind
	Outcome    Outcome
}

// String says in words who did what, and when.
func (o Op) String() string {
	what := fmt.Sprintf("%v of version %d", o.Kind, o.Version)
	switch {
	case !o.Kind.reads():
	case o.Outcome != OK:
		what = o.Kind.String()
	case o.Version == Nothing:
		what = fmt.Sprintf("%v of nothing", o.Kind)
	case o.Version == Foreign:
		what = fmt.Sprintf("%v of a foreign value", o.Kind)
	}
	if o.Outcome != OK {
		what += ", " + o.Outcome.String()
	}
	return fmt.Sprintf("%s (client %d, %v to %v)", what, o.Client, stamp(o.Begin), stamp(o.End))
}

// stamp rounds a time to what a reader can use.
func stamp(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
