package actors

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/ring"
)

// ringKeeper brings the ring document and this node together: it finds or
// creates the document when the node starts, enters the node in it, and adopts
// every later ring. It alone replaces Node.view.
type ringKeeper struct {
	node *Node
	self membership.Node

	mu sync.Mutex // one adoption at a time
}

// join returns once the node has adopted a ring that knows it.
func (k *ringKeeper) join(ctx context.Context) error {
	return k.swap(ctx, func(current membership.Document) (*ring.Ring, error) { return k.next(ctx, current) })
}

// swap publishes what next makes of the stored document, and adopts it: a loop of
// read, apply and compare-and-set, so any number of nodes may be at it at once.
// Next is called again if somebody else was faster.
func (k *ringKeeper) swap(ctx context.Context, next func(membership.Document) (*ring.Ring, error)) error {
	for {
		current, err := k.node.config.Membership.Document(ctx)
		if err != nil {
			return fmt.Errorf("read the ring document: %w", err)
		}
		after, err := next(current)
		if err != nil {
			return err
		}
		err = k.publish(ctx, current, after)
		if errors.Is(err, membership.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		return k.adopt(after)
	}
}

// next returns the ring that should be: the present one with this node in it.
func (k *ringKeeper) next(ctx context.Context, current membership.Document) (*ring.Ring, error) {
	if current.Version == 0 {
		return k.first(ctx)
	}
	r, err := decodeRing(current.Data)
	if err != nil {
		return nil, err
	}
	if size := k.node.config.RingSize; size != 0 && size != r.Size() {
		return nil, fmt.Errorf("this node wants a ring of %d partitions, but the cluster's has %d: start it with %d, or with none given",
			size, r.Size(), r.Size())
	}
	return enrol(r, k.self)
}

// first waits for the members that the first ring is to have, and makes it.
func (k *ringKeeper) first(ctx context.Context) (*ring.Ring, error) {
	watch, stop := context.WithCancel(ctx)
	defer stop()
	for nodes := range k.node.config.Membership.WatchNodes(watch) {
		if len(nodes) < k.node.config.Bootstrap {
			k.node.logger.Info("waiting for members to form the cluster", "have", len(nodes), "want", k.node.config.Bootstrap)
			continue
		}
		var members []ring.Member
		for _, n := range nodes {
			members = append(members, memberOf(n))
		}
		return ring.New(rand.Text(), k.ringSize(), k.node.config.TargetN, members...)
	}
	return nil, fmt.Errorf("wait for %d members to form the cluster: %w", k.node.config.Bootstrap, context.Cause(ctx))
}

func (k *ringKeeper) ringSize() int {
	if k.node.config.RingSize != 0 {
		return k.node.config.RingSize
	}
	return ring.DefaultSize
}

// publish stores next unless it is what is stored already.
func (k *ringKeeper) publish(ctx context.Context, current membership.Document, next *ring.Ring) error {
	data, err := encodeRing(next)
	if err != nil {
		return fmt.Errorf("encode the ring document: %w", err)
	}
	if bytes.Equal(data, current.Data) {
		return nil
	}
	if _, err := k.node.config.Membership.Swap(ctx, current.Version, data); err != nil {
		return fmt.Errorf("publish the ring of epoch %d: %w", next.Epoch(), err)
	}
	k.node.logger.Info("published a ring", "epoch", next.Epoch())
	return nil
}

// enrol returns r with the node as it is now: announced if the ring does not
// know it, with its new address if it has restarted elsewhere, and r itself if
// nothing has changed. It moves no partition.
func enrol(r *ring.Ring, self membership.Node) (*ring.Ring, error) {
	want := memberOf(self)
	change := ring.Update(want)
	switch known, ok := r.Member(want.Name); {
	case !ok || !known.Status.MayOwn() && known.Status != ring.Joining:
		change = ring.Announce(want)
	case known.Address == want.Address && known.Incarnation == want.Incarnation && known.Zone == want.Zone:
		return r, nil
	}
	plan, err := r.Plan(change)
	if err != nil {
		return nil, fmt.Errorf("enter %s in the ring: %w", want.Name, err)
	}
	return plan.Next, nil
}

func memberOf(n membership.Node) ring.Member {
	return ring.Member{Name: ring.NodeName(n.Name), Address: n.Address, Zone: n.Zone, Incarnation: n.Incarnation}
}

// run adopts later rings until ctx ends.
func (k *ringKeeper) run(ctx context.Context) {
	for document := range k.node.config.Membership.WatchDocument(ctx) {
		if err := k.take(ctx, document); err != nil {
			k.node.logger.Error("the stored ring is not usable; going on with the last one", "error", err)
		}
	}
}

// refresh adopts what the store has now, without waiting for the watch.
func (k *ringKeeper) refresh(ctx context.Context) error {
	document, err := k.node.config.Membership.Document(ctx)
	if err != nil {
		return fmt.Errorf("read the ring document: %w", err)
	}
	return k.take(ctx, document)
}

// take adopts a document. If the store has lost it, or has one that is older
// than the ring in use, it gets that back: the members of a cluster outlive what
// their store remembers.
func (k *ringKeeper) take(ctx context.Context, document membership.Document) error {
	if document.Version == 0 {
		return k.restore(ctx, document)
	}
	r, err := decodeRing(document.Data)
	if err != nil {
		return err
	}
	if mine := k.node.Ring(); r.ClusterID() == mine.ClusterID() && r.Epoch() < mine.Epoch() {
		return k.restore(ctx, document)
	}
	return k.adopt(r)
}

// restore replaces the document by the ring in use. Another member may be faster;
// if it had an older ring, the watch will show that, too.
func (k *ringKeeper) restore(ctx context.Context, current membership.Document) error {
	err := k.publish(ctx, current, k.node.Ring())
	switch {
	case errors.Is(err, membership.ErrConflict):
		return nil
	case err != nil:
		return fmt.Errorf("put the ring document back: %w", err)
	}
	k.node.logger.Warn("the store had lost the ring, or had an older one; put it back", "epoch", k.node.epoch())
	return nil
}

// foundingEpoch is that of the first ring of a cluster: nobody can have written
// anything, so its owners' empty vnodes lack nothing.
const foundingEpoch ring.Epoch = 1

// adopt makes r the ring of this node, unless it has that one or a newer one. A
// node never goes back to a lower epoch, nor over to another cluster.
func (k *ringKeeper) adopt(r *ring.Ring) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.node.view.Load()
	switch {
	case old == nil:
		k.node.makeProxies(r.Size())
	case r.ClusterID() != old.ring.ClusterID():
		return fmt.Errorf("the stored ring is of cluster %s, this node is in cluster %s", r.ClusterID(), old.ring.ClusterID())
	case r.Epoch() <= old.ring.Epoch():
		return nil
	}
	v := newView(r, k.node.name, old)
	if old != nil {
		k.node.assume(old.ring, r) // before anybody acts by r
	}
	k.node.view.Store(v)
	if old != nil {
		k.node.assume(old.ring, r) // also a vnode that was opened meanwhile
		close(old.replaced)
	}
	k.node.heartbeat.setPeers(v)
	k.node.arrears.keep(k.node, v)
	k.node.openOwned(old == nil && r.Epoch() == foundingEpoch)
	k.node.late.arrived(r.Epoch())
	k.node.mover.wake()
	k.node.logger.Info("adopted a ring", "epoch", r.Epoch(), "members", len(r.Members()))
	return nil
}
