package coordinator

// Outcome is what became of a command at one vnode.
type Outcome uint8

// The outcomes. The package comment has them in a table.
const (
	Unknown    Outcome = iota // no word: it may be on its way, executed, or lost. Not a reply
	Acked                     // the handler ran, and there is a value
	NotFound                  // the handler ran, and there is nothing under the key
	Recovering                // not executed: the vnode came back empty, and is not whole yet
	Failed                    // the handler ran, and returned an error or panicked
	Refused                   // not executed, another node may serve: not owner, stopping, unreachable at the send
	Shed                      // not executed, go nowhere else: overloaded, or expired in the queue
	Lost                      // the node or the connection went away after the send
	Behind                    // a read was answered, by a vnode that others hold newer writes for
	outcomes
)

// String returns the outcome in one lower-case word.
func (o Outcome) String() string {
	return [...]string{
		"unknown", "acked", "notfound", "recovering", "failed", "refused", "shed", "lost", "behind", "?",
	}[min(o, outcomes)]
}

// isReply reports whether a vnode can have said o.
func (o Outcome) isReply() bool { return o > Unknown && o < outcomes }

// of reads a reply's outcome for a kind of request. A write has nothing to find,
// so a vnode that says so has not done it.
func (o Outcome) of(k Kind) Outcome {
	switch {
	case k == Write && o == NotFound:
		return Failed
	case k == Write && o == Behind:
		return Acked
	}
	return o
}

// answers reports whether a reply counts for its position. A fallback's
// NotFound does not: it never held the partition, so it cannot deny the key.
func (o Outcome) answers(fallback bool) bool {
	return o == Acked || o == NotFound && !fallback
}

// goesOn reports whether another node may serve instead.
func (o Outcome) goesOn() bool { return o == Refused || o == Lost }

// spent reports whether a node with this outcome is better left alone for the
// rest of the request, also by the other positions.
func (o Outcome) spent() bool { return o.goesOn() || o == Shed }

// executed reports whether the command has run, or may have.
func (o Outcome) executed() bool {
	return o != Recovering && o != Refused && o != Shed
}
