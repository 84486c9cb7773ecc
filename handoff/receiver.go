package handoff

import "fmt"

// Receiver decides what one vnode takes of a transfer. It outlives the
// connections of the transfer, and runs on the vnode's turn.
type Receiver struct {
	hello       Hello
	connections int  // so far; the last one counts
	attached    bool // the last one goes on
	next        uint64
	items       uint64
	agreed      bool // at the last seal both had the same, and nothing has come since
}

// Next returns the number of the chunk that comes next.
func (r *Receiver) Next() uint64 { return r.next }

// Connection returns the number of the connection that was welcomed last. What
// comes by an older one is nothing to go by.
func (r *Receiver) Connection() int { return r.connections }

// attach makes a new connection the one that counts.
func (r *Receiver) attach() {
	r.connections++
	r.attached, r.agreed = true, false
}

// Accept says whether a chunk is to be merged. One that was merged before is
// not, and is acknowledged again. A gap is an error: something was lost on a
// connection that loses nothing.
func (r *Receiver) Accept(seq uint64) (merge bool, err error) {
	switch {
	case seq > r.next:
		return false, fmt.Errorf("handoff: chunk %d came where %d was expected", seq, r.next)
	case seq < r.next:
		return false, nil
	}
	return true, nil
}

// Merged notes that the items of the next chunk were merged, all of them.
func (r *Receiver) Merged(count int) {
	r.next++
	r.items += uint64(count)
	r.agreed = false
}

// Seal answers a claim. Held and own are about the vnode. That both sides agree
// is for the sender to find, who knows best what it has; what is found here is
// that chunks are missing.
func (r *Receiver) Seal(c Claim, held, own int) (Count, error) {
	if c.Chunks != r.next-1 {
		return Count{}, fmt.Errorf("handoff: the sender has sent %d chunks, and %d were merged", c.Chunks, r.next-1)
	}
	count := Count{Items: r.items, Held: uint64(held), Own: uint64(own)}
	r.agreed = c.differs(count, r.hello.Type) == nil
	return count, nil
}

// Sealed says whether the sender holds nothing that is not here. It is so only
// while the connection lasts, since afterwards the sender may go on writing.
func (r *Receiver) Sealed() bool { return r.agreed && r.attached }
