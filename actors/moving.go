package actors

import (
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// codeMoving closes a mailbox for the moment in which its partition changes its
// owner. It is never sent: what it turns away is held, and goes on afterwards.
const codeMoving transportpb.Code = -1

// moving is a proxy's state while its partition is about to change its owner:
// nothing is executed, and commands wait for the outcome. It lasts as long as a
// compare-and-set, so that no request notices more than that.
type moving struct {
	vnode *vnodeHandle // nil if there was none
	held  []*actor.MessageEnvelope
}

// suspend stops the vnode from executing commands, and returns how many items
// it holds once the one at hand is done. Resume or retire must follow.
func (p *vnodeProxy) suspend() int {
	p.mu.Lock()
	h := p.active.Load()
	p.moving = &moving{vnode: h}
	p.active.Store(nil)
	p.mu.Unlock()
	if h == nil {
		return 0
	}
	h.mailbox.Close(codeMoving)
	return h.items()
}

// items asks the vnode, on its own turn, how many items it holds. It does not
// wait for a handler that outlasts the node.
func (h *vnodeHandle) items() int {
	count := &visit{done: make(chan struct{})}
	counted := 0
	count.run = func(v *vnode) {
		if v.state != nil {
			counted = v.state.Len()
		}
	}
	h.mailbox.PostUserMessage(count)
	select {
	case <-count.done:
		return counted
	case <-h.vnode.stopped:
		return 0
	case <-h.vnode.node.life.Done():
		return 0
	}
}

// items returns how many items the vnode holds, none if there is no vnode.
func (p *vnodeProxy) items() int {
	if h := p.active.Load(); h != nil {
		return h.items()
	}
	return 0
}

// resume lets the vnode go on as if nothing had happened, unless the node is
// stopping and has closed it.
func (p *vnodeProxy) resume() {
	p.mu.Lock()
	h := p.moving.vnode
	if h != nil && !p.node.stopping.Load() {
		h.mailbox.Reopen()
		p.active.Store(h)
	}
	p.mu.Unlock()
	p.release()
}

// retire ends the vnode, for its partition has another owner now.
func (p *vnodeProxy) retire() {
	p.mu.Lock()
	h := p.moving.vnode
	p.mu.Unlock()
	if h != nil {
		h.end(p.node.system)
		select {
		case <-h.vnode.stopped:
		case <-p.node.life.Done():
		}
	}
	p.release()
}

// release ends the move, and lets the commands that waited go their way.
func (p *vnodeProxy) release() {
	p.mu.Lock()
	held := p.moving.held
	p.moving = nil
	p.mu.Unlock()
	for _, e := range held {
		p.accept(e, e.Message.(*command))
	}
}

// hold keeps a command while the partition is moving. It returns false if it is
// not. What there is no room for is answered.
func (p *vnodeProxy) hold(e *actor.MessageEnvelope) bool {
	p.mu.Lock()
	m := p.moving
	full := m != nil && len(m.held) >= p.node.config.MailboxCommands
	if m != nil && !full {
		m.held = append(m.held, e)
	}
	p.mu.Unlock()
	if full {
		p.answer(e, transportpb.Code_CODE_OVERLOADED)
	}
	return m != nil
}

// redirect does with a command that is for another owner what helps most. If the
// sender knows a newer ring, this node catches up first; if the partition has
// moved on, the new owner gets the command, and answers the sender.
func (p *vnodeProxy) redirect(e *actor.MessageEnvelope, c *command) {
	v := p.node.view.Load()
	if c.epoch > v.ring.Epoch() {
		p.node.late.wait(c.epoch, func() { p.afterCatchingUp(e, c) }, func() { p.answer(e, transportpb.Code_CODE_NOT_OWNER) })
		return
	}
	owner, known := v.peers[v.ring.Owner(p.partition)]
	if !known || c.passedOn || !p.passOn(e, c, owner) {
		p.answer(e, transportpb.Code_CODE_NOT_OWNER)
	}
}

// afterCatchingUp takes a command whose ring this node has now, or could not get.
func (p *vnodeProxy) afterCatchingUp(e *actor.MessageEnvelope, c *command) {
	if c.epoch > p.node.epoch() {
		p.answer(e, transportpb.Code_CODE_NOT_OWNER)
		return
	}
	p.accept(e, c)
}

// passOn sends a command to the owner, with the address of whoever asked.
func (p *vnodeProxy) passOn(e *actor.MessageEnvelope, c *command, owner *peer) bool {
	w, err := c.toWire(time.Now())
	if err != nil {
		return false
	}
	w.Forwarded, w.Epoch = true, uint64(p.node.epoch())
	return p.node.post(owner, vnodeID(p.service.Name, p.partition), e.Sender, w) == transportpb.Code_CODE_OK
}

const (
	// maxLate bounds the commands that wait for a ring.
	maxLate = 4096
	// latePatience is how long they wait: a watch delivers within milliseconds,
	// and a sender that is refused finds a fallback.
	latePatience = 500 * time.Millisecond
)

// lateCommands wait for the ring that their senders know already.
type lateCommands struct {
	mu      sync.Mutex
	waiting []*lateCommand
}

type lateCommand struct {
	epoch  ring.Epoch
	resume func()
	timer  *time.Timer
}

// wait calls resume once the node has the ring of that epoch, or patience ends;
// or full, at once, if too many wait.
func (l *lateCommands) wait(epoch ring.Epoch, resume, full func()) {
	l.mu.Lock()
	if len(l.waiting) >= maxLate {
		l.mu.Unlock()
		full()
		return
	}
	c := &lateCommand{epoch: epoch, resume: resume}
	c.timer = time.AfterFunc(latePatience, func() { l.run(func(other *lateCommand) bool { return other == c }) })
	l.waiting = append(l.waiting, c)
	l.mu.Unlock()
}

// arrived resumes the commands that waited for a ring up to epoch.
func (l *lateCommands) arrived(epoch ring.Epoch) {
	l.run(func(c *lateCommand) bool { return c.epoch <= epoch })
}

// run resumes the commands that are due, each once.
func (l *lateCommands) run(due func(*lateCommand) bool) {
	var now, later []*lateCommand
	l.mu.Lock()
	for _, c := range l.waiting {
		if due(c) {
			now = append(now, c)
		} else {
			later = append(later, c)
		}
	}
	l.waiting = later
	l.mu.Unlock()
	for _, c := range now {
		c.timer.Stop()
		c.resume()
	}
}
