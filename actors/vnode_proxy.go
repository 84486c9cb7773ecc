package actors

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/torc-io/torc/coordinator"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// vnodeProxy is the process that stands, for good, under a vnode's address
// "<service>/<partition>" on every node, whether or not a vnode is there. It
// passes commands to the vnode's mailbox, opens the vnode when it is needed and
// allowed, and otherwise says why not. Since nobody else holds the vnode's own
// id, no message meets a half-started actor and no address goes stale: opening,
// closing and moving a vnode swap one pointer.
type vnodeProxy struct {
	node      *Node
	service   *Service
	partition ring.Partition

	active atomic.Pointer[vnodeHandle] // nil while there is no vnode, or it is moving
	mu     sync.Mutex                  // serialises opening, moving and closing
	opened uint64                      // guarded by mu: how many vnodes there were
	moving *moving                     // guarded by mu: nil unless ownership is about to change
}

// vnodeHandle is a running vnode.
type vnodeHandle struct {
	vnode   *vnode
	mailbox *mailbox
	pid     *actor.PID // private; never leaves the node
	ending  sync.Once
}

// end stops the vnode's actor. A second stop would be a dead letter.
func (h *vnodeHandle) end(system *actor.ActorSystem) {
	h.ending.Do(func() { system.Root.Stop(h.pid) })
}

var _ actor.Process = (*vnodeProxy)(nil)

// vnodeID is the address of a vnode, the same on every node.
func vnodeID(service string, p ring.Partition) string {
	return fmt.Sprintf("%s/%d", service, p)
}

// SendUserMessage takes a command: as the router passes it within the node, or
// as it came over the wire.
func (p *vnodeProxy) SendUserMessage(_ *actor.PID, message any) {
	e, ok := message.(*actor.MessageEnvelope)
	if !ok {
		return
	}
	switch m := e.Message.(type) {
	case *command:
		p.accept(e, m)
	case *transportpb.Command:
		p.acceptRemote(e.Sender, m)
	}
}

// SendSystemMessage ignores everything: nobody watches a proxy.
func (p *vnodeProxy) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: an address is for good.
func (p *vnodeProxy) Stop(*actor.PID) {}

func (p *vnodeProxy) acceptRemote(sender *actor.PID, w *transportpb.Command) {
	c, code := commandFromWire(p.service, w, time.Now())
	if code != transportpb.Code_CODE_OK {
		p.node.reply(sender, p.refusal(code))
		return
	}
	p.accept(envelope(c, sender), c)
}

// accept passes a command to the vnode, or does what else is right for it.
func (p *vnodeProxy) accept(e *actor.MessageEnvelope, c *command) {
	if h := p.active.Load(); h != nil {
		h.mailbox.PostUserMessage(e)
		return
	}
	if p.hold(e) {
		return
	}
	switch code := p.admit(c); code {
	case transportpb.Code_CODE_OK:
		p.deliver(e)
	case transportpb.Code_CODE_NOT_OWNER:
		p.redirect(e, c)
	default:
		p.answer(e, code)
	}
}

// deliver opens the vnode for a command that may.
func (p *vnodeProxy) deliver(e *actor.MessageEnvelope) {
	if h := p.open(); h != nil {
		h.mailbox.PostUserMessage(e)
		return
	}
	if !p.hold(e) {
		p.answer(e, transportpb.Code_CODE_STOPPING)
	}
}

// admit decides whether a command may open the vnode. An empty vnode must never
// speak for a partition that lives elsewhere: only the owner, and a fallback
// that takes a write, open one. A fallback without a vnode has nothing to read.
func (p *vnodeProxy) admit(c *command) transportpb.Code {
	switch {
	case p.node.view.Load().ring.Owner(p.partition) == p.node.name:
		return transportpb.Code_CODE_OK
	case !c.fallback:
		return transportpb.Code_CODE_NOT_OWNER
	case c.method.Kind == coordinator.Read:
		return transportpb.Code_CODE_NOT_FOUND
	default:
		return transportpb.Code_CODE_OK
	}
}

// open returns the running vnode, and starts it if there is none. It returns
// nil while the node is stopping or the partition is moving.
func (p *vnodeProxy) open() *vnodeHandle {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h := p.active.Load(); h != nil {
		return h
	}
	if p.node.stopping.Load() || p.moving != nil {
		return nil
	}
	h := &vnodeHandle{
		vnode:   &vnode{node: p.node, service: p.service, partition: p.partition, stopped: make(chan struct{})},
		mailbox: newMailbox(p.node.config.MailboxCommands, p.node.config.MailboxBytes, p.turnAway),
	}
	p.opened++
	h.pid = p.spawn(h)
	p.active.Store(h)
	return h
}

// spawn starts the vnode's actor under an id that is never used twice, so a
// message to a vnode that ended cannot reach its successor.
func (p *vnodeProxy) spawn(h *vnodeHandle) *actor.PID {
	props := actor.PropsFromProducer(func() actor.Actor { return h.vnode },
		actor.WithMailbox(func() actor.Mailbox { return h.mailbox }),
		actor.WithDispatcher(p.node.pool))
	pid, err := p.node.system.Root.SpawnNamed(props, fmt.Sprintf("vnode/%s/%d#%d", p.service.Name, p.partition, p.opened))
	if err != nil {
		// Only a second use of the id can fail, and the id is ours alone.
		p.node.logger.Error("spawn a vnode", "service", p.service.Name, "partition", p.partition, "error", err)
	}
	return pid
}

// close ends the vnode, if there is one, and answers what waits for it. It
// returns a channel that closes when the vnode is gone.
func (p *vnodeProxy) close(code transportpb.Code) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.active.Load()
	if p.moving != nil {
		h = p.moving.vnode
	}
	if h == nil {
		gone := make(chan struct{})
		close(gone)
		return gone
	}
	h.mailbox.Close(code)
	p.active.Store(nil)
	h.end(p.node.system)
	return h.vnode.stopped
}

// turnAway takes what the vnode's mailbox does not: commands that it has no room
// for, and those that wait while the partition changes its owner.
func (p *vnodeProxy) turnAway(e *actor.MessageEnvelope, code transportpb.Code) {
	if code == codeMoving && p.hold(e) {
		return
	}
	if code == codeMoving {
		p.accept(e, e.Message.(*command)) // the move is over
		return
	}
	p.answer(e, code)
}

// answer tells the sender why a command was not executed.
func (p *vnodeProxy) answer(e *actor.MessageEnvelope, code transportpb.Code) {
	if code == transportpb.Code_CODE_OVERLOADED {
		p.node.metrics.overloads.WithLabelValues(p.service.Name).Inc()
	}
	p.node.reply(e.Sender, p.refusal(code))
}

func (p *vnodeProxy) refusal(code transportpb.Code) *Reply {
	return &Reply{Partition: p.partition, Node: p.node.name, Code: code, Epoch: p.node.epoch()}
}
