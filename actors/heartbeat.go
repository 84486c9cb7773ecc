package actors

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/torc-io/torc/membership"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// heartbeatID is the address of the heartbeat process on every node.
const heartbeatID = "heartbeat"

// heartbeat drives the failure detector: it asks every peer, four times a
// second and over the path that commands take, to answer; and it answers those
// of others. What it finds out goes into peer.alive, and nowhere else.
type heartbeat struct {
	node     *Node
	self     *actor.PID
	sequence atomic.Uint64
	active   atomic.Int64 // when it last sent or took a heartbeat, in ns since 1970; 0 before the first
	silent   atomic.Int64 // until when it answers no reads, since it was stopped; in ns since began
	began    time.Time

	mu       sync.Mutex
	detector membership.Detector
	judged   chan struct{} // closed and replaced at every change of opinion
}

var _ actor.Process = (*heartbeat)(nil)

func newHeartbeat(n *Node) *heartbeat {
	return &heartbeat{node: n, judged: make(chan struct{}), began: time.Now()}
}

// run beats until ctx ends.
func (h *heartbeat) run(ctx context.Context) {
	ticker := time.NewTicker(membership.HeartbeatEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			h.tick()
		}
	}
}

// tick judges the silence so far and asks again.
func (h *heartbeat) tick() {
	h.noticeStop(time.Now())
	h.judge(func(d *membership.Detector) []membership.Change { return d.Tick(time.Now()) })
	for _, p := range h.node.view.Load().peers {
		h.ask(p)
	}
}

// setPeers makes the members of v the peers, and asks the new ones at once. A
// member that has moved to another address is a process that has not answered yet.
// The one of before, if that is not known by now, is as good as broken off: were it
// still held to be alive, an answer of the new one would change nothing.
func (h *heartbeat) setPeers(v *view) {
	names := make([]string, 0, len(v.peers))
	for name := range v.peers {
		names = append(names, string(name))
	}
	slices.Sort(names)
	h.judge(func(d *membership.Detector) (changes []membership.Change) {
		d.SetPeers(time.Now(), names)
		for _, name := range names {
			if !v.peers[ring.NodeName(name)].alive.Load() {
				changes = append(changes, one(d.Broken(name))...)
			}
		}
		return changes
	})
	for _, p := range v.peers {
		if !p.alive.Load() {
			h.ask(p)
		}
	}
}

func (h *heartbeat) ask(p *peer) {
	beat := &transportpb.Heartbeat{
		Node: string(h.node.name), Epoch: uint64(h.node.epoch()), Sequence: h.sequence.Add(1),
		Handoff: h.node.transport.HandoffAddress(), Held: h.node.heldFor(p.name),
	}
	if err := h.node.transport.Send(actor.NewPID(p.address, heartbeatID), h.self, beat); err != nil {
		h.node.logger.Debug("cannot send a heartbeat", "peer", p.name, "error", err)
	}
}

// SendUserMessage takes a heartbeat, or the answer to one.
func (h *heartbeat) SendUserMessage(_ *actor.PID, message any) {
	_, inner, sender := actor.UnwrapEnvelope(message)
	switch m := inner.(type) {
	case *transportpb.Heartbeat:
		h.onHeartbeat(m, sender)
	case *transportpb.HeartbeatAck:
		h.learn(m.GetNode(), m.GetEpoch(), m.GetHandoff())
		h.contact(m.GetNode())
	}
}

// learn keeps what a peer says of itself.
func (h *heartbeat) learn(name string, epoch uint64, handoff string) {
	if p, known := h.node.peer(name); known {
		p.epoch.Store(epoch)
		p.handoff.Store(&handoff)
	}
}

// onHeartbeat answers. One from a peer that counts as unreachable is a reason to
// ask it now: when a node starts or comes back, the others need not wait a beat.
func (h *heartbeat) onHeartbeat(m *transportpb.Heartbeat, sender *actor.PID) {
	if sender == nil {
		return
	}
	h.noticeStop(time.Now())
	h.learn(m.GetNode(), m.GetEpoch(), m.GetHandoff())
	h.node.arrears.set(h.node, ring.NodeName(m.GetNode()), m.GetHeld())
	ack := &transportpb.HeartbeatAck{
		Node: string(h.node.name), Epoch: uint64(h.node.epoch()), Sequence: m.GetSequence(),
		Handoff: h.node.transport.HandoffAddress(),
	}
	if err := h.node.transport.Send(sender, nil, ack); err != nil {
		h.node.logger.Debug("cannot answer a heartbeat", "peer", m.GetNode(), "error", err)
	}
	if p, known := h.node.peer(m.GetNode()); known && !p.alive.Load() {
		h.ask(p)
	}
}

// contact notes that a peer answered.
func (h *heartbeat) contact(name string) {
	h.judge(func(d *membership.Detector) []membership.Change { return one(d.Contact(time.Now(), name)) })
}

// broken notes that the connection to an address broke.
func (h *heartbeat) broken(address string) {
	v := h.node.view.Load()
	if v == nil {
		return
	}
	for _, p := range v.peers {
		if p.address == address {
			h.judge(func(d *membership.Detector) []membership.Change { return one(d.Broken(string(p.name))) })
		}
	}
}

func one(c membership.Change, changed bool) []membership.Change {
	if !changed {
		return nil
	}
	return []membership.Change{c}
}

// judge lets the detector form an opinion, and makes it count. The flag that
// requests look at is set under the same lock, so that it never disagrees with
// the detector for longer than that; everything else follows outside.
func (h *heartbeat) judge(form func(*membership.Detector) []membership.Change) {
	h.mu.Lock()
	changes := form(&h.detector)
	for _, c := range changes {
		if p, known := h.node.peer(c.Peer); known {
			p.alive.Store(c.To == membership.Alive)
		}
	}
	if len(changes) > 0 {
		close(h.judged)
		h.judged = make(chan struct{})
	}
	h.mu.Unlock()
	for _, c := range changes {
		h.follow(c)
	}
}

// follow does what a change of opinion asks for: requests that wait for a peer
// that fell silent are told, transfers that wait for one that is back go on, and
// a link to one that is down is cut, with all that is queued on it.
func (h *heartbeat) follow(c membership.Change) {
	h.node.logger.Info("peer "+c.To.String(), "peer", c.Peer, "was", c.From.String())
	if c.From == membership.Alive {
		h.node.table.nodeDown(ring.NodeName(c.Peer))
		h.node.mover.disconnect(ring.NodeName(c.Peer))
	}
	h.node.inboxes.follow(c)
	if c.To == membership.Alive {
		h.node.mover.wake()
	}
	if c.To == membership.Down {
		h.node.arrears.set(h.node, ring.NodeName(c.Peer), nil) // it returns nothing before it is back
	}
	if p, known := h.node.peer(c.Peer); known && c.To == membership.Down {
		h.node.transport.Disconnect(p.address)
	}
}

// settled waits until every peer has answered or been found silent, so that a
// node that starts does not take its first requests to fallbacks.
func (h *heartbeat) settled(ctx context.Context) error {
	deadline := time.NewTimer(membership.SuspectAfter)
	defer deadline.Stop()
	for {
		h.mu.Lock()
		judged := h.judged
		h.mu.Unlock()
		if h.allAlive() {
			return nil
		}
		select {
		case <-judged:
		case <-deadline.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (h *heartbeat) allAlive() bool {
	for _, p := range h.node.view.Load().peers {
		if !p.alive.Load() {
			return false
		}
	}
	return true
}

// liveness returns the opinion of a member.
func (h *heartbeat) liveness(name ring.NodeName) membership.Liveness {
	if name == h.node.name {
		return membership.Alive
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.detector.Liveness(string(name))
}

// SendSystemMessage ignores everything: nobody watches it.
func (h *heartbeat) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: it lives as long as its node.
func (h *heartbeat) Stop(*actor.PID) {}
