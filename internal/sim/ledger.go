package sim

import (
	"reflect"
	"slices"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/internal/history"
	"github.com/torc-io/torc/ring"
)

// ledger is what the checkers keep. It sees everything, and decides nothing.
type ledger struct {
	rings   map[ring.Epoch]*ring.Ring
	newest  ring.Epoch
	epochs  map[uint64]ring.Epoch // of each process, by its life
	excused map[string]string     // keys of which replicas may differ until they are read, and why
	floors  map[floor]history.Version
	ops     []history.Op
}

// floor is a primary position of a key. What it has taken of an acknowledged write
// it must have ever after, on whatever node.
type floor struct {
	partition ring.Partition
	key       string
}

func newLedger() ledger {
	return ledger{
		rings: map[ring.Epoch]*ring.Ring{}, epochs: map[uint64]ring.Epoch{}, excused: map[string]string{}, floors: map[floor]history.Version{},
	}
}

// published checks that an epoch has one ring.
func (l *ledger) published(w *World, r *ring.Ring) {
	known := l.rings[r.Epoch()]
	if known != nil && known != r && !reflect.DeepEqual(known.State(), r.State()) {
		w.failf("one ring an epoch", "epoch %d is published twice, and differently", r.Epoch())
	}
	if known == nil {
		l.rings[r.Epoch()] = r
		if r.Violations(replicas) > 0 {
			w.mended = false // the two copies of a write may be on one node now
		}
	}
	if known == nil && r.Epoch() <= l.newest {
		w.failf("epochs grow", "epoch %d is published after %d", r.Epoch(), l.newest)
	}
	l.givenUp(w, l.rings[l.newest], r)
	l.newest = max(l.newest, r.Epoch())
}

// givenUp notes which keys a ring leaves on fewer replicas, since it takes partitions
// from a node that still runs without a transfer: those who are recovering do not ask
// that node any more, and it returns what it has to the new owners alone.
func (l *ledger) givenUp(w *World, before, after *ring.Ring) {
	if before == nil {
		return
	}
	for p := range ring.Partition(after.Size()) {
		n := w.node(before.Owner(p))
		move, pending := before.Transfer(p)
		if n == nil || !n.up || n.ring == nil || n.proxies[p].vnode == nil || after.Owner(p) == n.name || pending && move.To == after.Owner(p) {
			continue
		}
		for _, key := range sortedKeys(n.proxies[p].vnode.items) {
			l.excuse(key, "a node was given up that had it")
		}
	}
}

// adopted checks that the epochs of a process grow.
func (l *ledger) adopted(n *node, r *ring.Ring) {
	if before := l.epochs[n.life]; r.Epoch() <= before {
		n.w.failf("epochs grow", "%s goes from epoch %d to %d", n.name, before, r.Epoch())
	}
	l.epochs[n.life] = r.Epoch()
}

// deeds are what vnodes have executed of one request.
type deeds struct {
	w       *World
	request uint64
	at      []deed
	twice   bool // the network brought a message of it twice
}

type deed struct {
	partition ring.Partition
	node      ring.NodeName
	fallback  bool
}

// executed notes that a vnode executes a command. Unless it is one for a fallback
// the vnode must be the owner's, by the ring that its node uses, and have what the
// position has taken before.
func (d *deeds) executed(v *vnode, c *command) {
	n := v.node
	if owner := n.ring.Owner(v.partition); !c.fallback && owner != n.name {
		d.w.failf("one owner", "r%d: %s serves partition %d, which %s owns at epoch %d", d.request, n.name, v.partition, owner, n.epoch())
	}
	least := d.w.ledger.floors[floor{v.partition, c.key}]
	if has := v.items[c.key]; c.read && !c.fallback && d.w.scenario.Strict && has.version < least {
		d.w.failf("positions keep", "r%d: partition %d on %s has %v of %s, and took the acknowledged v%d before", d.request, v.partition, n.name, has, c.key, least)
	}
	by := deed{v.partition, n.name, c.fallback}
	if d.request != 0 && !slices.Contains(d.at, by) {
		d.at = append(d.at, by)
	}
}

func (d *deeds) doubled() { d.twice = true }

// met checks that a quorum is one of different replicas, each of which did it.
func (l *ledger) met(r *request) {
	var positions []ring.Partition
	var nodes []ring.NodeName
	fallback := false
	for _, by := range r.deeds.at {
		if !slices.Contains(positions, by.partition) {
			positions = append(positions, by.partition)
		}
		if !slices.Contains(nodes, by.node) {
			nodes = append(nodes, by.node)
		}
		fallback = fallback || by.fallback
		if at := (floor{by.partition, r.key}); r.kind == coordinator.Write && !by.fallback {
			l.floors[at] = max(l.floors[at], r.item.version)
		}
	}
	if fallback {
		r.n.w.counts[FallbackAck]++
	}
	if len(positions) < r.quorum.Need || len(nodes) < r.quorum.Nodes {
		r.n.w.failf("quorums distinct", "r%d of %s is answered with %d of %d, and was executed by %v", r.id, r.key, r.quorum.Need, r.quorum.N, r.deeds.at)
	}
}

// excuse notes that the replicas of a key may differ until the key is read.
func (l *ledger) excuse(key, why string) { l.excused[key] = why }

// crashed notes which keys a loss of memory leaves on fewer replicas: those that
// are on their way from a fallback or to one, and those that are being written.
func (l *ledger) crashed(lost *node) {
	for _, n := range lost.w.nodes {
		for _, p := range n.proxies {
			if p.vnode == nil || p.vnode.standing.Owner() {
				continue
			}
			for _, key := range sortedKeys(p.vnode.items) {
				l.excuse(key, "memory was lost while it was on its way home")
			}
		}
		for _, r := range n.requests {
			if r.kind == coordinator.Write {
				l.excuse(r.key, "memory was lost while it was written")
			}
		}
	}
}

// record returns what the clients did, for the checkers of package history.
func (l *ledger) record() (*history.Record, error) { return history.NewRecord(slices.Clone(l.ops)) }
