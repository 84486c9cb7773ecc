package sim

import (
	"errors"
	"slices"
	"time"

	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/ring"
)

const (
	// healthyFor is how long the store takes a node for healthy, and keeps a
	// session, without a word from it.
	healthyFor = 3 * time.Second
	// beatStore is how often a node gives that word.
	beatStore = time.Second
)

// document is what the store keeps: the ring, and the store's version of it.
type document struct {
	ring    *ring.Ring
	version uint64
}

var (
	errConflict = errors.New("the document has changed meanwhile")
	errTimeout  = errors.New("the store did not answer in time")
	errRefused  = errors.New("the store cannot be reached")
)

// store is the membership store. It is never wrong, and often late: requests and
// answers take time and get lost, watches skip states and show old ones, and a
// session ends when its holder says nothing for too long.
type store struct {
	w        *World
	document document
	before   document // the one before it, for watches that are behind
	entries  []*entry
	away     int // how many faults keep it from everybody
	slow     int // how many faults make it slow
	lock     lock
}

// entry is a node as the store knows it.
type entry struct {
	name    ring.NodeName
	life    uint64
	beat    time.Duration
	healthy bool
}

// lock is the claimant lock and the session that holds it.
type lock struct {
	holder  *node
	life    uint64
	session uint64
	renewed time.Duration
}

func newStore(w *World) *store {
	s := &store{w: w}
	var look func()
	look = func() {
		s.look()
		w.after(500*time.Millisecond, look)
	}
	w.after(500*time.Millisecond, look)
	return s
}

// look lets time do what it does to the healthy and to sessions.
func (s *store) look() {
	changed := false
	for _, e := range s.entries {
		if healthy := s.w.now-e.beat < healthyFor; healthy != e.healthy {
			e.healthy, changed = healthy, true
		}
	}
	if s.lock.holder != nil && s.w.now-s.lock.renewed >= healthyFor {
		s.w.tracef("+", "session", "of claimant %s expires", s.lock.holder.name)
		s.lock = lock{}
	}
	if changed {
		s.showNodes()
	}
}

func (s *store) entry(name ring.NodeName) *entry {
	for _, e := range s.entries {
		if e.name == name {
			return e
		}
	}
	return nil
}

func (s *store) register(name ring.NodeName, life uint64) {
	e := s.entry(name)
	if e == nil {
		e = &entry{name: name}
		s.entries = append(s.entries, e)
	}
	e.life, e.beat, e.healthy = life, s.w.now, true
	s.showNodes()
}

func (s *store) deregister(name ring.NodeName) {
	s.entries = slices.DeleteFunc(s.entries, func(e *entry) bool { return e.name == name })
	s.showNodes()
}

func (s *store) nodes() (all []membership.Node) {
	for _, e := range s.entries {
		all = append(all, membership.Node{Name: string(e.name), Incarnation: e.life, Healthy: e.healthy})
	}
	return all
}

// swap is the compare-and-set.
func (s *store) swap(version uint64, r *ring.Ring) error {
	if s.document.version != version {
		return errConflict
	}
	s.w.ledger.published(s.w, r)
	s.before = s.document
	s.document = document{ring: r, version: version + 1}
	if s.w.trace != nil {
		s.w.tracef("+", "ring", "epoch %d, %d members, %d transfers", r.Epoch(), len(r.Members()), len(r.Transfers()))
	}
	s.showRing()
	if n := len(s.w.nodes); n > 1 {
		i := s.w.rng.IntN(n)
		s.w.cue(RingPublished, s.w.nodes[i], s.w.nodes[(i+1)%n])
	}
	return nil
}

// showRing has the watches of all nodes look, each in its own time. What they
// see is the document then, or, when a watch is behind, the one before.
func (s *store) showRing() {
	for _, n := range s.w.nodes {
		s.w.after(s.watchDelay(), func() { s.deliver(n) })
	}
}

func (s *store) watchDelay() time.Duration {
	if s.w.chance(8) {
		return s.w.between(200*time.Millisecond, 2*time.Second)
	}
	return s.w.between(time.Millisecond, 50*time.Millisecond)
}

func (s *store) deliver(n *node) {
	if !n.up || n.ring == nil {
		return
	}
	if s.cutOff(n) {
		s.w.after(s.w.between(100*time.Millisecond, time.Second), func() { s.deliver(n) })
		return
	}
	seen := s.document
	if s.before.version != 0 && s.w.chance(20) {
		seen = s.before
		s.w.counts[StaleWatch]++
		s.w.after(s.w.between(50*time.Millisecond, time.Second), func() { s.deliver(n) })
	}
	n.now(func() { n.take(seen) })
}

func (s *store) showNodes() {
	for _, n := range s.w.nodes {
		s.w.after(s.watchDelay(), func() { s.deliverNodes(n) })
	}
}

func (s *store) deliverNodes(n *node) {
	switch {
	case !n.up:
	case s.cutOff(n):
		s.w.after(s.w.between(100*time.Millisecond, time.Second), func() { s.deliverNodes(n) })
	default:
		seen := s.nodes()
		n.now(func() { n.registered = seen })
	}
}

func (s *store) cutOff(n *node) bool { return s.away > 0 || n.noStore > 0 }

func (s *store) latency() time.Duration {
	if s.slow > 0 && s.w.chance(3) {
		return s.w.between(100*time.Millisecond, 1500*time.Millisecond)
	}
	return s.w.between(300*time.Microsecond, 8*time.Millisecond)
}

// call has the store do something for a node. Done gets what came of it, or an
// error at the end of patience; what was on its way then may still happen.
func (n *node) call(patience time.Duration, do func() error, done func(error)) {
	s, answered, life := n.w.store, false, n.life
	answer := func(err error) {
		if !answered {
			answered = true
			done(err)
		}
	}
	n.after(patience, func() { answer(errTimeout) })
	if s.cutOff(n) {
		if n.w.chance(2) {
			n.after(s.latency(), func() { answer(errRefused) })
		}
		return
	}
	n.w.after(s.latency(), func() {
		if s.cutOff(n) {
			return
		}
		err := do()
		n.w.after(s.latency(), func() {
			if n.life == life && n.up && !s.cutOff(n) {
				n.now(func() { answer(err) })
			}
		})
	})
}
