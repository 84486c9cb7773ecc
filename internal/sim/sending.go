package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// The times are those of actors/handoff_sender.go.
const (
	reconnectAfter = 250 * time.Millisecond
	welcomeWithin  = 3 * time.Second
	abandonAfter   = time.Minute
)

var (
	errAnew      = errors.New("it begins anew")
	errCalledOff = errors.New("called off")
)

// sending drives handoff.Sender and handoff.Switch for one transfer, as
// actors/handoff_sender.go and actors/transfer.go do. There is one service, so a
// transfer has one part.
type sending struct {
	handoff.Transfer

	node    *node
	id      uint64
	proxy   *proxy
	vnode   *vnode
	machine *handoff.Sender // nil until it has begun

	items    uint64
	snapshot []handoff.Item
	read     int

	stream      *stream
	connections int
	linked      bool // the receiver has said welcome
	transferred int  // items that were acknowledged
	lonely      time.Duration
	pumping     bool
	collecting  bool
	held        []heldReply
	failure     error
	called      bool // off
	over        bool

	change  *handoff.Switch // while the partition changes its owner
	sealing func()          // looks whether both sides agree
	flip    ring.Epoch
	told    bool // of the flip, on this connection
	flipped func(bool)
}

// heldReply is a reply that waits for a chunk to be acknowledged.
type heldReply struct {
	seq     uint64
	command *command
	reply   *reply
}

// What goes over a stream, beside handoff.Hello, handoff.Chunk, handoff.Claim and
// handoff.Count.
type (
	welcome struct{ next uint64 }
	ack     struct{ seq uint64 }
	flip    struct{ epoch ring.Epoch }
	flipped struct{ whole bool }
)

// start begins on the vnode's turn: a write is in the snapshot, or reported.
func (s *sending) start() {
	s.vnode = s.proxy.vnode
	if s.vnode == nil {
		s.end(fmt.Errorf("%w: there is no vnode", errAnew))
		return
	}
	s.vnode.visit(s.enter, func() { s.end(fmt.Errorf("%w: the vnode has ended", errAnew)) })
}

func (s *sending) enter(v *vnode) {
	if s.over {
		return
	}
	if v.out != nil && s.Type != handoff.Repair {
		s.later(&handoff.Refusal{Reason: handoff.NotNow, Text: "another transfer of this vnode is ending"})
		return
	}
	machine, refusal := v.standing.Give(s.Transfer)
	if refusal != nil {
		s.later(refusal)
		return
	}
	s.items = uint64(len(v.items))
	if !machine.Snapshot() {
		s.items = uint64(v.standing.Own())
	}
	s.machine = machine
	s.lonely = s.node.w.now
	if machine.Snapshot() {
		for _, key := range sortedKeys(v.items) {
			s.snapshot = append(s.snapshot, v.items[key].encode(key))
		}
	}
	if s.Type != handoff.Repair {
		v.out = s
	}
	s.node.after(0, s.connect)
}

// later ends the transfer on the mover's turn.
func (s *sending) later(err error) { s.node.after(0, func() { s.end(err) }) }

// callOff ends a transfer that is not wanted any more: at once, or when its
// change of ownership has come to an end.
func (s *sending) callOff() {
	if s.called {
		return
	}
	s.called = true
	s.node.w.counts[CancelledTransfer]++
	if s.change == nil {
		s.end(errCalledOff)
		return
	}
	s.unheard()
	s.stir()
}

// end has the vnode go on without the transfer.
func (s *sending) end(err error) {
	if s.over {
		return
	}
	if s.change != nil { // which is waited for, without a connection
		if s.failure == nil {
			s.failure = err
		}
		s.unheard()
		s.lost("")
		return
	}
	if errors.Is(err, errAnew) && s.machine != nil {
		s.node.w.counts[BeginsAnew]++
	}
	s.lost("")
	s.over = true
	if s.machine != nil {
		if err != nil && s.Type == handoff.Hinted && s.node.w.hooks.loseHints {
			s.vnode.post((*vnode).returned)
		}
		s.vnode.post(func(v *vnode) {
			if v.out == s {
				v.out = nil
			}
			if v.handing == s { // nobody waits for the new owner's word any more
				v.handed(false)
			}
		})
	}
	s.node.finish(s, err)
}

// unheard ends the wait for the new owner's word, if there is one.
func (s *sending) unheard() {
	if s.flipped != nil {
		s.flipped(false)
	}
}

// connect opens a stream and says hello.
func (s *sending) connect() {
	n := s.node
	if s.over || s.called || s.failure != nil || s.stream != nil {
		return
	}
	to := n
	if s.To != n.name {
		p := n.peer(s.To)
		if p == nil || !p.handoff || !p.node.up || n.w.net.isCut(n, p.node) || n.w.net.isCut(p.node, n) {
			s.await()
			return
		}
		to = p.node
	}
	st := n.w.net.open(n, to)
	s.stream = st
	st.ends[atSender].take = func(frame any) {
		if s.stream == st {
			s.hear(frame)
		}
	}
	st.ends[atSender].ended = func() {
		if s.stream == st {
			s.lost("the stream ended")
		}
	}
	to.receive(st)
	n.after(welcomeWithin, func() {
		if s.stream == st && !s.welcomed() {
			s.lost("no welcome")
		}
	})
	st.send(atReceiver, handoff.Hello{
		Transfer: s.Transfer, Service: "kv", ID: s.id, ClusterID: n.ring.ClusterID(), RingSize: n.ring.Size(), Epoch: n.ring.Epoch(), Items: s.items,
	})
}

func (s *sending) welcomed() bool {
	return s.stream != nil && s.connections > 0 && s.machine != nil && s.linked
}

// lost has the machine go on without a connection, and lets go of the replies
// that waited for one.
func (s *sending) lost(why string) {
	if s.stream == nil {
		return
	}
	if why != "" {
		s.node.tracef("stream", "%v: %s", s.Transfer, why)
	}
	s.stream.hangUp(atSender)
	s.stream, s.linked, s.told, s.lonely = nil, false, false, s.node.w.now
	s.machine.Lost()
	free := s.held
	s.held = nil
	for _, h := range free {
		s.node.reply(h.command, h.reply)
	}
	s.look()
	s.await()
}

// await connects again when it is time.
func (s *sending) await() {
	s.node.after(reconnectAfter, func() {
		switch {
		case s.over || s.called || s.failure != nil || s.stream != nil:
		case s.node.w.now-s.lonely > abandonAfter && s.flipped == nil:
			s.end(fmt.Errorf("%w: nobody there for %v", errAnew, abandonAfter))
		case s.node.reachable(s.To):
			s.connect()
		default:
			s.await()
		}
	})
}

func (s *sending) stalled() bool {
	return s.machine != nil && s.stream == nil && s.node.w.now-s.lonely > time.Second
}

// stir has the sender look for something to do.
func (s *sending) stir() {
	if s.pumping || s.over {
		return
	}
	s.pumping = true
	s.node.after(s.node.w.between(10*time.Microsecond, 200*time.Microsecond), func() {
		s.pumping = false
		s.pump()
	})
}

// pump does the next thing that the machine says.
func (s *sending) pump() {
	if s.over || s.stream == nil || !s.linked || s.collecting {
		s.look()
		return
	}
	step := s.machine.Next()
	switch step {
	case handoff.Send:
		s.stream.send(atReceiver, s.machine.Outgoing())
		s.stir()
	case handoff.Read:
		s.copySome()
		s.stir()
	case handoff.Collect:
		s.collecting = true
		s.vnode.visit(s.gather, func() { s.end(fmt.Errorf("%w: the vnode has ended", errAnew)) })
	case handoff.SendSeal:
		s.stream.send(atReceiver, s.machine.Claim())
		s.stir()
	case handoff.Wait, handoff.Ready, handoff.Finished:
		if step == handoff.Finished && s.Type != handoff.Ownership {
			s.end(nil)
			return
		}
		if s.flip != 0 && !s.told {
			s.stream.send(atReceiver, flip{s.flip})
			s.told = true
		}
		s.look()
	}
}

// look is the transfer's look at its part.
func (s *sending) look() {
	switch {
	case s.over:
	case s.change != nil:
		if s.sealing != nil {
			s.sealing()
		}
	case s.Type == handoff.Ownership && s.linked && s.machine.Next() == handoff.Ready && s.failure == nil:
		s.switchOver()
	}
}

// copySome takes the next part of the snapshot: a few items at a time, so that
// there are many chunks of few items.
func (s *sending) copySome() {
	var items []byte
	count := 0
	for count < 2 && s.read < len(s.snapshot) {
		item := s.snapshot[s.read]
		s.read++
		if s.wants(item.Key) {
			items, _ = handoff.AppendItem(items, item)
			count++
		}
	}
	s.machine.Copied(items, count, s.read < len(s.snapshot))
}

// wants says whether the receiver is to have a key: in a repair, one whose
// preference list it is in.
func (s *sending) wants(key []byte) bool {
	if s.Type != handoff.Repair {
		return true
	}
	r := s.node.ring
	return handoff.Holds(s.Partition, r.Partition(key), replicas, r.Size())
}

// gather takes the items of keys that were written, on the vnode's turn.
func (s *sending) gather(v *vnode) {
	s.collecting = false
	if s.over {
		return
	}
	var items []byte
	count := 0
	for count < 3 {
		key, ok := s.machine.Take()
		if !ok {
			break
		}
		if item := v.encoded(string(key)); !item.Deleted || s.Type == handoff.Ownership {
			items, _ = handoff.AppendItem(items, item)
			count++
		}
	}
	s.machine.Collected(items, count)
	if s.machine.Phase() == handoff.Done {
		v.returned()
	}
	s.stir()
}

// encoded returns what is to be sent for a key.
func (v *vnode) encoded(key string) handoff.Item {
	if i, there := v.items[key]; there {
		return i.encode(key)
	}
	return handoff.Item{Key: []byte(key), Deleted: true}
}

// wrote takes a write that the vnode has executed, on its turn, and says whether
// it keeps the reply.
func (s *sending) wrote(v *vnode, c *command, r *reply) (kept bool) {
	if s.node.w.hooks.skipDirty(c.key) {
		return false
	}
	defer s.stir()
	if !s.machine.Wrote([]byte(c.key)) {
		return false
	}
	encoded, _ := handoff.AppendItem(nil, v.encoded(c.key))
	s.node.w.counts[PassedWrite]++
	s.held = append(s.held, heldReply{s.machine.Pass(encoded), c, r})
	return true
}

// merged takes a key whose item came from another node, on the vnode's turn.
func (s *sending) merged(key []byte, from ring.NodeName) {
	s.machine.Merged(key, from)
	s.stir()
}

// isFrozen says whether nothing may change at the vnode.
func (s *sending) isFrozen() bool {
	return s.Type == handoff.Ownership && s.machine.Phase() == handoff.Sealed
}

// sealed says whether both sides agree.
func (s *sending) sealed() bool {
	return s.machine.Agreed() && s.machine.Next() == handoff.Finished
}

// hear takes what the receiver says.
func (s *sending) hear(frame any) {
	w := s.node.w
	switch f := frame.(type) {
	case welcome:
		next := w.hooks.cursor(f.next)
		if err := s.machine.Welcome(next); err != nil {
			s.end(fmt.Errorf("%w: %w", errAnew, err))
			return
		}
		s.linked = true
		s.connections++
		if s.connections > 1 && f.next > 1 {
			w.counts[ResumedTransfer]++
		}
	case ack:
		s.acked(f.seq)
		return
	case handoff.Count:
		if err := s.machine.Agree(f); err != nil {
			s.end(&handoff.Refusal{Reason: handoff.Broken, Text: err.Error()})
			return
		}
	case flipped:
		if s.flipped != nil {
			s.flipped(f.whole)
		}
	case *handoff.Refusal:
		s.end(f)
		return
	}
	s.stir()
}

// acked notes what went over, and lets go of the replies that waited for it.
func (s *sending) acked(seq uint64) {
	done, err := s.machine.Acked(seq)
	for _, c := range done {
		s.transferred += c.Count
	}
	n := 0
	for n < len(s.held) && s.held[n].seq <= seq {
		n++
	}
	free := s.held[:n:n]
	s.held = s.held[n:]
	for _, h := range free {
		s.node.reply(h.command, h.reply)
	}
	if err != nil {
		s.lost(err.Error())
		return
	}
	s.stir()
}
