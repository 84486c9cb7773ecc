package actors

import (
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// defaultMaxRequests bounds the requests in flight on a node. Each holds
	// about 2 KB: what 10,000 of them wait for will not get better by more.
	defaultMaxRequests = 10_000
	// keepCoordinators is how many coordinators a stripe keeps for later requests.
	// Under a steady load their number varies by far less; after a burst, those that
	// stay cost 1.4 MB.
	keepCoordinators = 256
)

// coordinatorPool has the coordinators, and with them the bound on the requests in
// flight: each has one to itself until both of its sides have ended.
type coordinatorPool struct {
	node    *Node
	stripes *stripes
	max     int64
	live    atomic.Int64 // how many there are, free or not
}

func newCoordinatorPool(n *Node, limit int) *coordinatorPool {
	return &coordinatorPool{node: n, stripes: newStripes(), max: int64(limit)}
}

// take returns a coordinator for one request, or nil if there are as many requests
// as there may be. The caller, who is the client's side of it, has to release it.
func (p *coordinatorPool) take(here *stripe) *coordinatorActor {
	c, id := here.take(p.node.table)
	if c == nil {
		c = p.another()
	}
	if c == nil {
		return nil
	}
	c.stripe, c.id = here, id
	c.holders.Store(1)
	c.progress.Store(asked)
	return c
}

// take removes a free coordinator, or returns nil, and an id for the request.
func (s *stripe) take(table *replyTable) (c *coordinatorActor, id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.free) - 1; last >= 0 {
		c = s.free[last]
		s.free[last] = nil
		s.free = s.free[:last]
	}
	return c, s.nextID(table)
}

// nextID returns an id. The caller holds mu.
func (s *stripe) nextID(table *replyTable) uint32 {
	if s.id == s.end {
		s.id = table.block()
		s.end = s.id + replyBlock
	}
	s.id++
	return s.id - 1
}

// anotherID returns an id in place of one that is taken.
func (s *stripe) anotherID(table *replyTable) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nextID(table)
}

// another returns a coordinator when this processor has none: a new one, or one of
// another processor's if there may be no more.
func (p *coordinatorPool) another() *coordinatorActor {
	if p.live.Add(1) <= p.max {
		return p.spawn()
	}
	p.live.Add(-1)
	for _, s := range p.stripes.all {
		if c, _ := s.take(p.node.table); c != nil {
			return c
		}
	}
	return nil
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
	if !c.stripe.put(c) {
		p.end(c)
	}
}

// put keeps a coordinator for the next request, unless there are enough.
func (s *stripe) put(c *coordinatorActor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.free) == keepCoordinators {
		return false
	}
	s.free = append(s.free, c)
	return true
}

func (p *coordinatorPool) end(c *coordinatorActor) {
	p.live.Add(-1)
	p.node.system.Root.Stop(c.pid)
}

// close ends the free coordinators. The others end with their requests.
func (p *coordinatorPool) close() {
	for _, s := range p.stripes.all {
		for _, c := range s.close() {
			p.end(c)
		}
	}
}

// close keeps no more coordinators, and returns those that there are.
func (s *stripe) close() []*coordinatorActor {
	s.mu.Lock()
	defer s.mu.Unlock()
	free := s.free
	s.free, s.closed = nil, true
	return free
}

// launch starts the request. By the time it returns, the first sends are out.
func (c *coordinatorActor) launch() {
	c.holders.Add(1) // for the replicas' side, which lets go when it has ended
	c.mailbox.begin(begin{})
}

// leave lets go of the request, for the client.
func (c *coordinatorActor) leave() {
	here, waited := c.stripe, c.waited
	c.release()
	if !waited {
		here.rest()
	}
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
