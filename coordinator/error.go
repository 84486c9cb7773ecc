package coordinator

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/torc-io/torc/ring"
)

// Causes that the caller has no error for, since no vnode said them.
var (
	// ErrUnreachable is the cause of a position that could not be sent to.
	ErrUnreachable = errors.New("unreachable")
	// ErrNoReply is wrapped by the cause of a position that was sent to and has
	// not answered: by the deadline, or when the quorum became impossible.
	ErrNoReply = errors.New("no reply")
	// ErrLost is the cause of a position whose node went away after the send.
	ErrLost = errors.New("connection lost")

	errLate       = fmt.Errorf("%w by the deadline", ErrNoReply)
	errPending    = fmt.Errorf("%w yet", ErrNoReply)
	errNotPrimary = errors.New("answered, but is no primary")
	errSameNode   = errors.New("answered, but is no other node")
)

// Cause is why one position of a failed request did not count.
type Cause struct {
	Partition ring.Partition
	Node      ring.NodeName // who was heard last for it, or should have been; "" if nobody owns it
	Fallback  bool          // the node stood in for the owner
	Err       error         // never nil
}

// String returns the cause as in "partition 17 on b (fallback): overloaded".
func (c Cause) String() string {
	role := ""
	if c.Fallback {
		role = " (fallback)"
	}
	return fmt.Sprintf("partition %d on %s%s: %v", c.Partition, cmp.Or(c.Node, "nobody"), role, c.Err)
}

// QuorumError says why a request was not answered by enough replicas, and what
// is known of its effect.
type QuorumError struct {
	Kind        Kind
	Requirement Requirement // what fell short, of which the counts speak
	Needed, Got int
	Of          int // how many there were to get it from: N, or the distinct nodes there were to ask

	// Outcome is Failed if the command has not been executed anywhere, and
	// Unknown if a write was, or may have been, by some replica: it can still
	// become visible. A read has no effect, so it always just Failed.
	Outcome Outcome

	Causes []Cause // by position, without the ones that counted for Requirement
}

// Error names the counts, the outcome and all causes.
func (e *QuorumError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v needed %d of %d", e.Kind, e.Needed, e.Of)
	if e.Requirement != Answers {
		fmt.Fprintf(&b, " %v", e.Requirement)
	}
	fmt.Fprintf(&b, ", got %d", e.Got)
	if e.Outcome == Unknown {
		b.WriteString(" (unknown outcome)")
	}
	for i, c := range e.Causes {
		b.WriteString([...]string{": ", "; "}[min(i, 1)])
		b.WriteString(c.String())
	}
	return b.String()
}

// Unwrap returns the errors of the causes, so that errors.Is finds what any
// replica said.
func (e *QuorumError) Unwrap() []error {
	errs := make([]error, len(e.Causes))
	for i, c := range e.Causes {
		errs[i] = c.Err
	}
	return errs
}

// Error returns the error to answer with after Impossible or Expired. In any
// other case it is nil, of a concrete type: do not pass that on as an error.
// Causes returns the error that came with the last Reply that
// decided a position without being counted; it is asked only for positions that
// had such a reply, and may return nil, or be nil itself.
func (r *Request) Error(causes func(position int) error) *QuorumError {
	if r.answer != Impossible && r.answer != Expired {
		return nil
	}
	e := &QuorumError{
		Kind:        r.cfg.Kind,
		Requirement: r.short,
		Needed:      r.cfg.Quorum.needs(r.short),
		Got:         r.tally().got[r.short],
		Of:          r.of(r.short),
		Outcome:     r.outcome(),
	}
	for i := range r.cfg.Quorum.N {
		if c := r.cause(i, causes); c.Err != nil {
			e.Causes = append(e.Causes, c)
		}
	}
	return e
}

// of returns how many there were to get a requirement from.
func (r *Request) of(req Requirement) (n int) {
	if req != Nodes {
		return r.cfg.Quorum.N
	}
	for k := range r.sends[:r.sent] {
		first := true
		for j := range r.sends[:k] {
			first = first && r.sends[j].Node != r.sends[k].Node
		}
		if first {
			n++
		}
	}
	return n
}

// outcome tells Failed from Unknown.
func (r *Request) outcome() Outcome {
	if r.cfg.Kind == Read {
		return Failed
	}
	for k := range r.sends[:r.sent] {
		if r.fates[k].executed() {
			return Unknown
		}
	}
	return Failed
}

// cause explains one position. It has no error if there is nothing to explain:
// the position counts, or it could have been asked when the request failed at
// the start.
func (r *Request) cause(i int, causes func(int) error) Cause {
	s, w := r.seats[i], r.words[i]
	c := Cause{Partition: r.partition(i), Node: w.node, Fallback: w.fallback}
	switch {
	case s.state == answered:
		c.Err = r.useless(i)
	case s.state == open:
		c.Node, c.Fallback, c.Err = s.node, s.fallback, r.silence()
	case w.outcome != Unknown:
		if w.told && causes != nil {
			c.Err = causes(i)
		}
		c.Err = cmp.Or(c.Err, w.outcome.err(w.told))
	}
	return c
}

// useless tells why an answered position does not count for the requirement
// that fell short, or nil if it does.
func (r *Request) useless(i int) error {
	switch s := r.seats[i]; {
	case r.short == Primaries && s.fallback:
		return errNotPrimary
	case r.short == Nodes && sits(r.seats[:i], s.node, answered):
		return errSameNode
	}
	return nil
}

// silence is the cause of a position that is still open.
func (r *Request) silence() error {
	if r.answer == Expired {
		return errLate
	}
	return errPending
}

// err is the cause where the caller has no better one. A refusal that nobody
// told is our own: the node was not reachable.
func (o Outcome) err(told bool) error {
	switch {
	case o == Lost:
		return ErrLost
	case o == Refused && !told:
		return ErrUnreachable
	}
	return errors.New(o.String())
}
