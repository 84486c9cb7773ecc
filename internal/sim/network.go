package sim

import "time"

// maxQueued is what a lane keeps while its peer cannot be reached.
const maxQueued = 4096

// network carries messages between nodes. A lane is a connection in one
// direction: in order, and each message once, as long as it lasts. While the
// direction is cut messages wait, as in the buffers of TCP, and arrive late; they
// are lost when the lane breaks, or one of its ends stops. Requests and replies
// may also get lost or come twice by themselves, which is worse than TCP.
type network struct {
	w     *World
	lanes map[[2]int]*lane
	cuts  map[[2]int]int // how many faults cut a direction
	loss  int            // one of so many messages is lost; 0 is none
	twice int            // one of so many comes twice

	streams []*stream // that are open
	fragile int       // how many of the next ones break
}

type lane struct {
	generation int
	last       time.Duration // when the message before arrives
	waiting    []message     // in their order; what comes later has to wait for them
	draining   bool
}

// message is what a lane carries. It does its work at the receiver.
type message struct {
	unit    bool // a request or a reply, that may get lost or come twice
	twice   func()
	deliver func(*node)
}

func newNetwork(w *World) *network {
	return &network{w: w, lanes: map[[2]int]*lane{}, cuts: map[[2]int]int{}}
}

func (t *network) lane(from, to *node) *lane {
	k := [2]int{from.index, to.index}
	if t.lanes[k] == nil {
		t.lanes[k] = &lane{}
	}
	return t.lanes[k]
}

func (t *network) isCut(from, to *node) bool { return t.cuts[[2]int{from.index, to.index}] > 0 }

// latency is how long a message takes: mostly little, seldom long.
func (t *network) latency() time.Duration {
	switch w := t.w; {
	case w.chance(200):
		return w.between(20*time.Millisecond, 400*time.Millisecond)
	case w.chance(10):
		return w.between(time.Millisecond, 10*time.Millisecond)
	default:
		return w.between(50*time.Microsecond, time.Millisecond)
	}
}

// send puts a message on its lane. There is no word of whether it arrives.
func (t *network) send(from, to *node, m message) {
	if !to.up {
		t.notice(from, to)
		return
	}
	if m.unit && t.loss > 0 && t.w.chance(t.loss) {
		t.w.counts[MessageLost]++
		return
	}
	t.put(from, to, m)
	if m.unit && t.twice > 0 && t.w.chance(t.twice) {
		t.w.counts[MessageTwice]++
		if m.twice != nil {
			m.twice()
		}
		t.put(from, to, m)
	}
}

func (t *network) put(from, to *node, m message) {
	l := t.lane(from, to)
	if t.isCut(from, to) && len(l.waiting) >= maxQueued {
		return
	}
	l.last = max(l.last, t.w.now+t.latency())
	generation, life := l.generation, to.life
	t.w.at(l.last, func() {
		switch {
		case l.generation != generation || to.life != life || !to.up:
		case t.isCut(from, to) || len(l.waiting) > 0:
			l.waiting = append(l.waiting, m)
		default:
			to.now(func() { m.deliver(to) })
		}
	})
}

// notice has a node find out that nobody listens at its peer.
func (t *network) notice(from, to *node) {
	if t.isCut(from, to) || t.isCut(to, from) {
		return // silence
	}
	from.after(t.w.between(time.Millisecond, 30*time.Millisecond), func() { from.broken(to.name) })
}

// breakLane loses all that is on its way.
func (t *network) breakLane(from, to *node) {
	l := t.lane(from, to)
	l.generation++
	l.waiting = nil
}

// stopped breaks all connections of a process that has ended.
func (t *network) stopped(n *node) {
	for _, other := range t.w.nodes {
		if other == n {
			continue
		}
		t.breakLane(n, other)
		t.breakLane(other, n)
		if other.up {
			t.notice(other, n)
		}
	}
	for _, s := range t.streamsOf(n) {
		s.vanish(n)
	}
}

// cut stops what goes from one node to another, until the same is mended.
func (t *network) cut(from, to *node) { t.cuts[[2]int{from.index, to.index}]++ }

// mend ends a cut. What has waited goes on.
func (t *network) mend(from, to *node) {
	k := [2]int{from.index, to.index}
	if t.cuts[k] == 0 {
		return
	}
	t.cuts[k]--
	if t.cuts[k] > 0 {
		return
	}
	if l := t.lane(from, to); !l.draining {
		l.draining = true
		t.w.after(t.latency(), func() { t.drain(l, from, to) })
	}
	for _, s := range t.streams {
		s.flush()
	}
}

// drain delivers what has waited, one after the other.
func (t *network) drain(l *lane, from, to *node) {
	if len(l.waiting) == 0 || t.isCut(from, to) {
		l.draining = false
		return
	}
	m := l.waiting[0]
	l.waiting = l.waiting[1:]
	to.now(func() { m.deliver(to) })
	t.w.after(t.w.between(0, 50*time.Microsecond), func() { t.drain(l, from, to) })
}
