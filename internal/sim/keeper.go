package sim

import (
	"time"

	"github.com/torc-io/torc/ring"
)

// foundingEpoch is that of the first ring: nobody can have written anything.
const foundingEpoch ring.Epoch = 1

// change publishes what next makes of the stored ring, and adopts it: a loop of
// read, apply and compare-and-set. After an error that next did not return, the
// outcome is unknown.
func (n *node) change(next func(*ring.Ring) (*ring.Ring, error), done func(error)) {
	over := false
	finish := func(err error) {
		if !over {
			over = true
			done(err)
		}
	}
	n.after(storePatience, func() { finish(errTimeout) })
	var read document
	var try func()
	try = func() {
		n.call(storePatience, func() error { read = n.w.store.document; return nil }, func(err error) {
			if over || err != nil {
				finish(err)
				return
			}
			before := read
			after, err := next(before.ring)
			switch {
			case err != nil:
				finish(err)
				return
			case after == before.ring:
				n.adopt(after)
				finish(nil)
				return
			}
			n.call(storePatience, func() error { return n.w.store.swap(before.version, after) }, func(err error) {
				switch {
				case over:
				case err == errConflict: //nolint:errorlint // it is never wrapped here
					n.w.counts[Conflict]++
					try()
				case err != nil:
					finish(err)
				default:
					n.adopt(after)
					finish(nil)
				}
			})
		})
	}
	try()
}

// refresh adopts what the store has now.
func (n *node) refresh(patience time.Duration, done func(error)) {
	var read document
	n.call(patience, func() error { read = n.w.store.document; return nil }, func(err error) {
		if err == nil {
			n.take(read)
		}
		done(err)
	})
}

// take adopts a document. If it is older than the ring in use, the store gets
// that back, unless the store has moved on meanwhile.
func (n *node) take(d document) {
	if n.ring != nil && d.ring.Epoch() < n.ring.Epoch() {
		mine := n.ring
		n.call(time.Second, func() error { return n.w.store.swap(d.version, mine) }, func(error) {})
		return
	}
	n.adopt(d.ring)
}

// adopt makes r the ring of this node, unless it has that one or a newer one.
func (n *node) adopt(r *ring.Ring) {
	old := n.ring
	switch {
	case old == nil:
		for p := range r.Size() {
			n.proxies = append(n.proxies, &proxy{node: n, partition: ring.Partition(p)})
		}
	case r.Epoch() <= old.Epoch():
		return
	default:
		n.assume(old, r)
	}
	n.ring = r
	n.tracef("adopt", "epoch %d", r.Epoch())
	n.w.ledger.adopted(n, r)
	n.setPeers()
	for p := range r.Owned(n.name) {
		n.proxies[p].open(old == nil && r.Epoch() == foundingEpoch)
	}
	n.lateArrived(r.Epoch())
	n.wake()
}

// assume tells the vnodes what they are by r.
func (n *node) assume(old, r *ring.Ring) {
	for _, p := range n.proxies {
		if p.report != nil && (p.report.Concerns(p.partition, old, r) || p.assuming != 0) && p.vnode != nil {
			p.assuming++
			p.vnode.post(func(v *vnode) {
				v.assume(r)
				p.assuming--
			})
		}
	}
}
