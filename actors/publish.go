package actors

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/ring"
)

// ErrStalePlan says that the ring has changed since a plan was made.
var ErrStalePlan = errors.New("the plan is stale: the ring has changed since it was made; plan again")

// Plan returns the ring that the changes would lead to, and what would move.
// Nothing happens until it is committed. No change at all plans a rebalance.
func (n *Node) Plan(changes ...ring.Change) (*ring.Plan, error) {
	return n.Ring().Plan(changes...)
}

// Commit publishes exactly the plan, or returns [ErrStalePlan].
func (n *Node) Commit(ctx context.Context, p *ring.Plan) error {
	return n.keeper.change(ctx, func(r *ring.Ring) (*ring.Ring, error) {
		if r.ClusterID() != p.Before.ClusterID() || r.Epoch() != p.Before.Epoch() {
			return nil, fmt.Errorf("%w (planned at epoch %d, the ring is at %d)", ErrStalePlan, p.Before.Epoch(), r.Epoch())
		}
		return p.Next, nil
	})
}

// HasLeft says whether the node is no member any more, or about to be removed, and
// holds nothing that belongs to another one.
func (n *Node) HasLeft() bool {
	if !n.Ring().Departed(n.name) {
		return false
	}
	for _, proxies := range n.proxies {
		for _, p := range proxies {
			if p.current() != nil {
				return false
			}
		}
	}
	return true
}

// Leave makes this node leave the cluster: it hands off all that it owns or holds
// for others, and Leave returns when it has nothing. The node still runs, and
// should be shut down; the claimant then removes it from the ring. If ctx ends
// first, the leave goes on, and may be waited for again; joining calls it off.
func (n *Node) Leave(ctx context.Context) error {
	if err := n.keeper.change(ctx, n.withoutSelf); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	tick := time.NewTicker(leavePoll)
	defer tick.Stop()
	for !n.HasLeft() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("leave: %d transfers are still pending: %w", len(n.Transfers()), context.Cause(ctx))
		}
	}
	return nil
}

// leavePoll is how often Leave looks; people and scripts wait for it.
const leavePoll = 20 * time.Millisecond

// withoutSelf plans the leave on whatever ring there is. One that is under way
// goes on.
func (n *Node) withoutSelf(r *ring.Ring) (*ring.Ring, error) {
	if m, known := r.Member(n.name); known && (m.Status == ring.Leaving || m.Status == ring.Exiting) {
		return r, nil
	}
	plan, err := r.Plan(ring.Leave(n.name))
	if err != nil {
		return nil, err
	}
	return plan.Next, nil
}

// change publishes what next makes of the stored ring, and adopts it. Next is
// called again if somebody else was faster. It is the only way in which a running
// node moves the ring on.
func (k *ringKeeper) change(ctx context.Context, next func(*ring.Ring) (*ring.Ring, error)) error {
	mine := k.node.Ring() // from before the store is read, so that it cannot have overtaken that
	return k.swap(ctx, func(current membership.Document) (*ring.Ring, error) {
		if current.Version == 0 {
			return nil, errors.New("the store has no ring document; a member will put it back")
		}
		before, err := decodeRing(current.Data)
		if err != nil {
			return nil, err
		}
		if before.ClusterID() == mine.ClusterID() && before.Epoch() < mine.Epoch() {
			return nil, fmt.Errorf("the store has the ring of epoch %d, and this node that of %d; it is put back", before.Epoch(), mine.Epoch())
		}
		return next(before)
	})
}
