package actors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// errNobodyThere is why a connection to an address without a node fails.
var errNobodyThere = errors.New("nobody listens there")

// Network connects nodes of one process without sockets, for tests in virtual
// time: it waits on nothing but channels and timers, so make it inside the
// testing/synctest bubble. Its connections behave as those of [Remote] do, with
// the same limits, the same [Policy] at the receiver, and the same moments at
// which Broken is called. What only a network does to messages, tests do with
// Cut, Break and SetDelay.
//
// A message is copied as it is delivered. So a receiver may do with it as it
// likes, as it may after decoding, and the race detector finds a sender that
// changes what it has sent.
type Network struct {
	mu       sync.Mutex
	nodes    map[string]*memory
	cut      map[route]bool
	handoffs map[*memoryHandoff]bool // that are served

	delay atomic.Int64 // a time.Duration
}

// route is one direction between two nodes.
type route struct{ from, to string }

// NewNetwork returns a network without nodes and faults.
func NewNetwork() *Network {
	return &Network{
		nodes: make(map[string]*memory), cut: make(map[route]bool), handoffs: make(map[*memoryHandoff]bool),
	}
}

// Transport returns a transport for a node whose address on the network is name.
// After a node has stopped, another one of the same name may start.
func (n *Network) Transport(name string) Transport { return &memory{network: n, name: name} }

// Cut makes messages from one node to another vanish silently, those that are on
// their way too. The other direction goes on. The stream of a transfer that lost
// one delivers no more in that direction, even after Heal.
func (n *Network) Cut(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut[route{from, to}] = true
}

// Heal undoes Cut, for messages that are sent from now on.
func (n *Network) Heal(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.cut, route{from, to})
}

// Break ends the connections between two nodes, and the streams of transfers.
// Both are told, even one that had sent nothing; they may connect again.
func (n *Network) Break(a, b string) {
	n.mu.Lock()
	n.hangUp(a, b)
	n.mu.Unlock()
	for _, r := range []route{{a, b}, {b, a}} {
		if node := n.node(r.from); node != nil && !node.lanes.fail(r.to, errClosedByPeer) {
			node.policy.Broken(r.to)
		}
	}
}

// SetDelay makes every message that is sent from now on arrive d later.
func (n *Network) SetDelay(d time.Duration) { n.delay.Store(int64(d)) }

// node returns the running node of that name, or nil.
func (n *Network) node(name string) *memory {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.nodes[name]
}

func (n *Network) isCut(from, to string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cut[route{from, to}]
}

// join adds a node.
func (n *Network) join(m *memory) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nodes[m.name] != nil {
		return fmt.Errorf("actors: node %s is on the network already; stop it first", m.name)
	}
	n.nodes[m.name] = m
	return nil
}

// leave removes a node, and hangs up on those that remain.
func (n *Network) leave(m *memory) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.nodes, m.name)
	n.hangUp(m.name, "")
	for _, other := range n.nodes {
		other.lanes.fail(m.name, errClosedByPeer)
	}
}

// memory is the transport of one node on a [Network].
type memory struct {
	life

	network *Network
	name    string

	// deliveries is held for reading while a message is delivered to this node,
	// so that none is when Stop has returned. It guards closed.
	deliveries sync.RWMutex
	closed     bool

	handlers sync.WaitGroup // of transfers to this node
}

var _ Transport = (*memory)(nil)

// Start implements [Transport].
func (m *memory) Start(system *actor.ActorSystem, p Policy) (address string, err error) {
	err = m.begin(func() error {
		m.system, m.policy, m.address = system, p.withDefaults(), m.name
		m.lanes = newLanes(m.policy, m.carry)
		if err := m.network.join(m); err != nil {
			return err
		}
		system.ProcessRegistry.Address = m.name
		routeThrough(system, m)
		return nil
	})
	return m.address, err
}

// Send implements [Transport].
func (m *memory) Send(to, sender *actor.PID, msg proto.Message) error {
	if delay := time.Duration(m.network.delay.Load()); delay > 0 {
		return m.send(parcel{target: to, sender: sender, msg: msg, due: time.Now().Add(delay)})
	}
	return m.send(parcel{target: to, sender: sender, msg: msg})
}

// HandoffAddress implements [Transport].
func (m *memory) HandoffAddress() string { return m.name }

// OpenHandoff implements [Transport].
func (m *memory) OpenHandoff(ctx context.Context, to HandoffPeer) (HandoffOut, error) {
	return m.openHandoff(ctx, to)
}

// Stop implements [Transport].
func (m *memory) Stop(ctx context.Context) error {
	if !m.end() {
		return nil
	}
	m.network.leave(m)
	m.deliveries.Lock()
	m.closed = true
	m.deliveries.Unlock()
	return errors.Join(m.lanes.close(ctx), finish(ctx, m.handlers.Wait))
}

// carry takes messages to the node at the other end of a lane.
func (m *memory) carry(l *lane) {
	receiver := m.network.node(l.address)
	switch {
	case receiver == nil:
		l.fail(errNobodyThere)
	case !receiver.accepts(m.name):
		l.fail(errClosedByPeer)
	}
	for {
		batch := l.next(1)
		if len(batch) == 0 || !waitUntil(l.ctx, batch[0].due) {
			return
		}
		l.sent(batch)
		if !m.network.isCut(m.name, l.address) {
			receiver.receive(batch[0])
		}
	}
}

// waitUntil returns at due, or false if ctx ended before.
func waitUntil(ctx context.Context, due time.Time) bool {
	wait := time.Until(due)
	if due.IsZero() || wait <= 0 { // a timer that has expired when it is made crashes go1.26 under -race in synctest
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// accepts says whether a peer may connect to this node.
func (m *memory) accepts(from string) bool {
	if m.policy.knows(from) {
		return true
	}
	m.policy.Rejected(reasonStranger)
	return false
}

// receive delivers a message to this node. It makes new PIDs, as decoding does: a
// PID remembers the process that it was resolved to, and that of the sender's
// system must not be found from ours.
func (m *memory) receive(p parcel) {
	m.deliveries.RLock()
	defer m.deliveries.RUnlock()
	if m.closed {
		return
	}
	target, sender := copyPID(p.target), copyPID(p.sender)
	if reason := m.policy.admit(m.name, target, sender); reason != "" {
		m.policy.Rejected(reason)
		return
	}
	if !deliver(m.system, target, sender, proto.Clone(p.msg)) {
		m.policy.Rejected(reasonNoProcess)
	}
}

func copyPID(pid *actor.PID) *actor.PID {
	if pid == nil {
		return nil
	}
	return &actor.PID{Address: pid.GetAddress(), Id: pid.GetId(), RequestId: pid.GetRequestId()}
}
