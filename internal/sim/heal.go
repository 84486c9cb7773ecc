package sim

import (
	"fmt"
	"time"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/internal/history"
	"github.com/torc-io/torc/ring"
)

const (
	settlePoll = 100 * time.Millisecond
	// settleWithin is how long a cluster may take to come to rest when nothing is
	// wrong any more. Planning nodes in and out takes the most of it.
	settleWithin = 90 * time.Second
	sweepTries   = 200
)

// healing is under way while everything is mended.
type healing struct {
	since time.Duration
	done  func()
}

// heal mends everything, waits until the cluster is at rest, and reads each key
// until all its replicas are the same.
func (w *World) heal(done func()) {
	if w.healing != nil {
		return
	}
	w.tracef("-", "heal", "everything is mended")
	w.healing = &healing{since: w.now, done: done}
	remedies := w.remedies
	w.remedies = nil
	for _, undo := range remedies {
		undo()
	}
	w.waitForRest()
}

func (w *World) waitForRest() {
	reason := w.unrest()
	switch {
	case reason == "":
		w.tracef("-", "heal", "the cluster is at rest")
		if w.calm {
			w.checkReplicas("before a sweep", func(key string) bool { return w.ledger.excused[key] == "" })
		}
		w.sweep(0, sweepTries)
	case w.now-w.healing.since > settleWithin:
		w.failf("settles", "after %v without a fault: %s", settleWithin, reason)
	default:
		w.after(settlePoll, w.waitForRest)
	}
}

// sweep reads the keys from number i on.
func (w *World) sweep(i, tries int) {
	if i == len(w.keys) {
		done := w.healing.done
		w.healing = nil
		done()
		return
	}
	k := w.keys[i]
	if tries == 0 {
		w.failf("sweep", "%s is not the same on all replicas after %d reads", k.name, sweepTries)
		return
	}
	again := func() { w.after(50*time.Millisecond, func() { w.sweep(i, tries-1) }) }
	q := coordinator.Quorum{N: replicas, Need: replicas, Primaries: replicas}
	w.ask(func(n *node) {
		n.request(coordinator.Read, k.name, item{}, q, func(a result) {
			if a.outcome == history.OK && a.whole {
				w.after(time.Millisecond, func() { w.sweep(i+1, sweepTries) })
				return
			}
			again()
		})
	}, again)
}

// unrest says what is not at rest, or "".
func (w *World) unrest() string {
	r := w.store.document.ring
	if len(r.Transfers()) > 0 {
		return fmt.Sprintf("epoch %d has %d transfers", r.Epoch(), len(r.Transfers()))
	}
	for _, m := range r.Members() {
		n := w.node(m.Name)
		switch {
		case m.Status != ring.Valid:
			return fmt.Sprintf("%s is %v; %s", m.Name, m.Status, n.ties())
		case !n.up || n.paused:
			return fmt.Sprintf("%s does not run", m.Name)
		}
	}
	for _, n := range w.nodes {
		if !n.up {
			continue
		}
		if reason := n.unrest(r); reason != "" {
			return fmt.Sprintf("%s %s", n.name, reason)
		}
	}
	return ""
}

// ties says what keeps a node that is to leave.
func (n *node) ties() string {
	if !n.up || n.ring == nil {
		return "it does not run"
	}
	for _, p := range n.proxies {
		if p.report != nil && !p.report.Owner && p.vnode != nil {
			return fmt.Sprintf("it has %+v of partition %d with %d items, at epoch %d, seen by all %d, %v", *p.report, p.partition, len(p.vnode.items), n.epoch(), n.seenByAll(), n.mover.arriving)
		}
	}
	return fmt.Sprintf("it has no vnode of another owner, and %d requests", len(n.requests))
}

func (n *node) unrest(r *ring.Ring) string {
	switch _, member := r.Member(n.name); {
	case n.ring == nil || n.ring.Epoch() != r.Epoch():
		return fmt.Sprintf("is at epoch %d, and the store at %d", n.epoch(), r.Epoch())
	case !member:
		return "runs, and is no member"
	case len(n.mover.running) > 0:
		return fmt.Sprintf("is at the %v", n.mover.running[0].Transfer)
	case len(n.mover.arriving) > 0:
		return fmt.Sprintf("receives the %v", n.mover.arriving[0].Transfer)
	case n.w.calm && len(n.requests) > 0:
		return fmt.Sprintf("has %d requests", len(n.requests))
	}
	for i := range n.peers {
		if !n.reachable(n.peers[i].name) {
			return fmt.Sprintf("cannot reach %s", n.peers[i].name)
		}
	}
	for _, p := range n.proxies {
		if reason := p.unrest(r); reason != "" {
			return reason
		}
	}
	return ""
}

func (p *proxy) unrest(r *ring.Ring) string {
	v, owned := p.vnode, r.Owner(p.partition) == p.node.name
	switch {
	case p.moving != nil:
		return fmt.Sprintf("holds the commands of partition %d", p.partition)
	case owned && (v == nil || !v.standing.Owner()):
		return fmt.Sprintf("does not serve its partition %d", p.partition)
	case owned && !v.standing.Whole():
		return fmt.Sprintf("recovers partition %d, and lacks %v", p.partition, v.standing.Needs())
	case p.behind:
		return fmt.Sprintf("is behind in partition %d", p.partition)
	case !owned && v != nil:
		return fmt.Sprintf("still has a vnode of partition %d with %d items", p.partition, len(v.items))
	}
	return ""
}

// checkReplicas checks that all replicas of keys are the same.
func (w *World) checkReplicas(when string, concerns func(key string) bool) {
	r := w.store.document.ring
	for _, k := range w.keys {
		if !concerns(k.name) {
			continue
		}
		list := w.primaries(r, k.name)
		first := w.node(list[0].Node).proxies[list[0].Partition].vnode.items[k.name]
		for _, t := range list[1:] {
			if other := w.node(t.Node).proxies[t.Partition].vnode.items[k.name]; other != first {
				w.failf("replicas equal", "%s, %s: partition %d on %s has %v, and %d on %s has %v",
					when, k.name, list[0].Partition, list[0].Node, first, t.Partition, t.Node, other)
			}
		}
	}
}
