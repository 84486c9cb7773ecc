package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/ring"
)

const (
	claimantTick = 500 * time.Millisecond
	// lockPatience bounds a call for the lock: less than a session lasts.
	lockPatience = 900 * time.Millisecond
	// evictAfter is short, for a simulated cluster has no ten minutes. It is longer
	// than any pause or cut after which a node is to keep its partitions.
	evictAfter = 7 * time.Second
)

// errStalePlan is that of actors/publish.go.
var errStalePlan = errors.New("the ring has changed since the plan was made")

// claimant is what a node does for the whole cluster while it holds the lock.
type claimant struct {
	held    bool
	session uint64
	sure    time.Duration // when the session was last known to live
	busy    bool
	decide  membership.Claimant
}

// contend takes the claimant lock, or renews the session that holds it.
func (n *node) contend() {
	s, life, now := n.w.store, n.life, n.w.now
	if n.claimant.held && now-n.claimant.sure >= healthyFor {
		n.tracef("claimant", "gives up a session that it cannot renew")
		n.claimant = claimant{}
	}
	mine, session := n.claimant.session, uint64(0)
	n.call(lockPatience, func() error {
		switch l := &s.lock; {
		case l.holder == nil && mine == 0:
			*l = lock{holder: n, life: life, session: n.w.id(), renewed: n.w.now}
			session = l.session
		case l.holder == n && l.life == life && l.session == mine:
			l.renewed = n.w.now
			session = mine
		}
		return nil
	}, func(err error) {
		switch {
		case err != nil:
		case session == 0:
			if n.claimant.held {
				n.tracef("claimant", "has lost its session")
			}
			n.claimant = claimant{}
		case !n.claimant.held:
			n.tracef("claimant", "begins")
			n.claimant = claimant{held: true, session: session, sure: now, decide: membership.Claimant{EvictAfter: evictAfter}}
		default:
			n.claimant.sure = now
		}
	})
}

// claim publishes what is due.
func (n *node) claim() {
	c := &n.claimant
	if !c.held || c.busy || n.ring == nil {
		return
	}
	changes := c.decide.Decide(n.w.clock(), membership.Sight{Ring: n.ring, Nodes: n.registered, Reachable: n.reachable})
	if len(changes) == 0 {
		return
	}
	session := c.session
	n.commit(changes, func(err error) {
		c.busy = false
		if err != nil && n.w.store.lock.session != session {
			n.w.counts[FencedClaimant]++
		}
	})
	c.busy = true
}

// commit plans changes on the ring in use, and publishes exactly that plan.
func (n *node) commit(changes []ring.Change, done func(error)) {
	plan, err := n.ring.Plan(changes...)
	if err != nil {
		n.after(time.Millisecond, func() { done(err) })
		return
	}
	n.tracef("plan", "%v at epoch %d: %d moves", changes, n.ring.Epoch(), plan.Moves)
	n.change(func(r *ring.Ring) (*ring.Ring, error) {
		if r.Epoch() != plan.Before.Epoch() && !n.w.hooks.blindClaimant {
			return nil, fmt.Errorf("%w (from epoch %d to %d)", errStalePlan, plan.Before.Epoch(), r.Epoch())
		}
		return plan.Next, nil
	}, func(err error) {
		if err != nil {
			n.tracef("plan", "not published: %v", err)
		}
		done(err)
	})
}
