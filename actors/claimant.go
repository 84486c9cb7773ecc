package actors

import (
	"context"
	"slices"
	"time"

	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/ring"
)

// Rebalance says who decides that partitions move.
type Rebalance string

// The modes of rebalancing.
const (
	// RebalanceAuto plans nodes in and out without an operator.
	RebalanceAuto Rebalance = "auto"
	// RebalanceManual moves nothing before an operator commits a plan.
	RebalanceManual Rebalance = "manual"
)

// claimantTick is how often the claimant looks. What it waits for takes seconds.
const claimantTick = 500 * time.Millisecond

// claimant drives membership.Claimant while this node holds the claimant lock.
// The lock keeps several nodes from doing the same; if two ever believe they
// hold it, compare-and-set lets one of them publish.
type claimant struct {
	node *Node
}

// run competes for the lock, and acts while it holds it, until ctx ends.
func (c *claimant) run(ctx context.Context) {
	for ctx.Err() == nil {
		held, release, err := c.node.config.Membership.LockClaimant(ctx)
		if err != nil {
			c.node.logger.Debug("no claimant lock", "error", err)
			pause(ctx, claimantTick)
			continue
		}
		c.node.logger.Info("claimant")
		c.act(held)
		release()
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// act publishes what is due while the lock is held.
func (c *claimant) act(held context.Context) {
	decide := membership.Claimant{EvictAfter: c.node.config.EvictAfter}
	ticker := time.NewTicker(claimantTick)
	defer ticker.Stop()
	for {
		select {
		case <-held.Done():
			return
		case now := <-ticker.C:
			if err := c.publishDue(held, &decide, now); err != nil {
				c.node.logger.Warn("the claimant could not publish", "error", err)
			}
		}
	}
}

// publishDue publishes the changes that follow from who is there. The lock is
// held, so the store was reachable a moment ago, and what its watch showed is
// not the memory of before an outage.
func (c *claimant) publishDue(ctx context.Context, decide *membership.Claimant, now time.Time) error {
	r := c.node.Ring()
	changes := decide.Decide(now, membership.Sight{Ring: r, Nodes: c.node.Nodes(), Reachable: c.node.Reachable})
	if c.node.config.Rebalance == RebalanceManual { // that a member has left is to be seen all the same
		changes = slices.DeleteFunc(changes, ring.Change.Reclaims)
	}
	if len(changes) == 0 {
		return nil
	}
	plan, err := r.Plan(changes...)
	if err != nil {
		return err
	}
	c.node.logger.Info("plan", "changes", changes, "moves", plan.Moves, "epoch", plan.Next.Epoch())
	return c.node.Commit(ctx, plan)
}
