package sim

import (
	"time"

	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/ring"
)

const (
	// silentFor and stoppedAfter are those of actors/arrears.go.
	silentFor    = 2 * membership.HeartbeatEvery
	stoppedAfter = membership.SuspectAfter + membership.HeartbeatEvery
)

// heartbeat is what a node tells its peers.
type heartbeat struct {
	from  *node
	epoch ring.Epoch
	held  []ring.Partition // of the receiver, for which the sender holds writes
}

// beat judges the silence so far, and asks all peers.
func (n *node) beat() {
	n.noticeStop()
	n.judge(func(d *membership.Detector) []membership.Change { return d.Tick(n.w.clock()) })
	for i := range n.peers {
		n.ask(n.peers[i].node)
	}
}

// noticeStop looks for a gap between two beats.
func (n *node) noticeStop() {
	now := n.wall()
	if n.skipped(now) && len(n.peers) > 0 {
		n.silent = n.w.now + silentFor
		n.w.counts[NoticedStop]++
		n.judge(func(d *membership.Detector) []membership.Change {
			d.Resume(n.w.clock())
			return nil
		})
	}
	n.ticked = now
}

func (n *node) skipped(now time.Time) bool {
	return !n.ticked.IsZero() && now.Sub(n.ticked) > stoppedAfter
}

// stopped says whether the node was stopped a moment ago.
func (n *node) stopped() bool {
	return n.w.now < n.silent || n.skipped(n.wall())
}

// setPeers makes the members of the ring the peers.
func (n *node) setPeers() {
	var peers []peer
	var names []string
	for _, m := range n.ring.Members() {
		other := n.w.node(m.Name)
		if m.Name == n.name || other == nil {
			continue
		}
		names = append(names, string(m.Name))
		if known := n.peer(m.Name); known != nil {
			peers = append(peers, *known)
			continue
		}
		peers = append(peers, peer{name: m.Name, node: other})
	}
	n.peers = peers
	n.keepArrears()
	n.judge(func(d *membership.Detector) []membership.Change {
		d.SetPeers(n.w.clock(), names)
		return nil
	})
	for i := range n.peers {
		if !n.reachable(n.peers[i].name) {
			n.ask(n.peers[i].node)
		}
	}
}

// ask sends a heartbeat.
func (n *node) ask(to *node) {
	beat := heartbeat{from: n, epoch: n.epoch(), held: n.heldFor(to.name)}
	n.w.net.send(n, to, message{deliver: func(to *node) { to.onBeat(beat) }})
}

// onBeat answers. One from a peer that counts as unreachable is a reason to ask
// it now.
func (n *node) onBeat(b heartbeat) {
	n.learn(b.from.name, b.epoch)
	if n.peer(b.from.name) != nil {
		n.setArrears(b.from.name, b.held)
	}
	epoch := n.epoch()
	n.w.net.send(n, b.from, message{deliver: func(to *node) {
		to.learn(n.name, epoch)
		to.judge(func(d *membership.Detector) []membership.Change { return one(d.Contact(to.w.clock(), string(n.name))) })
	}})
	if p := n.peer(b.from.name); p != nil && !n.reachable(p.name) {
		n.ask(p.node)
	}
}

func (n *node) learn(name ring.NodeName, epoch ring.Epoch) {
	if p := n.peer(name); p != nil {
		p.epoch, p.handoff = epoch, true
	}
}

// broken notes that the connection to a peer broke.
func (n *node) broken(name ring.NodeName) {
	n.judge(func(d *membership.Detector) []membership.Change { return one(d.Broken(string(name))) })
}

func one(c membership.Change, changed bool) []membership.Change {
	if !changed {
		return nil
	}
	return []membership.Change{c}
}

// judge lets the detector form an opinion, and does what follows from it.
func (n *node) judge(form func(*membership.Detector) []membership.Change) {
	for _, c := range form(&n.detector) {
		n.follow(c)
	}
}

func (n *node) follow(c membership.Change) {
	name := ring.NodeName(c.Peer)
	n.tracef("peer", "%s is %v", name, c.To)
	if c.From == membership.Alive {
		n.nodeDown(name)
		n.disconnect(name)
	}
	switch c.To {
	case membership.Alive:
		n.wake()
	case membership.Down:
		n.setArrears(name, nil)
		if p := n.peer(name); p != nil {
			n.w.net.breakLane(n, p.node)
		}
	case membership.Unproven, membership.Suspect:
	}
}

// setArrears takes what a peer says that it holds for partitions here.
func (n *node) setArrears(name ring.NodeName, held []ring.Partition) {
	n.mark(n.arrears.Tell(name, held))
}

// keepArrears forgets what was told by nodes that are no members any more.
func (n *node) keepArrears() {
	n.mark(n.arrears.Keep(func(name ring.NodeName) bool { return n.peer(name) != nil }))
}

// mark has the vnodes of partitions know whether they are behind.
func (n *node) mark(partitions []ring.Partition) {
	for _, p := range partitions {
		if int(p) < len(n.proxies) {
			n.proxies[p].behind = n.arrears.Behind(p)
		}
	}
}

// heldFor returns the partitions of a peer for which this node holds something.
func (n *node) heldFor(name ring.NodeName) (held []ring.Partition) {
	for _, p := range n.proxies {
		if p.report != nil && p.report.Owes && n.ring.Owner(p.partition) == name {
			held = append(held, p.partition)
		}
	}
	return held
}

// seenByAll returns the epoch that every peer has seen which can be reached.
func (n *node) seenByAll() ring.Epoch {
	seen := n.epoch()
	for i := range n.peers {
		if n.reachable(n.peers[i].name) {
			seen = min(seen, n.peers[i].epoch)
		}
	}
	return seen
}
