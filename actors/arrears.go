package actors

import (
	"sync"
	"time"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/ring"
)

// arrears drives handoff.Arrears: what peers hold for this node. Every heartbeat
// of a peer says for which partitions it holds writes, so the news is a quarter of
// a second old at most, and there before any of the peer's reads when it is this
// node that was away.
type arrears struct {
	mu sync.Mutex
	by handoff.Arrears
}

// set takes what a peer says that it holds.
func (a *arrears) set(n *Node, peer ring.NodeName, held []uint32) {
	partitions := make([]ring.Partition, len(held))
	for i, p := range held {
		partitions[i] = ring.Partition(p)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if v := n.view.Load(); v != nil && v.counts(peer) { // or its word would stand for good: see keep
		a.mark(n, a.by.Tell(peer, partitions))
	}
}

// keep forgets what was told by nodes that are not counted on any more.
func (a *arrears) keep(n *Node, v *view) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mark(n, a.by.Keep(v.counts))
}

// counts says whether a node is a member that was not given up.
func (v *view) counts(name ring.NodeName) bool {
	m, member := v.ring.Member(name)
	return member && m.Status != ring.Down
}

// mark has the vnodes of partitions know whether they are behind. The caller
// holds mu.
func (a *arrears) mark(n *Node, partitions []ring.Partition) {
	for _, p := range partitions {
		behind := a.by.Behind(p)
		for _, proxies := range n.proxies {
			if int(p) < len(proxies) {
				proxies[p].behind.Store(behind)
			}
		}
	}
}

// heldFor returns the partitions of a peer for which this node holds something.
func (n *Node) heldFor(peer ring.NodeName) (held []uint32) {
	v := n.view.Load()
	if v == nil {
		return nil
	}
	for p := range v.ring.Owned(peer) {
		for _, proxies := range n.proxies {
			if report := proxies[p].report.Load(); report != nil && report.Owes {
				held = append(held, uint32(p))
				break
			}
		}
	}
	return held
}

// silentFor is how long a node that was stopped answers no reads: by then each
// peer has sent a heartbeat, and with it what it holds for this node.
const silentFor = 2 * membership.HeartbeatEvery

// stoppedAfter is the time without any heartbeat after which a node knows
// that it was stopped, by a signal or a frozen machine, for so long that others
// may have stood in for it.
const stoppedAfter = membership.SuspectAfter + membership.HeartbeatEvery

// noticeStop looks for a gap since the node last did anything about heartbeats,
// its own or those of others. The silence of the peers in it was the node's own. A
// busy node, whose beats come late, but which answers its peers, has not stopped.
func (h *heartbeat) noticeStop(now time.Time) {
	last := h.active.Swap(now.UnixNano())
	if v := h.node.view.Load(); h.gap(now, last) && v != nil && len(v.peers) > 0 {
		h.silent.Store(int64(now.Sub(h.began) + silentFor))
		h.judge(func(d *membership.Detector) []membership.Change {
			d.Resume(now)
			return nil
		})
		h.node.logger.Warn("this node was stopped for some time; it answers no reads until its peers have told what it missed", "for", silentFor)
	}
}

// gap says whether it was long ago that the node was active last. It goes by the
// time of day, since the monotonic clock may stand still while a machine is frozen.
// How long the node then is silent must not depend on a clock that
// somebody may set back.
func (*heartbeat) gap(now time.Time, last int64) bool {
	return last != 0 && now.UnixNano()-last > int64(stoppedAfter)
}

// stopped says whether this node was stopped a moment ago, and may be behind
// without knowing it.
func (h *heartbeat) stopped(now time.Time) bool {
	return int64(now.Sub(h.began)) < h.silent.Load() || h.gap(now, h.active.Load())
}

// seenByAll returns the epoch that every peer has seen which can be reached.
func (n *Node) seenByAll() ring.Epoch {
	v := n.view.Load()
	seen := v.ring.Epoch()
	for _, p := range v.peers {
		if p.alive.Load() {
			seen = min(seen, ring.Epoch(p.epoch.Load()))
		}
	}
	return seen
}

// handoffPeer returns where a node takes handoffs, if it has said so.
func (n *Node) handoffPeer(name ring.NodeName) (HandoffPeer, bool) {
	if name == n.name {
		return HandoffPeer{name, n.transport.HandoffAddress()}, true
	}
	p, known := n.peer(string(name))
	if !known {
		return HandoffPeer{}, false
	}
	address := p.handoff.Load()
	if address == nil || *address == "" {
		return HandoffPeer{}, false
	}
	return HandoffPeer{name, *address}, true
}
