package handoff

// Act is what a [Switch] wants done.
type Act uint8

// The acts. Each is answered by a [Result].
const (
	AskStore Act = iota + 1 // whether the membership store answers
	Suspend                 // have all commands of the partition wait
	Agree                   // have both sides compare what they have
	Publish                 // the ring in which the receiver is the owner
	Learn                   // from the store whether that ring is there; commands are refused meanwhile
	Resume                  // let the commands go on, wherever the ring now says
	TakeBack                // the seals, and then let the commands go on
	HandOver                // tell the receiver, and wait for its word that it serves
)

// Result is what came of an act.
type Result uint8

// The results.
const (
	Succeeded Result = iota
	Failed           // it is certain that nothing has changed
	Refused          // the ring does not want the transfer any more
	Unknown          // nobody knows; of Publish and Learn alone
)

// Outcome is how a [Switch] ended.
type Outcome uint8

// The outcomes.
const (
	Undone   Outcome = iota // the transfer goes on, to try again later
	Switched                // the receiver is the owner
	CalledOff
)

// Switch decides how a partition changes its owner, when all that was written is
// over. The order of its acts is what no write and no read slips through:
//
//	AskStore ─▶ Suspend ─▶ Agree ─▶ Publish ─▶ Resume ─▶ HandOver
//	   │ refused             │         │ │                  Switched
//	   ▼                     │         │ └ unknown ─▶ Learn ─┐ until it is known
//	 CalledOff               ▼         ▼               ▲─────┘
//	                       TakeBack ◀──┴ failed, refused
//
// The commands are held before both sides compare, so that what they agree on
// stays true; reads too, for once the ring is there the new owner may take a write
// that this one does not see. They go on before the new owner has confirmed, since
// the ring decides and not the confirmation. The store is asked before anything is
// held, and if its answer to Publish got lost, commands are refused rather than
// held: to go on with a partition that was given away would be to acknowledge
// writes which its owner never sees. To read the old ring then proves nothing, as
// the request may still be on its way. What does is a newer version of the
// document: so Learn publishes once more, and whichever of the two comes second
// finds that it is late.
type Switch struct {
	act     Act
	outcome Outcome
}

// Begin returns the first act.
func (s *Switch) Begin() Act {
	*s = Switch{act: AskStore}
	return s.act
}

// Next takes the result of the last act and returns the next one, or 0 if there is
// none.
func (s *Switch) Next(r Result) Act {
	s.act = s.after(r)
	return s.act
}

// Outcome returns how it ended.
func (s *Switch) Outcome() Outcome { return s.outcome }

func (s *Switch) after(r Result) Act {
	switch s.act {
	case AskStore:
		if r == Refused {
			s.outcome = CalledOff
		}
		return onlyIf(r == Succeeded, Suspend)
	case Suspend:
		return Agree
	case Agree:
		if r == Succeeded {
			return Publish
		}
	case Publish, Learn:
		switch r {
		case Succeeded:
			s.outcome = Switched
			return Resume
		case Unknown:
			return Learn
		case Refused:
			s.outcome = CalledOff
		case Failed:
		}
	case Resume:
		return HandOver
	case TakeBack, HandOver:
		return 0
	}
	return TakeBack
}

func onlyIf(holds bool, a Act) Act {
	if holds {
		return a
	}
	return 0
}
