package actors

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/torc-io/torc/ring"
)

// retryTransfers is how soon a transfer that had to wait is tried again.
const retryTransfers = time.Second

// TransferStatus is what a node knows about a pending transfer.
type TransferStatus struct {
	ring.Transfer
	// Reason is why it is not done, in words; it is known on the node that
	// gives the partition.
	Reason string
	// Since is when the reason arose; zero on other nodes.
	Since time.Time
}

// mover carries out the transfers that the ring asks this node for. A partition
// changes its owner when its transfer reports that it is done, and not before.
// What can be moved so far is a partition without items: its transfer is done
// when it is known to be empty and to stay so until the ring has changed.
type mover struct {
	node *Node
	kick chan struct{} // holds one token while there may be something new

	mu      sync.Mutex
	waiting map[ring.Partition]TransferStatus
}

func newMover(n *Node) *mover {
	return &mover{node: n, kick: make(chan struct{}, 1), waiting: map[ring.Partition]TransferStatus{}}
}

// wake makes the mover look at the ring again.
func (m *mover) wake() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// run moves what it can, whenever the ring changes, until ctx ends.
func (m *mover) run(ctx context.Context) {
	for {
		retry := time.NewTimer(retryTransfers)
		if !m.pass(ctx) {
			retry.Stop() // nothing is left to try: wait for a new ring
		}
		select {
		case <-ctx.Done():
			retry.Stop()
			return
		case <-m.kick:
		case <-retry.C:
		}
		retry.Stop()
	}
}

// pass tries every pending transfer of this node's, and says whether some are left.
func (m *mover) pass(ctx context.Context) (left bool) {
	m.forget()
	for _, t := range m.node.Ring().Transfers() {
		if t.From != m.node.name || ctx.Err() != nil {
			continue
		}
		reason := m.try(ctx, t)
		m.note(t, reason)
		left = left || reason != ""
	}
	return left
}

// try carries one transfer out, or says why it must wait.
func (m *mover) try(ctx context.Context, t ring.Transfer) (reason string) {
	if !m.node.Reachable(t.To) {
		return fmt.Sprintf("%s cannot be reached", t.To)
	}
	proxies := m.proxies(t.Partition)
	if held := sum(proxies, (*vnodeProxy).items); held > 0 {
		return tooFull(held)
	}
	if held := sum(proxies, (*vnodeProxy).suspend); held > 0 { // written to meanwhile
		each(proxies, (*vnodeProxy).resume)
		return tooFull(held)
	}
	if err := m.complete(ctx, t); err != nil {
		each(proxies, (*vnodeProxy).resume)
		return err.Error()
	}
	each(proxies, (*vnodeProxy).retire)
	m.node.logger.Info("gave a partition away", "partition", t.Partition, "to", t.To, "epoch", m.node.epoch())
	return ""
}

func tooFull(items int) string {
	return fmt.Sprintf("it holds %d items, and moving data is not supported yet", items)
}

// storePatience bounds each step of the compare-and-set while commands wait for
// it: less than a request's default deadline, and the other replicas answer
// meanwhile.
const storePatience = time.Second

// complete publishes that the transfer is done. If the store's answer got lost,
// what the store has decides: going on with a partition that was given away
// would acknowledge writes that its new owner never sees.
func (m *mover) complete(ctx context.Context, t ring.Transfer) error {
	publish, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	err := m.node.keeper.change(publish, func(r *ring.Ring) (*ring.Ring, error) { return r.Complete(t) })
	if err == nil {
		return nil
	}
	look, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	if m.node.keeper.refresh(look) == nil && m.node.Ring().Owner(t.Partition) != m.node.name {
		return nil
	}
	return err
}

func (m *mover) proxies(p ring.Partition) []*vnodeProxy {
	var all []*vnodeProxy
	for _, name := range slices.Sorted(maps.Keys(m.node.proxies)) {
		all = append(all, m.node.proxies[name][p])
	}
	return all
}

func sum(proxies []*vnodeProxy, count func(*vnodeProxy) int) (total int) {
	for _, p := range proxies {
		total += count(p)
	}
	return total
}

func each(proxies []*vnodeProxy, do func(*vnodeProxy)) {
	for _, p := range proxies {
		do(p)
	}
}

// note keeps the reason of a transfer that waits, and when it arose.
func (m *mover) note(t ring.Transfer, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch old, known := m.waiting[t.Partition]; {
	case reason == "":
		delete(m.waiting, t.Partition)
	case !known || old.Transfer != t || old.Reason != reason:
		m.waiting[t.Partition] = TransferStatus{t, reason, time.Now()}
	}
}

// forget drops the reasons of transfers that the ring does not ask for any more.
func (m *mover) forget() {
	r := m.node.Ring()
	m.mu.Lock()
	defer m.mu.Unlock()
	for p, s := range m.waiting {
		if t, pending := r.Transfer(p); !pending || t != s.Transfer {
			delete(m.waiting, p)
		}
	}
}

// Transfers returns all pending transfers of the ring, by partition.
func (n *Node) Transfers() []TransferStatus {
	n.mover.mu.Lock()
	defer n.mover.mu.Unlock()
	var all []TransferStatus
	for _, t := range n.Ring().Transfers() {
		s, known := n.mover.waiting[t.Partition]
		if !known || s.Transfer != t {
			s = TransferStatus{Transfer: t}
		}
		all = append(all, s)
	}
	return all
}
