package actors

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/handoff"
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
	id        string // the vnode's address, the same on every node

	// serving is the vnode while it is the owner's and commands go straight to
	// it. It is nil while there is none, while the partition is about to move,
	// and on a node that does not own it.
	serving atomic.Pointer[vnodeHandle]
	// report is what the vnode last told about itself, for those who look at many.
	report atomic.Pointer[handoff.Report]
	// assuming is how many rings the vnode has yet to hear of; until then its report
	// is of the past.
	assuming atomic.Int64
	// foreign is how many items the vnode holds for other owners.
	foreign atomic.Int64
	// behind says that a fallback holds writes that the vnode does not have.
	behind atomic.Bool

	mu     sync.Mutex   // serialises opening, moving and closing
	handle *vnodeHandle // guarded by mu: the vnode, whatever it is to the partition
	moving *moving      // guarded by mu: nil unless ownership is about to change
}

// vnodeHandle is a running vnode.
type vnodeHandle struct {
	vnode   *vnode
	mailbox *mailbox
	ending  sync.Once
}

// end stops the vnode's actor.
func (h *vnodeHandle) end() {
	h.ending.Do(func() { h.mailbox.PostSystemMessage(&actor.Stop{}) })
}

// post has the vnode run a function on its own turn, before any more commands.
func (h *vnodeHandle) post(run func(*vnode)) *visit {
	v := &visit{run: run, done: make(chan struct{})}
	h.mailbox.PostUserMessage(v)
	return v
}

// visit is post for a caller that waits until it has happened. It gives up when
// ctx ends, as when a handler never returns, or when the vnode has ended: after an
// error the function has not run, and will not.
func (h *vnodeHandle) visit(ctx context.Context, run func(*vnode)) (err error) {
	v := h.post(run)
	select {
	case <-v.done:
		return nil
	case <-h.vnode.stopped:
		err = ErrStopping
	case <-ctx.Done():
		err = fmt.Errorf("wait for the vnode's turn: %w", context.Cause(ctx))
	}
	if v.withdraw() {
		return err
	}
	<-v.done
	return nil
}

var _ permanent = (*vnodeProxy)(nil)

// SendUserMessage takes a command: as the router passes it within the node, or
// as it came over the wire.
func (p *vnodeProxy) SendUserMessage(_ *actor.PID, message any) {
	e, ok := message.(*actor.MessageEnvelope)
	if !ok {
		return
	}
	switch m := e.Message.(type) {
	case *command:
		if !m.method.NoWait || !p.runHere(e) {
			p.accept(e, m)
		}
	case *transportpb.Command:
		p.acceptRemote(e.Sender, m)
	}
}

// takeFromPeer takes a command as it came over the wire.
func (p *vnodeProxy) takeFromPeer(_ uint32, sender *actor.PID, msg proto.Message) {
	if w, ok := msg.(*transportpb.Command); ok {
		p.acceptRemote(sender, w)
	}
}

// SendSystemMessage ignores everything: nobody watches a proxy.
func (p *vnodeProxy) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: an address is for good.
func (p *vnodeProxy) Stop(*actor.PID) {}

// runHere has the vnode execute a command on this goroutine, if it is idle.
func (p *vnodeProxy) runHere(e *actor.MessageEnvelope) bool {
	h := p.serving.Load()
	return h != nil && h.mailbox.runHere(e)
}

func (p *vnodeProxy) acceptRemote(sender *actor.PID, w *transportpb.Command) {
	c, code := commandFromWire(p.service, w, time.Now())
	if code != transportpb.Code_CODE_OK {
		p.refuse(sender, code)
		return
	}
	p.accept(envelope(c, sender), c)
}

// accept passes a command to the vnode, or does what else handoff.Route says.
func (p *vnodeProxy) accept(e *actor.MessageEnvelope, c *command) {
	if h := p.serving.Load(); h != nil {
		h.mailbox.PostUserMessage(e) // the common case
		return
	}
	switch p.route(c) {
	case handoff.Deliver:
		p.deliver(e)
	case handoff.Hold:
		if !p.hold(e) {
			p.accept(e, c)
		}
	case handoff.CatchUp:
		p.catchUp(e, c)
	case handoff.PassOn:
		p.passOn(e, c)
	case handoff.Nothing:
		p.answer(e, transportpb.Code_CODE_NOT_FOUND)
	case handoff.Refuse:
		p.answer(e, p.refusalCode())
	}
}

// route asks handoff what becomes of a command.
func (p *vnodeProxy) route(c *command) handoff.Route {
	v := p.node.view.Load()
	place := handoff.Place{Owned: v.ring.Owner(p.partition) == p.node.name, Epoch: v.ring.Epoch()}
	p.mu.Lock()
	place.Vnode, place.Moving = p.handle != nil, p.moving != nil
	place.Undecided = place.Moving && p.moving.undecided
	p.mu.Unlock()
	return handoff.Call{
		Read: p.service.reads(c.method), Fallback: c.fallback, Forwarded: c.passedOn, Epoch: c.epoch,
	}.At(place)
}

// refusalCode says why a command is refused here: the coordinator is told that
// there is no vnode, or that nobody knows whose it is.
func (p *vnodeProxy) refusalCode() transportpb.Code {
	if p.owned() {
		return transportpb.Code_CODE_UNAVAILABLE
	}
	return transportpb.Code_CODE_NOT_OWNER
}

// deliver opens the vnode for a command that may. If the partition has begun to
// move meanwhile, the command waits after all.
func (p *vnodeProxy) deliver(e *actor.MessageEnvelope) {
	if h := p.open(false); h != nil {
		h.mailbox.PostUserMessage(e)
		return
	}
	if p.node.stopping.Load() || !p.hold(e) {
		p.answer(e, transportpb.Code_CODE_STOPPING)
	}
}

// owned says whether this node owns the partition, by the ring in use.
func (p *vnodeProxy) owned() bool { return p.node.Ring().Owner(p.partition) == p.node.name }

// current returns the vnode, or nil.
func (p *vnodeProxy) current() *vnodeHandle {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.handle
}

// open returns the running vnode, and starts it if there is none. It returns
// nil while the node is stopping or the partition is moving, and starts none on a
// node that has departed: what a coordinator of an older ring had it hold would end
// with it. Founding says that nobody has ever written to the partition, so that an
// empty vnode is whole.
func (p *vnodeProxy) open(founding bool) *vnodeHandle {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.moving != nil || p.node.stopping.Load() {
		return nil
	}
	if p.handle == nil {
		if p.node.Ring().Departed(p.node.name) {
			return nil
		}
		p.handle = p.start(founding)
	}
	if p.owned() {
		p.serving.Store(p.handle)
	}
	return p.handle
}

// start makes a vnode, with its standing by the ring in use. The caller holds mu.
func (p *vnodeProxy) start(founding bool) *vnodeHandle {
	h := &vnodeHandle{mailbox: newMailbox(p.node.config.MailboxCommands, p.node.config.MailboxBytes, p.turnAway)}
	h.vnode = &vnode{
		node: p.node, service: p.service, partition: p.partition,
		proxy: p, mailbox: h.mailbox, stopped: make(chan struct{}),
	}
	if founding {
		h.vnode.standing.Found()
	}
	h.vnode.assume(p.node.Ring())
	p.node.spawner.spawn(h)
	return h
}

// assume tells the vnode, if there is one, what it is to the partition by r. It
// is called before the node uses r, so that nobody who knows r finds a vnode that
// does not.
func (p *vnodeProxy) assume(r *ring.Ring) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Owner(p.partition) != p.node.name {
		p.serving.Store(nil)
	}
	if p.handle != nil {
		p.assuming.Add(1)
		p.handle.post(func(v *vnode) {
			v.assume(r)
			p.assuming.Add(-1)
		})
	}
}

// discardWithin bounds the wait for the turn of a vnode that is to end. If it does
// not come, there is another time.
const discardWithin = 100 * time.Millisecond

// discard ends a vnode that nobody needs, with what it holds.
func (p *vnodeProxy) discard(ctx context.Context, h *vnodeHandle) {
	ctx, cancel := context.WithTimeout(ctx, discardWithin)
	defer cancel()
	useless := false
	err := h.visit(ctx, func(v *vnode) { useless = v.retire() })
	if err != nil || !useless {
		return
	}
	p.mu.Lock()
	if p.handle == h {
		p.handle = nil
		p.serving.Store(nil)
		p.report.Store(nil)
	}
	p.mu.Unlock()
	h.mailbox.Close(transportpb.Code_CODE_STOPPING)
	h.end()
}

// close ends the vnode, if there is one, and answers what waits for it. It
// returns a channel that closes when the vnode is gone.
func (p *vnodeProxy) close(code transportpb.Code) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.handle
	if h == nil {
		gone := make(chan struct{})
		close(gone)
		return gone
	}
	h.mailbox.Close(code)
	p.serving.Store(nil)
	h.end()
	return h.vnode.stopped
}

// turnAway takes what the vnode's mailbox does not: commands that it has no room
// for, and those that wait while the partition changes its owner.
func (p *vnodeProxy) turnAway(e *actor.MessageEnvelope, code transportpb.Code) {
	if code == codeMoving {
		p.accept(e, e.Message.(*command)) // to be held, unless the move is over
		return
	}
	p.answer(e, code)
}

// answer tells the sender why a command was not executed.
func (p *vnodeProxy) answer(e *actor.MessageEnvelope, code transportpb.Code) {
	if code == transportpb.Code_CODE_OVERLOADED {
		p.node.metrics.overloads.WithLabelValues(p.service.Name).Inc()
	}
	p.refuse(e.Sender, code)
}

func (p *vnodeProxy) refuse(to *actor.PID, code transportpb.Code) {
	p.node.reply(to, &Reply{Partition: p.partition, Node: p.node.name, Code: code, Epoch: p.node.epoch()})
}

// sources returns whom the vnode would recover from.
func (p *vnodeProxy) sources(r *ring.Ring) []handoff.Source {
	if p.service.Stateless {
		return nil
	}
	return handoff.Sources(r, p.partition, p.service.Quorum.N)
}
