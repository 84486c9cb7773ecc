package actors

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/membership"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// inboxDeskID is the address of the process that takes messages for all inboxes
// of a node.
const inboxDeskID = "inbox"

// Address names an inbox: "node/id". It is a string so that it can be a field of
// a message, and of what a vnode keeps. An inbox's address is never used again,
// so one of a node that has restarted leads nowhere.
type Address string

// Node returns where the inbox is.
func (a Address) Node() ring.NodeName {
	node, _, _ := strings.Cut(string(a), "/")
	return ring.NodeName(node)
}

func (a Address) inbox() string {
	_, id, _ := strings.Cut(string(a), "/")
	return id
}

func addressOf(node ring.NodeName, inbox string) Address { return Address(string(node) + "/" + inbox) }

// Inbox is where messages for somebody on this node arrive: a client's connection,
// say. Anything on any node may send to it that has its address.
type Inbox struct {
	desk     *inboxDesk
	address  Address
	empty    func() proto.Message
	messages chan proto.Message

	mu       sync.Mutex // guards closing of messages
	closed   bool
	overflow bool
}

// Address returns the inbox's address.
func (i *Inbox) Address() Address { return i.address }

// Messages returns what arrives, in order for each node that sends. It is closed
// when the inbox is.
func (i *Inbox) Messages() <-chan proto.Message { return i.messages }

// Overflowed says whether the inbox closed since nobody read what it held.
func (i *Inbox) Overflowed() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.overflow
}

// Close ends the inbox, and tells those who watch it. What is in Messages can
// still be read.
func (i *Inbox) Close() { i.close(false) }

func (i *Inbox) close(overflow bool) {
	i.mu.Lock()
	was := i.closed
	if !was {
		i.closed, i.overflow = true, overflow
		close(i.messages)
	}
	i.mu.Unlock()
	if !was {
		i.desk.closed(i)
	}
}

// put delivers a message. If there is no room the inbox closes: whoever reads so
// slowly has missed something either way, and must not hold up the others.
func (i *Inbox) put(m proto.Message) {
	i.mu.Lock()
	full := false
	if !i.closed {
		select {
		case i.messages <- m:
		default:
			full = true
		}
	}
	i.mu.Unlock()
	if full {
		i.close(true)
	}
}

// inboxDesk takes the messages for a node's inboxes, and the news of others'.
type inboxDesk struct {
	node *Node

	mu      sync.Mutex
	inboxes map[string]*Inbox
	watches map[Address]map[*watch]struct{}
}

// watch is one interest in the end of an inbox.
type watch struct{ gone func() }

var _ actor.Process = (*inboxDesk)(nil)

func newInboxDesk(n *Node) *inboxDesk {
	return &inboxDesk{node: n, inboxes: map[string]*Inbox{}, watches: map[Address]map[*watch]struct{}{}}
}

// OpenInbox opens an inbox for messages of the type that empty makes. It holds
// up to capacity of them that nobody has read, 1 at least.
func (n *Node) OpenInbox(capacity int, empty func() proto.Message) *Inbox {
	id := rand.Text()
	i := &Inbox{desk: n.inboxes, address: addressOf(n.name, id), empty: empty, messages: make(chan proto.Message, max(1, capacity))}
	n.inboxes.mu.Lock()
	defer n.inboxes.mu.Unlock()
	n.inboxes.inboxes[id] = i
	return i
}

// Push sends a message to an inbox. See [Host.Push].
func (n *Node) Push(to Address, m proto.Message) error {
	payload, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(payload) > MaxMessageBytes {
		return fmt.Errorf("%w: the message has %d bytes, the most is %d", ErrTooLarge, len(payload), MaxMessageBytes)
	}
	push := &transportpb.Push{Inbox: to.inbox(), Payload: payload}
	if to.Node() == n.name {
		n.inboxes.take(push)
		return nil
	}
	return n.tellDesk(to.Node(), push)
}

// Watch tells of the end of an inbox. See [Host.Watch].
func (n *Node) Watch(a Address, gone func()) (stop func()) {
	d, w := n.inboxes, &watch{gone}
	d.mu.Lock()
	if d.watches[a] == nil {
		d.watches[a] = map[*watch]struct{}{}
	}
	d.watches[a][w] = struct{}{}
	here := d.inboxes[a.inbox()] != nil
	d.mu.Unlock()
	if a.Node() == n.name && !here || a.Node() != n.name && n.Liveness(a.Node()) == membership.Down {
		d.gone(a)
	}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.watches[a], w)
		if len(d.watches[a]) == 0 {
			delete(d.watches, a)
		}
	}
}

// tellDesk sends a message to the desk of another node.
func (n *Node) tellDesk(node ring.NodeName, m proto.Message) error {
	p, known := n.peer(string(node))
	if !known || !p.alive.Load() {
		return fmt.Errorf("%w: %s", ErrUnreachable, node)
	}
	return n.transport.Send(actor.NewPID(p.address, inboxDeskID), actor.NewPID(n.address, inboxDeskID), m)
}

// SendUserMessage takes what other nodes send.
func (d *inboxDesk) SendUserMessage(_ *actor.PID, message any) {
	_, inner, sender := actor.UnwrapEnvelope(message)
	switch m := inner.(type) {
	case *transportpb.Push:
		if !d.take(m) && sender != nil {
			// If this news gets lost, the next message brings it again.
			_ = d.node.transport.Send(sender, nil, &transportpb.Gone{Node: string(d.node.name), Inbox: m.GetInbox()})
		}
	case *transportpb.Gone:
		d.gone(addressOf(ring.NodeName(m.GetNode()), m.GetInbox()))
	}
}

// take delivers a message to an inbox here, and says whether there is one.
func (d *inboxDesk) take(m *transportpb.Push) bool {
	d.mu.Lock()
	i := d.inboxes[m.GetInbox()]
	d.mu.Unlock()
	if i == nil {
		return false
	}
	message := i.empty()
	if err := proto.Unmarshal(m.GetPayload(), message); err != nil {
		d.node.logger.Debug("a message for an inbox cannot be decoded", "error", err)
		return true
	}
	i.put(message)
	return true
}

// closed forgets an inbox of this node, and tells all nodes, for any may watch it.
func (d *inboxDesk) closed(i *Inbox) {
	d.mu.Lock()
	delete(d.inboxes, i.address.inbox())
	d.mu.Unlock()
	d.gone(i.address)
	if v := d.node.view.Load(); v != nil {
		for name := range v.peers {
			_ = d.node.tellDesk(name, &transportpb.Gone{Node: string(d.node.name), Inbox: i.address.inbox()})
		}
	}
}

// gone tells those who watch an inbox.
func (d *inboxDesk) gone(a Address) {
	d.mu.Lock()
	watches := d.watches[a]
	delete(d.watches, a)
	d.mu.Unlock()
	for w := range watches {
		go w.gone()
	}
}

// nodeGone does it for all inboxes of a node.
func (d *inboxDesk) nodeGone(node ring.NodeName) {
	d.mu.Lock()
	var there []Address
	for a := range d.watches {
		if a.Node() == node {
			there = append(there, a)
		}
	}
	d.mu.Unlock()
	for _, a := range there {
		d.gone(a)
	}
}

// follow ends what was on a node that is down. One that is merely suspected may
// be back in a moment, with all its inboxes.
func (d *inboxDesk) follow(c membership.Change) {
	if c.To == membership.Down {
		d.nodeGone(ring.NodeName(c.Peer))
	}
}

// close ends all inboxes.
func (d *inboxDesk) close() {
	d.mu.Lock()
	var open []*Inbox
	for _, i := range d.inboxes {
		open = append(open, i)
	}
	d.mu.Unlock()
	for _, i := range open {
		i.Close()
	}
}

// SendSystemMessage ignores everything: nobody watches it.
func (d *inboxDesk) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: it lives as long as its node.
func (d *inboxDesk) Stop(*actor.PID) {}
