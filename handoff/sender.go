package handoff

import (
	"fmt"

	"github.com/torc-io/torc/ring"
)

const (
	// Window bounds the chunks that are on their way: with 64 KiB each they fill
	// a gigabit link over 8 ms. It is also the most that is sent again after a
	// connection was lost.
	Window = 16

	// maxRounds ends the rounds of a vnode that is written to faster than the
	// items go over. From then on its writers wait for the receiver.
	maxRounds = 8
)

// Chunk is a number of encoded items on their way.
type Chunk struct {
	Seq      uint64 // 1, 2, …
	Items    []byte // see AppendItem
	Count    int    // of the items
	Checksum uint32 // of Items
}

// Step is what a [Sender] wants done next.
type Step uint8

// The steps.
const (
	Wait     Step = iota // for an event
	Send                 // the chunk that Outgoing returns
	Read                 // a part of the snapshot, and tell Copied
	Collect              // on the vnode's turn: the items of the keys that Take returns, and tell Collected
	Ready                // nothing: hardly anything is still on its way, and Seal may follow
	SendSeal             // a seal with what Claim returns
	Finished             // nothing: both sides agree
)

// Sender decides what one vnode sends in a transfer. It is fed with what
// happens, and Next says what to do. Its methods must not run at the same time;
// those of which it is said run on the vnode's turn, so that no write comes
// between them and what they are told.
type Sender struct {
	kind     Type
	to       ring.NodeName
	snapshot bool

	phase  Phase
	linked bool // the receiver has welcomed us on the present connection
	asked  bool // the present state was sealed on this connection
	agreed bool // and the receiver has the same

	dirty   keySet // written, and not sent since
	rounds  int
	inRound int // keys of this round that are left

	chunks []Chunk // not acknowledged, by Seq
	sent   int     // how many of them went over the present connection
	seq    uint64  // of the last chunk
	items  uint64  // in all chunks so far
	held   uint64  // by the vnode, when it was sealed
}

// NewSender returns the machine of a transfer. With snapshot, all of the vnode's
// items are to go over, as they are on the turn on which this is called; without,
// only those of keys that are then reported by Wrote.
func NewSender(t Transfer, snapshot bool) *Sender {
	s := &Sender{kind: t.Type, to: t.To, snapshot: snapshot, phase: Rounds}
	if snapshot {
		s.phase = Copying
	}
	return s
}

// Snapshot says whether all of the vnode's items are to go over.
func (s *Sender) Snapshot() bool { return s.snapshot }

// Phase returns how far the transfer is.
func (s *Sender) Phase() Phase { return s.phase }

// Welcome begins to use a connection, of which the receiver said which chunk it
// wants next. It is an error if that one is not kept any more: the receiver has
// forgotten what it had acknowledged, and the transfer has to begin anew.
func (s *Sender) Welcome(next uint64) error {
	first := s.seq + 1
	if len(s.chunks) > 0 {
		first = s.chunks[0].Seq
	}
	if next < first || next > s.seq+1 {
		return fmt.Errorf("handoff: the receiver wants chunk %d, and those from %d to %d are here", next, first, s.seq)
	}
	s.acknowledge(next - 1)
	s.linked, s.sent = true, 0
	return nil
}

// Lost ends the use of the connection. Writes are acknowledged without the
// receiver again; what it has not acknowledged will be sent again. The rounds
// begin anew, since much may be written until there is another connection.
func (s *Sender) Lost() {
	s.linked, s.sent, s.asked, s.agreed = false, 0, false, false
	if s.kind == Ownership && s.phase >= Rounds {
		s.beginRounds()
	}
}

// Next says what to do.
func (s *Sender) Next() Step {
	switch {
	case s.phase == Done: // what is written from that turn on is for the next transfer
		return Finished
	case !s.linked:
		return Wait
	case s.sent < len(s.chunks) && s.sent < Window:
		return Send
	case s.phase == Copying || s.dirty.len() > 0:
		return s.more()
	case s.phase == Rounds && s.kind == Ownership:
		return s.more() // a turn, to go on to Through
	case s.phase == Through && s.unheard() <= ChunkBytes:
		return Ready // writers see to it that something is always on its way
	case len(s.chunks) > 0:
		return Wait
	case !s.asked:
		return SendSeal
	case !s.agreed:
		return Wait
	case s.kind == Hinted:
		return Collect // a turn, to see that nothing was written meanwhile
	}
	return Finished
}

// unheard returns how many bytes are not acknowledged yet.
func (s *Sender) unheard() (bytes int) {
	for i := range s.chunks {
		bytes += len(s.chunks[i].Items)
	}
	return bytes
}

// more returns how to get more items, if there is room for them.
func (s *Sender) more() Step {
	switch {
	case len(s.chunks) >= Window:
		return Wait
	case s.phase == Copying:
		return Read
	}
	return Collect
}

// Outgoing returns the next chunk to send, and takes it for sent.
func (s *Sender) Outgoing() Chunk {
	c := &s.chunks[s.sent]
	c.Checksum = Checksum(c.Items)
	s.sent++
	return *c
}

// Copied takes a part of the snapshot, and whether there is more of it. Items
// belongs to the sender from then on.
func (s *Sender) Copied(items []byte, count int, more bool) {
	s.add(items, count)
	switch {
	case more:
	case s.kind == Repair:
		s.phase = Sealed // what is written meanwhile, the receiver is sent by the coordinators
	default:
		s.beginRounds()
	}
}

// beginRounds makes the keys that are dirty now the first round.
func (s *Sender) beginRounds() {
	s.phase, s.rounds, s.inRound = Rounds, 0, s.dirty.len()
}

// Take returns a key whose item is to be sent, until there is none. It is called
// on the vnode's turn, and Collected on the same one.
func (s *Sender) Take() (key []byte, ok bool) {
	key, ok = s.dirty.pop()
	if ok {
		s.inRound--
	}
	return key, ok
}

// Collected takes the items of keys that Take returned, and goes on to the next
// phase if it is time. It is called on the vnode's turn.
func (s *Sender) Collected(items []byte, count int) {
	s.add(items, count)
	if s.phase != Rounds {
		return
	}
	if s.inRound <= 0 {
		s.rounds, s.inRound = s.rounds+1, s.dirty.len()
	}
	clean := s.dirty.len() == 0
	switch {
	case s.kind == Ownership && (clean || s.rounds > maxRounds):
		s.phase = Through
	case s.kind == Hinted && clean && s.agreed: // an item that is added undoes that
		s.phase = Done
	}
}

// Wrote takes the key of a command that the vnode has executed. It returns true
// if the command may be acknowledged only when the receiver has its item: the
// caller then passes the item to Pass, on the same turn.
func (s *Sender) Wrote(key []byte) (pass bool) {
	switch {
	case s.kind == Repair:
		return false
	case s.phase == Through || s.phase == Sealed:
		s.dirty.remove(key)
		return true
	}
	s.dirty.add(key)
	return false
}

// Merged takes the key of an item that reached the vnode by another transfer, from
// some node. It is sent as soon as there is room, and nobody waits for it. An owner
// is not returned what came from itself, or an item would go in circles while the
// partition is on its way from there to here. The new owner is sent also what it has
// returned as a stand-in: it drops that when the transfer begins.
func (s *Sender) Merged(key []byte, from ring.NodeName) {
	if s.kind == Repair || s.kind == Hinted && from == s.to {
		return
	}
	s.dirty.add(key)
	s.unseal()
}

// Pass sends the item of a write, and returns the chunk whose acknowledgement
// the write has to wait for.
func (s *Sender) Pass(item []byte) (seq uint64) {
	s.unseal()
	if last := len(s.chunks) - 1; last >= s.sent && len(s.chunks[last].Items)+len(item) <= ChunkBytes {
		c := &s.chunks[last]
		c.Items = append(c.Items, item...)
		c.Count++
		s.items++
		return c.Seq
	}
	s.add(item, 1)
	return s.seq
}

// add puts a chunk in line.
func (s *Sender) add(items []byte, count int) {
	if count == 0 {
		return
	}
	s.seq++
	s.items += uint64(count)
	s.chunks = append(s.chunks, Chunk{Seq: s.seq, Items: items, Count: count})
	s.asked, s.agreed = false, false
}

// Acked takes the news that the receiver has merged a chunk and all before it.
// It returns those that are thereby done.
func (s *Sender) Acked(seq uint64) (done []Chunk, err error) {
	if s.sent == 0 || seq < s.chunks[0].Seq || seq > s.chunks[s.sent-1].Seq {
		return nil, fmt.Errorf("handoff: chunk %d is acknowledged, and was not waited for", seq)
	}
	return s.acknowledge(seq), nil
}

func (s *Sender) acknowledge(seq uint64) (done []Chunk) {
	n := 0
	for n < len(s.chunks) && s.chunks[n].Seq <= seq {
		n++
	}
	done, s.chunks = s.chunks[:n:n], s.chunks[n:]
	s.sent = max(0, s.sent-n)
	return done
}

// Seal says that nothing will be written any more, and how many items the vnode
// holds. It is called on the vnode's turn, and returns false if the transfer is
// not Ready any more, since the connection was lost or something was merged.
func (s *Sender) Seal(held int) bool {
	if s.phase != Through || !s.linked || s.dirty.len() > 0 {
		return false
	}
	s.phase, s.held = Sealed, uint64(held)
	return true
}

// Reopen takes a Seal back, since the ring was not changed.
func (s *Sender) Reopen() { s.unseal() }

// unseal makes what the receiver was asked, or is to be, old news.
func (s *Sender) unseal() {
	s.asked, s.agreed = false, false
	if s.kind == Ownership && s.phase == Sealed {
		s.phase = Through
	}
}

// Claim returns what the receiver must have, for a seal that is sent now.
func (s *Sender) Claim() Claim {
	s.asked = true
	return s.claim()
}

func (s *Sender) claim() Claim { return Claim{Chunks: s.seq, Items: s.items, Held: s.held} }

// Agree compares what the receiver has with what it must have.
func (s *Sender) Agree(c Count) error {
	if !s.asked {
		return nil // it answers a seal before which something more was sent since
	}
	err := s.claim().differs(c, s.kind)
	s.agreed = err == nil
	return err
}

// Agreed says whether the receiver has the same, and nothing has come since.
func (s *Sender) Agreed() bool { return s.agreed }
