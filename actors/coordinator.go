package actors

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
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

// usualReplicas is the N up to which a coordinator needs no second allocation.
const usualReplicas = 5

// coordinatorActor drives one coordinator.Request: an actor spawned for the
// request that ends with it. All that it needs lies in one allocation, its
// mailbox included. It never blocks, for it runs on the goroutines of those who
// send to it.
type coordinatorActor struct {
	node    *Node
	view    *view
	proxies []*vnodeProxy // of the command's service on this node
	id      uint32        // in the reply table
	call    Call
	key     []byte

	machine *coordinator.Request // nil once the request is over
	mailbox inlineMailbox
	command
	primary  actor.MessageEnvelope  // what primaries on this node are sent
	fallback *actor.MessageEnvelope // what fallbacks on this node are sent
	sender   actor.PID              // where replies go: the reply table
	wire     [2]*transportpb.Command

	replies []*Reply // by position, nil where none counted
	waiting []*peer  // by position: who owes an answer, if on another node
	verdict error    // what the machine decided
	answers []*Reply // what the client is told; fixed once decided is closed
	err     error    // the same
	decided chan struct{}

	repliesSpace, answersSpace [usualReplicas]*Reply
	waitingSpace               [usualReplicas]*peer
}

var _ actor.Actor = (*coordinatorActor)(nil)

// init prepares the request. It returns an error for a quorum that cannot be,
// and ErrOverloaded if too many requests are in flight.
func (c *coordinatorActor) init(p ring.Partition, q coordinator.Quorum) error {
	c.machine = machines.Get().(*coordinator.Request)
	err := c.machine.Init(coordinator.Config{
		Ring: c.view.ring, Partition: p, Kind: c.method.Kind, Quorum: q, Reachable: c.view.reachable,
	})
	if err != nil {
		machines.Put(c.machine)
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if q.N > usualReplicas {
		c.replies, c.waiting = make([]*Reply, q.N), make([]*peer, q.N)
	} else {
		c.replies, c.waiting = c.repliesSpace[:q.N], c.waitingSpace[:q.N]
	}
	c.decided = make(chan struct{})
	id, ok := c.node.table.add(c)
	if !ok {
		machines.Put(c.machine)
		return fmt.Errorf("%w: %d requests are in flight", ErrOverloaded, c.node.config.MaxRequests)
	}
	c.id = id
	c.sender.Address, c.sender.Id, c.sender.RequestId = c.node.address, replyTableID, id
	c.primary.Message, c.primary.Sender = &c.command, &c.sender
	return nil
}

// machines recycles the requests' state machines: they are the largest part of
// a coordinator, and nobody keeps one.
var machines = sync.Pool{New: func() any { return new(coordinator.Request) }}

// Receive feeds one event to the machine. What comes after the end is late.
func (c *coordinatorActor) Receive(ctx actor.Context) {
	if c.machine == nil {
		return
	}
	defer c.survive()
	switch m := ctx.Message().(type) {
	case *Reply:
		c.onReply(m)
	case *actor.Started:
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

func (c *coordinatorActor) onReply(r *Reply) {
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
	var failed []*Reply // almost always empty
	for _, s := range step.Sends {
		if code := c.send(s); code != transportpb.Code_CODE_OK {
			failed = append(failed, &Reply{Partition: s.Partition, Node: s.Node, Code: code})
		}
	}
	c.conclude(step)
	if step.Closed {
		c.end()
	}
	for _, r := range failed {
		if c.machine != nil {
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
	if r := c.replies[position]; r != nil {
		return r.Err()
	}
	return nil
}

// finish wakes the client. It happens once; what comes later changes nothing
// that the client sees.
func (c *coordinatorActor) finish(err error) {
	select {
	case <-c.decided:
		return
	default:
	}
	c.answers = c.answersSpace[:0]
	for _, r := range c.replies {
		if r != nil {
			c.answers = append(c.answers, r)
		}
	}
	c.err = err
	close(c.decided)
}

// end is the last step: repair what a read found stale, and stop.
func (c *coordinatorActor) end() {
	if c.method.Repair != nil && c.verdict == nil {
		c.repair()
	}
	c.close()
}

func (c *coordinatorActor) close() {
	if c.machine == nil {
		return
	}
	c.node.table.remove(c.id)
	for position := range c.waiting {
		c.settle(position)
	}
	machines.Put(c.machine)
	c.machine = nil
	c.mailbox.PostSystemMessage(stop)
}

// stop ends an actor. Posting it past the registry is cheaper than looking the
// actor up there.
var stop = &actor.Stop{}

// repair writes the resolved value to replicas that answered with another.
func (c *coordinatorActor) repair() {
	winner := resolve(c.method, c.replies)
	if winner == nil {
		return
	}
	var write *command
	same := func(position int) bool {
		r := c.replies[position]
		return r != nil && r.Message != nil && c.method.Same(r.Message, winner)
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
	code := c.node.sendToPeer(p, vnodeID(c.method.Service.Name, s.Partition), &c.sender, w)
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
		return &c.primary
	}
	if c.fallback == nil {
		standIn := c.node.newCommand(c.method, c.message, c.epoch, c.deadline)
		standIn.fallback = true
		c.fallback = envelope(standIn, &c.sender)
	}
	return c.fallback
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
	w, err := c.command.toWire(time.Now())
	if err != nil {
		return nil, err
	}
	w.Fallback = t.Fallback
	c.wire[i] = w
	return w, nil
}

// launcher spawns coordinators. Proto.Actor asks a Props for the actor and for
// its mailbox separately and without arguments; a launcher hands over both
// halves of the coordinator at hand, so one Props serves many requests and the
// request needs no first message.
type launcher struct {
	props *actor.Props
	next  *coordinatorActor
}

var launchers = sync.Pool{New: func() any {
	l := &launcher{}
	l.props = actor.PropsFromProducer(func() actor.Actor { return l.next },
		actor.WithMailbox(func() actor.Mailbox { return &l.next.mailbox }))
	return l
}}

// launch starts the actor. By the time it returns, the first sends are out.
func (c *coordinatorActor) launch(system *actor.ActorSystem) {
	l := launchers.Get().(*launcher)
	l.next = c
	system.Root.Spawn(l.props)
	l.next = nil
	launchers.Put(l)
}

// outcomeOf names a request's end, for metrics.
func outcomeOf(err error) string {
	if err == nil {
		return "ok"
	}
	short, isQuorum := errors.AsType[*coordinator.QuorumError](err)
	switch {
	case isQuorum && short.Outcome == coordinator.Unknown:
		return "unknown"
	case errors.Is(err, ErrOverloaded):
		return "overloaded"
	case errors.Is(err, ErrNotFound):
		return "not_found"
	case errors.Is(err, ErrInvalid), errors.Is(err, ErrTooLarge):
		return "invalid"
	default:
		return "failed"
	}
}
