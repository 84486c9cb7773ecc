package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// maxIdleWorkers is how many goroutines a pool keeps parked. More than the
// cores of a large machine gain nothing; each costs its grown stack.
const maxIdleWorkers = 64

// turnLength is how many messages a vnode handles before it lets other
// goroutines run, so that a busy vnode does not hold a core for a whole
// scheduler slice while others wait.
const turnLength = 128

// pool is a dispatcher that runs mailboxes on reused goroutines. Proto.Actor's
// own starts a goroutine at each wake-up, and 40 % of a request then goes to
// growing its stack. The pool is elastic, not fixed: a handler that blocks
// occupies a worker, and the next mailbox gets a new one.
type pool struct {
	mu     sync.Mutex
	parked []worker // the one that parked last goes first: its stack is in the caches
	closed bool
}

// worker is a goroutine's way to get work. It has room for one function, so that
// nobody waits for a worker that is about to park. Closed, it ends the goroutine.
type worker chan func()

var _ actor.Dispatcher = (*pool)(nil)

func newPool() *pool { return &pool{} }

// Schedule runs fn on a parked worker, or on a new one.
func (p *pool) Schedule(fn func()) {
	if w := p.unpark(); w != nil {
		w <- fn
		return
	}
	go p.run(fn)
}

// unpark returns a worker that waits, or nil.
func (p *pool) unpark() worker {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.parked) - 1
	if last < 0 {
		return nil
	}
	w := p.parked[last]
	p.parked = p.parked[:last]
	return w
}

// park has a worker wait, unless enough do already.
func (p *pool) park(w worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.parked) == maxIdleWorkers {
		return false
	}
	p.parked = append(p.parked, w)
	return true
}

// Throughput tells Proto.Actor's mailboxes their turn; ours use turnLength.
func (p *pool) Throughput() int { return turnLength }

// Close lets parked workers go. What is scheduled later still runs.
func (p *pool) Close() {
	p.mu.Lock()
	parked := p.parked
	p.parked, p.closed = nil, true
	p.mu.Unlock()
	for _, w := range parked {
		close(w)
	}
}

func (p *pool) run(fn func()) {
	w := make(worker, 1)
	for more := true; more; fn, more = <-w {
		fn()
		if !p.park(w) {
			return
		}
	}
}
