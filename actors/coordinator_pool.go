package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// keepCoordinators is how many coordinators a node keeps for later requests.
// Under a steady load their number varies by far less; after a burst, those that
// stay cost 1.4 MB.
const keepCoordinators = 256

// coordinatorPool has the coordinators that no request uses. The one that was
// used last is used first, for its memory is in the processor's caches.
type coordinatorPool struct {
	node *Node

	mu     sync.Mutex
	free   []*coordinatorActor
	closed bool
}

// take returns a coordinator for one request. The caller, who is the client's
// side of it, has to release it.
func (p *coordinatorPool) take() *coordinatorActor {
	c := p.pop()
	if c == nil {
		c = p.spawn()
	}
	c.holders.Store(1)
	return c
}

func (p *coordinatorPool) pop() *coordinatorActor {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.free) - 1
	if last < 0 {
		return nil
	}
	c := p.free[last]
	p.free[last] = nil
	p.free = p.free[:last]
	return c
}

func (p *coordinatorPool) spawn() *coordinatorActor {
	c := &coordinatorActor{node: p.node, decided: make(chan struct{}, 1)}
	c.mailbox.vacated = c.release
	props := actor.PropsFromProducer(func() actor.Actor { return c },
		actor.WithMailbox(func() actor.Mailbox { return &c.mailbox }))
	c.pid = p.node.system.Root.Spawn(props)
	return c
}

// put keeps a coordinator for later, or ends it.
func (p *coordinatorPool) put(c *coordinatorActor) {
	p.mu.Lock()
	kept := !p.closed && len(p.free) < keepCoordinators
	if kept {
		p.free = append(p.free, c)
	}
	p.mu.Unlock()
	if !kept {
		p.node.system.Root.Stop(c.pid)
	}
}

// close ends the free coordinators. The others end with their requests.
func (p *coordinatorPool) close() {
	p.mu.Lock()
	free := p.free
	p.free, p.closed = nil, true
	p.mu.Unlock()
	for _, c := range free {
		p.node.system.Root.Stop(c.pid)
	}
}

// launch starts the request. By the time it returns, the first sends are out.
func (c *coordinatorActor) launch() {
	c.holders.Add(1) // for the replicas' side, which lets go when it has ended
	c.mailbox.begin(begin{})
}

// release lets go of the request, for one of its sides. After the other one it
// leaves no trace of the request, and the coordinator is free.
func (c *coordinatorActor) release() {
	if c.holders.Add(-1) > 0 {
		return
	}
	select {
	case <-c.decided: // a client that went away has left it
	default:
	}
	c.request = request{}
	clear(c.replies)
	clear(c.waiting)
	clear(c.answers)
	c.replies, c.waiting, c.answers = c.replies[:0], c.waiting[:0], c.answers[:0]
	c.node.coordinators.put(c)
}
