package sim

import (
	"slices"
	"time"
)

// stallAfter is how long a stream stands a cut before both ends give it up.
const stallAfter = 3 * time.Second

// stream is the connection of a transfer: frames one way, answers the other,
// reliable and in order until it breaks. Its ends learn of that one by one.
type stream struct {
	w    *World
	ends [2]end // of the sender, and of the receiver
	over bool   // of both
}

// end is one side: what it is told, and what is on its way to it.
type end struct {
	node     *node
	life     uint64
	take     func(frame any)
	ended    func()
	closed   bool
	last     time.Duration
	stalled  []any // in their order; what comes later has to wait for them
	draining bool
	patient  bool // a check for a stall is entered
}

// closing is the last frame.
type closing struct{}

const (
	atSender   = 0
	atReceiver = 1
)

// open makes a stream from one node to another. The ends set take and ended.
func (t *network) open(from, to *node) *stream {
	s := &stream{w: t.w}
	s.ends[atSender] = end{node: from, life: from.life}
	s.ends[atReceiver] = end{node: to, life: to.life}
	t.streams = append(t.streams, s)
	if t.fragile > 0 {
		t.fragile--
		t.w.after(t.w.between(0, 30*time.Millisecond), s.snap)
	}
	return s
}

func (t *network) streamsOf(n *node) (all []*stream) {
	for _, s := range t.streams {
		if s.ends[atSender].node == n || s.ends[atReceiver].node == n {
			all = append(all, s)
		}
	}
	return all
}

// send puts a frame on its way to an end.
func (s *stream) send(to int, frame any) {
	e := &s.ends[to]
	if e.closed || s.ends[1-to].closed {
		return
	}
	s.put(e, frame)
}

func (s *stream) put(e *end, frame any) {
	e.last = max(e.last, s.w.now+s.w.net.latency())
	s.w.at(e.last, func() { s.arrive(e, frame) })
}

func (s *stream) arrive(e *end, frame any) {
	switch {
	case e.closed || e.node.life != e.life || !e.node.up:
	case len(e.stalled) > 0 || s.cutTo(e):
		e.stalled = append(e.stalled, frame)
		s.watch(e)
	default:
		s.deliver(e, frame)
	}
}

func (s *stream) deliver(e *end, frame any) {
	e.node.now(func() {
		if e.closed {
			return
		}
		if _, last := frame.(closing); last {
			s.shut(e)
			return
		}
		e.take(frame)
	})
}

func (s *stream) other(e *end) *end {
	if e == &s.ends[atSender] {
		return &s.ends[atReceiver]
	}
	return &s.ends[atSender]
}

func (s *stream) cutTo(e *end) bool { return s.w.net.isCut(s.other(e).node, e.node) }

// watch gives up a stream that stands still.
func (s *stream) watch(e *end) {
	if e.patient {
		return
	}
	e.patient = true
	s.w.after(stallAfter, func() {
		e.patient = false
		if len(e.stalled) > 0 && !s.over {
			s.snap()
		}
	})
}

// flush lets go what was stalled, when a cut is mended.
func (s *stream) flush() {
	for i := range s.ends {
		if e := &s.ends[i]; len(e.stalled) > 0 && !e.draining {
			e.draining = true
			s.w.after(s.w.net.latency(), func() { s.drain(e) })
		}
	}
}

// drain delivers what was stalled, one after the other.
func (s *stream) drain(e *end) {
	if len(e.stalled) == 0 || e.closed || s.cutTo(e) {
		e.draining = false
		return
	}
	frame := e.stalled[0]
	e.stalled = e.stalled[1:]
	s.deliver(e, frame)
	s.w.after(s.w.between(0, 100*time.Microsecond), func() { s.drain(e) })
}

// hangUp ends the stream from one side. The other one learns of it, if it can.
func (s *stream) hangUp(from int) {
	e := &s.ends[from]
	if e.closed {
		return
	}
	s.forget(e)
	other := &s.ends[1-from]
	if other.closed {
		return
	}
	if s.cutTo(other) {
		s.w.after(stallAfter, func() { s.shutLater(other) })
		return
	}
	s.put(other, closing{})
}

// vanish ends the stream since the process at one side has.
func (s *stream) vanish(n *node) {
	side := atSender
	if s.ends[atReceiver].node == n {
		side = atReceiver
	}
	if s.ends[side].node == s.ends[1-side].node {
		s.forget(&s.ends[0])
		s.forget(&s.ends[1])
		return
	}
	s.hangUp(side)
}

// snap breaks the stream at both ends.
func (s *stream) snap() {
	for i := range s.ends {
		e := &s.ends[i]
		s.w.after(s.w.between(0, 200*time.Millisecond), func() { s.shutLater(e) })
	}
}

func (s *stream) shutLater(e *end) {
	if !e.closed && e.node.life == e.life && e.node.up {
		e.node.now(func() { s.shut(e) })
	}
}

// shut tells an end that the stream is over.
func (s *stream) shut(e *end) {
	if e.closed {
		return
	}
	s.forget(e)
	if e.ended != nil {
		e.ended()
	}
}

func (s *stream) forget(e *end) {
	e.closed, e.stalled = true, nil
	if s.ends[0].closed && s.ends[1].closed && !s.over {
		s.over = true
		s.w.net.streams = slices.DeleteFunc(s.w.net.streams, func(other *stream) bool { return other == s })
	}
}
