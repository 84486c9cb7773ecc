package sim

import (
	"time"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/internal/history"
	"github.com/torc-io/torc/ring"
)

const (
	clients = 4
	// keysEach is how many keys a client writes. Everybody reads all of them.
	keysEach = 7
	// patience is how long a client waits for a node that says nothing.
	patience = requestTimeout + 400*time.Millisecond
)

// keyState is a key and the last version that its writer gave it.
type keyState struct {
	name    string
	number  history.Key
	version history.Version
}

// client writes its own keys and reads all, one operation after the other.
type client struct {
	w      *World
	number uint16
	keys   []*keyState
}

func (w *World) startClients() {
	for i := range clients {
		c := &client{w: w, number: uint16(i)}
		for range keysEach {
			number := history.Key(len(w.keys))
			k := &keyState{name: number.String(), number: number}
			w.keys, c.keys = append(w.keys, k), append(c.keys, k)
		}
		w.clients = append(w.clients, c)
		w.after(w.between(0, 100*time.Millisecond), c.next)
	}
}

// quorum is what the scenario asks of an operation.
func (w *World) quorum(kind coordinator.Kind) coordinator.Quorum {
	q := coordinator.Quorum{N: replicas, Need: majority}
	if w.scenario.Strict {
		q.Primaries = majority
	}
	if kind == coordinator.Write {
		q.Nodes = majority // two copies on one node are lost as one
	}
	return q
}

// next begins an operation.
func (c *client) next() {
	w := c.w
	if w.calm {
		return
	}
	op := history.Op{Begin: w.now, Client: c.number}
	var i item
	var k *keyState
	switch draw := w.rng.IntN(100); {
	case draw < 45:
		op.Kind, k = history.Read, w.keys[w.rng.IntN(len(w.keys))]
	case draw < 88:
		op.Kind, k = history.Write, c.keys[w.rng.IntN(len(c.keys))]
	default:
		op.Kind, k = history.Delete, c.keys[w.rng.IntN(len(c.keys))]
	}
	op.Key = k.number
	if op.Kind != history.Read {
		k.version++
		op.Version, i = k.version, item{version: k.version, deleted: op.Kind == history.Delete}
	}
	w.counts[Operations]++
	c.attempt(op, k, i, history.Failed, 1)
}

// attempt sends the operation to some node, and again to another one if it was
// not answered. So far is what the attempts before have come to.
func (c *client) attempt(op history.Op, k *keyState, i item, soFar history.Outcome, left int) {
	w := c.w
	over := false
	finish := func(a result) {
		if over {
			return
		}
		over = true
		if a.outcome == history.Unknown && soFar == history.Failed {
			soFar = history.Unknown
		}
		if a.outcome != history.OK && left > 0 && w.chance(2) {
			w.after(w.between(0, 50*time.Millisecond), func() { c.attempt(op, k, i, soFar, left-1) })
			return
		}
		if a.outcome == history.OK {
			soFar = history.OK
		}
		c.end(op, a.item, soFar)
	}
	kind := coordinator.Write
	if op.Kind == history.Read {
		kind = coordinator.Read
	}
	w.ask(func(n *node) {
		r := n.request(kind, k.name, i, w.quorum(kind), finish)
		if w.trace != nil {
			n.tracef("client", "%d: %v %s %v (r%d, partition %d)", c.number, op.Kind, k.name, i, r.id, n.ring.Partition([]byte(k.name)))
		}
	}, func() { finish(result{outcome: history.Failed}) })
	w.after(patience, func() { finish(result{outcome: history.Unknown}) })
}

// ask has some node that takes requests do something, or says that there is none.
func (w *World) ask(do func(*node), nobody func()) {
	var able []*node
	for _, n := range w.nodes {
		if n.up && n.ready && !n.leaving {
			able = append(able, n)
		}
	}
	if len(able) == 0 {
		w.after(time.Millisecond, nobody)
		return
	}
	n := able[w.rng.IntN(len(able))]
	life := n.life
	n.now(func() {
		if n.life == life && n.up && n.ring != nil {
			do(n)
		}
	})
}

// end records an operation, and thinks about the next.
func (c *client) end(op history.Op, got item, outcome history.Outcome) {
	w := c.w
	op.End, op.Outcome = w.now, outcome
	if op.Kind == history.Read && outcome == history.OK {
		op.Version = got.read()
	}
	if w.trace != nil {
		w.tracef("-", "answer", "%d: %v", c.number, op)
	}
	if outcome != history.OK {
		w.counts[Unanswered]++
	}
	w.ledger.ops = append(w.ledger.ops, op)
	w.after(w.between(10*time.Millisecond, 120*time.Millisecond), c.next)
}

// read returns what a client sees of an item.
func (i item) read() history.Version {
	if i.deleted {
		return history.Nothing
	}
	return i.version
}

// primaries returns the nodes that should hold a key, by a ring.
func (w *World) primaries(r *ring.Ring, key string) []ring.Target {
	return r.PreferenceList(r.Partition([]byte(key)), replicas)
}
