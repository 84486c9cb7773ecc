package handoff

// Handoff is one side of a transfer, as it concerns one vnode.
type Handoff struct {
	Transfer

	Sending bool // its items, rather than receiving some
}

// Observer is what a vnode implements to be told of transfers. Both methods are
// called on its own turn, and delay its commands: they should be short.
type Observer interface {
	// HandoffStarting is called before the first item is taken or merged. It may
	// be called again for a transfer that begins anew.
	HandoffStarting(h Handoff)

	// HandoffFinished is called when the transfer has ended: with nil if it did
	// all that it was for, or with what kept it from that.
	HandoffFinished(h Handoff, err error)
}
