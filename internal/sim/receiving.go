package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/torc-io/torc/handoff"
)

const catchUpWithin = time.Second

// receiving drives handoff.Receiver for one connection, as
// actors/handoff_receiver.go does. One frame after the other is worked off.
type receiving struct {
	node       *node
	stream     *stream
	hello      handoff.Hello
	vnode      *vnode // nil until it is welcome
	intake     *intake
	connection int
	over       bool
	failed     bool
	gone       bool

	frames []any
	busy   bool
}

// receive takes a new stream.
func (n *node) receive(s *stream) {
	i := &receiving{node: n, stream: s}
	s.ends[atReceiver].take = func(frame any) {
		i.frames = append(i.frames, frame)
		i.next()
	}
	s.ends[atReceiver].ended = i.leave
}

// next works the next frame off.
func (i *receiving) next() {
	if i.busy || i.gone || len(i.frames) == 0 {
		return
	}
	frame := i.frames[0]
	i.frames = i.frames[1:]
	i.busy = true
	switch f := frame.(type) {
	case handoff.Hello:
		i.hello = f
		i.greet()
	case handoff.Chunk:
		i.chunk(f)
	case handoff.Claim:
		i.seal(f)
	case flip:
		i.flip(f)
	}
}

// answer sends the answer to a frame, and goes on to the next.
func (i *receiving) answer(a any) {
	if i.gone {
		return
	}
	if i.over {
		i.release()
	}
	i.stream.send(atSender, a)
	if _, refused := a.(*handoff.Refusal); refused {
		i.hangUp()
		return
	}
	i.busy = false
	i.next()
}

// hangUp ends the connection from this side.
func (i *receiving) hangUp() {
	i.stream.hangUp(atReceiver)
	i.leave()
}

func (i *receiving) refusef(reason handoff.Reason, format string, args ...any) {
	i.answer(&handoff.Refusal{Reason: reason, Text: fmt.Sprintf("%s: ", i.node.name) + fmt.Sprintf(format, args...)})
}

// greet decides on the hello, with a newer ring if the sender knows one.
func (i *receiving) greet() {
	n := i.node
	switch {
	case n.ring == nil:
		i.refusef(handoff.NotNow, "starting")
	case i.hello.Epoch > n.epoch():
		n.refresh(catchUpWithin, func(error) { i.check() })
	default:
		i.check()
	}
}

func (i *receiving) check() {
	n := i.node
	if i.gone {
		return
	}
	if _, member := n.ring.Member(i.hello.From); !member {
		i.refusef(handoff.Wrong, "%s is no member", i.hello.From)
		return
	}
	if refusal := i.hello.Check(n.name, n.ring); refusal != nil {
		i.answer(refusal)
		return
	}
	if !i.admit() {
		n.w.counts[BusyReceiver]++
		i.refusef(handoff.Busy, "has all that it may")
		return
	}
	i.present()
}

// present has the vnode decide. One that was about to end has another after it.
func (i *receiving) present() {
	if i.gone {
		return
	}
	v := i.node.proxies[i.hello.Partition].open(false)
	if v == nil {
		i.refusef(handoff.NotNow, "about to move")
		return
	}
	v.visit(i.welcome, i.present)
}

func (i *receiving) welcome(v *vnode) {
	if i.gone {
		return
	}
	if v.retired {
		i.node.after(0, i.present)
		return
	}
	r, useless, refusal := v.standing.Welcome(i.hello, len(v.items))
	if refusal != nil {
		i.answer(refusal)
		i.release()
		return
	}
	if useless {
		v.drop()
	}
	i.vnode, i.connection = v, r.Connection()
	v.tell()
	next := r.Next()
	i.node.after(0, func() { i.answer(welcome{next}) })
}

// leave ends the connection's part in the transfer.
func (i *receiving) leave() {
	if i.gone {
		return
	}
	i.gone = true
	i.release()
	if i.vnode == nil {
		return
	}
	i.vnode.post(func(v *vnode) {
		if i.node.w.hooks.staleDone && i.hello.Type == handoff.Repair {
			i.mistake(v)
		}
		v.standing.Detach(i.hello.ID, i.connection)
		if i.over || i.failed {
			v.standing.Forget(i.hello.ID)
		}
		v.tell()
		v.node.wake()
	})
}

// mistake takes the end of a connection, done or not, for the end of all repairs
// from its node. It is what a mutant does.
func (i *receiving) mistake(v *vnode) {
	for _, need := range v.standing.Needs() {
		if need.Node == i.hello.From {
			v.standing.Heard(need)
		}
	}
}

// turn runs do on the vnode's turn, if this connection still counts there.
func (i *receiving) turn(do func(*vnode, *handoff.Receiver)) {
	i.vnode.visit(func(v *vnode) {
		if i.gone {
			return
		}
		r := v.standing.Receiver(i.hello.ID)
		if r == nil || r.Connection() != i.connection {
			i.hangUp() // the transfer goes on elsewhere
			return
		}
		do(v, r)
	}, i.hangUp)
}

// soon answers outside of the vnode's turn.
func (i *receiving) soon(a any) { i.node.after(0, func() { i.answer(a) }) }

// broken is an error that no other connection mends.
func (i *receiving) broken(err error) {
	i.failed = true
	i.soon(&handoff.Refusal{Reason: handoff.Broken, Text: fmt.Sprintf("%s: %v", i.node.name, err)})
}

// chunk merges items, and acknowledges them only then.
func (i *receiving) chunk(c handoff.Chunk) {
	items, err := handoff.DecodeItems(c.Items)
	if err == nil && handoff.Checksum(c.Items) != c.Checksum {
		err = fmt.Errorf("chunk %d was damaged on its way", c.Seq)
	}
	if err != nil {
		i.broken(err)
		return
	}
	i.turn(func(v *vnode, r *handoff.Receiver) {
		fresh, err := r.Accept(c.Seq)
		switch {
		case err != nil:
			i.node.tracef("stream", "%v: %v", i.hello.Transfer, err)
			i.hangUp()
			return
		case fresh && v.out != nil && v.out.isFrozen():
			i.soon(&handoff.Refusal{Reason: handoff.NotNow, Text: "giving the partition away"})
			return
		case fresh:
			v.merge(items, i.hello.From)
			r.Merged(len(items))
		}
		i.soon(ack{c.Seq})
	})
}

// seal compares what has come with what was sent.
func (i *receiving) seal(c handoff.Claim) {
	i.turn(func(v *vnode, r *handoff.Receiver) {
		count, err := r.Seal(c, len(v.items), v.standing.Own())
		if err != nil {
			i.broken(err)
			return
		}
		if r.Sealed() && i.hello.Type == handoff.Repair {
			if v.standing.Heard(handoff.Source{Partition: i.hello.Source, Node: i.hello.From}) {
				i.node.w.counts[Recovered]++
				i.node.tracef("vnode", "%d has recovered", v.partition)
			}
			v.tell()
			i.node.wake()
		}
		i.over = r.Sealed() && i.hello.Type != handoff.Ownership
		i.soon(count)
	})
}

// flip has the node take the ring over that makes it the owner.
func (i *receiving) flip(f flip) {
	look := func(err error) {
		if err != nil {
			i.hangUp()
			return
		}
		i.vnode.visit(func(v *vnode) {
			whole := v.standing.Confirm(i.hello.ID)
			v.tell()
			i.over = true
			i.soon(flipped{whole})
		}, i.hangUp)
	}
	if i.node.epoch() < f.epoch {
		i.node.refresh(catchUpWithin, look)
		return
	}
	look(nil)
}

// admit gives an incoming transfer one of the places there are.
func (i *receiving) admit() bool {
	m := &i.node.mover
	for _, a := range m.arriving {
		if a.Transfer == i.hello.Transfer {
			i.intake = a
			a.streams++
			return true
		}
	}
	if len(m.arriving) >= transferLimit {
		return false
	}
	i.intake = &intake{Transfer: i.hello.Transfer, streams: 1}
	m.arriving = append(m.arriving, i.intake)
	return true
}

// release gives the place back, once.
func (i *receiving) release() {
	a := i.intake
	if a == nil {
		return
	}
	i.intake = nil
	a.streams--
	if a.streams == 0 {
		m := &i.node.mover
		m.arriving = slices.DeleteFunc(m.arriving, func(other *intake) bool { return other == a })
	}
}
