package actors

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/torc-io/torc/coordinator"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// Messages that the reply table sends to a coordinator, beside replies.
type (
	// nodeDown says that a node will not answer what it was sent.
	nodeDown struct{ node ring.NodeName }
	// expired says that the deadline has passed.
	expired struct{}
)

// begin is a coordinator's first message of a request.
type begin struct{}

// coordinatorActor drives coordinator.Requests, one at a time: an actor for each
// request in flight, that serves another when this one is over. To be spawned
// and stopped for each would cost more than all that a request decides. It never
// blocks, for it runs on the goroutines of those who send to it.
//
// A request has two sides that end in either order: the client's, who reads the
// answer, and the replicas', the last of which may answer after it. The actor is
// free for another request when both have let go of it. Nothing of one request
// gets into the next: what vnodes hold on to is in the letters, which are never
// used again, and what comes late is stopped by the mailbox.
type coordinatorActor struct {
	node    *Node
	pid     *actor.PID
	mailbox inlineMailbox
	stripe  *stripe // whose it is while it is free
	machine coordinator.Request
	holders atomic.Int32 // who has not let go of the request
	// progress is that of the client's answer, which decided tells a client that
	// awaits it.
	progress atomic.Uint32
	decided  chan struct{}

	request

	// By position. They keep their memory from one request to the next.
	replies []Reply // that decided something; without a node where none did
	waiting []*peer // who owes an answer, if on another node
	answers []Reply // what the client is told; fixed once it is
}

// request is what a coordinator knows of the request at hand.
type request struct {
	view    *view
	proxies []*vnodeProxy // of the command's service on this node
	id      uint32        // in the reply table
	call    Call
	key     []byte

	*letter  // to primaries on this node
	fallback *letter
	wire     [2]*transportpb.Command // to other nodes: primaries, fallbacks

	waited  bool  // the client has; on its own goroutine
	over    bool  // the replicas' side has ended
	told    bool  // the client's answer is fixed
	verdict error // what the machine decided
	err     error // what the client is told
}

// letter is a command on its way to vnodes of this node, with the address for
// their replies. They may hold on to it for longer than the request takes.
type letter struct {
	command
	envelope actor.MessageEnvelope
	sender   actor.PID
}

// newLetter returns a letter that has no command yet.
func (n *Node) newLetter() *letter {
	l := &letter{}
	l.sender.Address, l.sender.Id = n.address, replyTableID
	l.envelope.Message, l.envelope.Sender = &l.command, &l.sender
	return l
}

// The progress of a client's answer.
const (
	asked    = iota // there is none yet
	awaited         // nor yet, and the client waits on decided
	answered        // it is fixed
)

var _ actor.Actor = (*coordinatorActor)(nil)

// init prepares the request. It returns an error for a quorum that cannot be.
func (c *coordinatorActor) init(p ring.Partition, q coordinator.Quorum) error {
	err := c.machine.Init(coordinator.Config{
		Ring: c.view.ring, Partition: p, Kind: c.method.Kind, Quorum: q, Reachable: c.view.reachable,
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	c.replies = slices.Grow(c.replies, q.N)[:q.N]
	c.waiting = slices.Grow(c.waiting, q.N)[:q.N]
	for id := c.id; !c.node.table.add(id, c); {
		id = c.stripe.anotherID(c.node.table)
	}
	return nil
}

// enter gives the request its id. From then on there may be messages for it.
func (c *coordinatorActor) enter(id uint32) {
	c.id, c.sender.RequestId = id, id
	c.mailbox.enter(id)
}

// Receive feeds one event to the machine. What comes after the end is late.
func (c *coordinatorActor) Receive(ctx actor.Context) {
	if c.over {
		return
	}
	defer c.survive()
	switch m := ctx.Message().(type) {
	case *Reply:
		c.onReply(*m)
	case begin:
		c.apply(c.machine.Start())
	case *nodeDown:
		c.apply(c.machine.NodeDown(m.node))
	case expired:
		c.apply(c.machine.Expire())
	}
}

// survive answers the client if deciding panicked, for instance in a service's
// Repair: no request may be left without an answer, nor in the table.
func (c *coordinatorActor) survive() {
	reason := recover()
	if reason == nil {
		return
	}
	c.node.logger.Error("coordinator panicked", "service", c.method.Service.Name, "command", c.method.Name,
		"request", c.id, "panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
	c.finish(fmt.Errorf("%w in the coordinator: %v", ErrPanic, reason))
	c.close()
}

func (c *coordinatorActor) onReply(r Reply) {
	if r.Message == nil {
		r.decode(c.method)
	}
	from := ring.Target{Partition: r.Partition, Node: r.Node}
	position, _, step := c.machine.Reply(from, r.outcome())
	if position >= 0 {
		c.replies[position] = r
		c.settle(position)
	}
	c.apply(step)
}

// apply carries out what the machine decided. A send that fails at once is an
// event like any other, and may lead to the next send.
func (c *coordinatorActor) apply(step coordinator.Step) {
	var failed []Reply // almost always empty
	for _, s := range step.Sends {
		if code := c.send(s); code != transportpb.Code_CODE_OK {
			failed = append(failed, Reply{Partition: s.Partition, Node: s.Node, Code: code})
		}
	}
	c.conclude(step)
	if step.Closed {
		c.end()
	}
	for _, r := range failed {
		if !c.over {
			c.onReply(r)
		}
	}
}

// conclude tells the client, once the machine knows what; a client that wants
// every reply, once there will be no more.
func (c *coordinatorActor) conclude(step coordinator.Step) {
	switch step.Answer {
	case coordinator.None:
	case coordinator.Met:
		c.verdict = nil
		if c.machine.Doubtful() {
			c.node.metrics.doubtful.WithLabelValues(c.method.Service.Name).Inc()
		}
	case coordinator.Expired:
		c.verdict = fmt.Errorf("%w: %w", context.DeadlineExceeded, c.machine.Error(c.cause))
	case coordinator.Impossible:
		c.verdict = c.machine.Error(c.cause)
	}
	if step.Closed || step.Answer != coordinator.None && !c.call.All {
		c.finish(c.verdict)
	}
}

// cause is what a position's last reply says about its failure.
func (c *coordinatorActor) cause(position int) error {
	return c.replies[position].Err()
}

// finish wakes the client. It happens once; what comes later changes nothing
// that the client sees.
func (c *coordinatorActor) finish(err error) {
	if c.told {
		return
	}
	c.told, c.err = true, err
	for i := range c.replies {
		if c.replies[i].came() {
			c.answers = append(c.answers, c.replies[i])
		}
	}
	if c.progress.Swap(answered) == awaited {
		c.decided <- struct{}{}
	}
}

// end is the last step: repair what a read found stale, and stop.
func (c *coordinatorActor) end() {
	if c.method.Repair != nil && c.verdict == nil {
		c.repair()
	}
	c.close()
}

func (c *coordinatorActor) close() {
	if c.over {
		return
	}
	c.over = true
	c.node.table.remove(c.id)
	for position := range c.waiting {
		c.settle(position)
	}
	c.mailbox.end()
}

// repair writes the resolved value to replicas that answered with another.
func (c *coordinatorActor) repair() {
	winner := resolve(c.method, c.replies)
	if winner == nil {
		return
	}
	var write *command
	same := func(position int) bool {
		message := c.replies[position].Message
		return message != nil && c.method.Same(message, winner)
	}
	for _, s := range c.machine.Repairs(same) {
		if write == nil {
			method, message := c.method.Repair(c.key, winner)
			write = c.node.newCommand(method, message, c.view.ring.Epoch(), time.Now().Add(c.node.config.RequestTimeout))
		}
		c.node.metrics.repairs.WithLabelValues(c.method.Service.Name).Inc()
		c.node.tell(c.view, s.Target, write)
	}
}

// send passes the command to one vnode. The code is why it could not, or CODE_OK.
func (c *coordinatorActor) send(s coordinator.Send) transportpb.Code {
	if s.Node == c.node.name {
		c.proxies[s.Partition].SendUserMessage(nil, c.envelopeFor(s.Target))
		return transportpb.Code_CODE_OK
	}
	p := c.view.peers[s.Node]
	w, err := c.wireFor(s.Target)
	if err != nil {
		return transportpb.Code_CODE_INVALID
	}
	c.settle(s.Position)
	code := c.node.sendToPeer(p, c.proxies[s.Partition].id, &c.sender, w)
	if code == transportpb.Code_CODE_OK {
		c.waiting[s.Position] = p
	}
	return code
}

// settle takes a position's command off the account of the peer that held it.
func (c *coordinatorActor) settle(position int) {
	if p := c.waiting[position]; p != nil {
		p.pending.Add(-1)
		c.waiting[position] = nil
	}
}

// envelopeFor returns the message for a vnode on this node. All primaries get
// the same one.
func (c *coordinatorActor) envelopeFor(t ring.Target) *actor.MessageEnvelope {
	if !t.Fallback {
		return &c.envelope
	}
	if c.fallback == nil {
		standIn := c.node.newLetter()
		standIn.method, standIn.message, standIn.size = c.method, c.message, c.size
		standIn.epoch, standIn.deadline, standIn.fallback = c.epoch, c.deadline, true
		standIn.sender.RequestId = c.id
		c.fallback = standIn
	}
	return &c.fallback.envelope
}

// wireFor returns the message for a vnode on another node, encoded once.
func (c *coordinatorActor) wireFor(t ring.Target) (*transportpb.Command, error) {
	i := 0
	if t.Fallback {
		i = 1
	}
	if c.wire[i] != nil {
		return c.wire[i], nil
	}
	w, err := c.letter.toWire(time.Now())
	if err != nil {
		return nil, err
	}
	w.Fallback = t.Fallback
	c.wire[i] = w
	return w, nil
}
