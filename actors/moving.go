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
	held []*actor.MessageEnvelope
	// undecided says that the store has not answered whether the ring was changed.
	// Waiting has no end then, and so commands are refused.
	undecided bool
}

// suspend stops the vnode from executing commands. What is executed at the moment
// ends before anything that is posted later. Resume must follow.
func (p *vnodeProxy) suspend() {
	p.mu.Lock()
	h := p.handle
	p.moving = &moving{}
	p.serving.Store(nil)
	p.mu.Unlock()
	if h != nil {
		h.mailbox.Close(codeMoving)
	}
}

// undecide refuses the commands that wait, and those that come: their
// coordinators go to a fallback.
func (p *vnodeProxy) undecide() {
	p.mu.Lock()
	held := p.moving.held
	p.moving.held, p.moving.undecided = nil, true
	p.mu.Unlock()
	for _, e := range held {
		p.answer(e, transportpb.Code_CODE_UNAVAILABLE)
	}
}

// resume lets commands through again: to the vnode, if this node still owns the
// partition, and on to the new owner if not.
func (p *vnodeProxy) resume() {
	p.mu.Lock()
	held := p.moving.held
	p.moving = nil
	if h := p.handle; h != nil && !p.node.stopping.Load() {
		h.mailbox.Reopen()
		if p.owned() {
			p.serving.Store(h)
		}
	}
	p.mu.Unlock()
	for _, e := range held {
		p.accept(e, e.Message.(*command))
	}
}

// hold keeps a command while the partition is moving, and answers those that there
// is no room for. If the move is over by now, it returns false, and the command
// goes its way like any other.
func (p *vnodeProxy) hold(e *actor.MessageEnvelope) bool {
	p.mu.Lock()
	m := p.moving
	code := transportpb.Code_CODE_OK
	switch {
	case m == nil:
		p.mu.Unlock()
		return false
	case m.undecided:
		code = transportpb.Code_CODE_UNAVAILABLE
	case len(m.held) >= p.node.config.MailboxCommands:
		code = transportpb.Code_CODE_OVERLOADED
	default:
		m.held = append(m.held, e)
	}
	p.mu.Unlock()
	if code != transportpb.Code_CODE_OK {
		p.answer(e, code)
	}
	return true
}

// catchUp has a command wait for the ring that its coordinator knows already.
func (p *vnodeProxy) catchUp(e *actor.MessageEnvelope, c *command) {
	refuse := func() { p.answer(e, transportpb.Code_CODE_NOT_OWNER) }
	p.node.late.wait(c.epoch, func() {
		if c.epoch > p.node.epoch() {
			refuse() // it did not come in time
			return
		}
		p.accept(e, c)
	}, refuse)
}

// passOn sends a command to the owner, with the address of whoever asked.
func (p *vnodeProxy) passOn(e *actor.MessageEnvelope, c *command) {
	v := p.node.view.Load()
	w, err := c.toWire(time.Now())
	if err == nil {
		w.Forwarded, w.Epoch = true, uint64(v.ring.Epoch())
		owner := v.peers[v.ring.Owner(p.partition)]
		if p.node.post(owner, p.id, e.Sender, w) == transportpb.Code_CODE_OK {
			return
		}
	}
	p.answer(e, transportpb.Code_CODE_NOT_OWNER)
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
