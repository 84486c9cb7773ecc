package actors

import "github.com/asynkron/protoactor-go/actor"

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
	work chan func()
	idle chan struct{} // one token for each parked worker
	quit chan struct{}
}

var _ actor.Dispatcher = (*pool)(nil)

func newPool() *pool {
	return &pool{
		work: make(chan func()),
		idle: make(chan struct{}, maxIdleWorkers),
		quit: make(chan struct{}),
	}
}

// Schedule runs fn on a parked worker, or on a new one.
func (p *pool) Schedule(fn func()) {
	select {
	case p.work <- fn:
	default:
		go p.run(fn)
	}
}

// Throughput tells Proto.Actor's mailboxes their turn; ours use turnLength.
func (p *pool) Throughput() int { return turnLength }

// Close lets parked workers go. What is scheduled later still runs.
func (p *pool) Close() { close(p.quit) }

func (p *pool) run(fn func()) {
	for {
		fn()
		select {
		case p.idle <- struct{}{}:
		default:
			return
		}
		select {
		case fn = <-p.work:
			<-p.idle
		case <-p.quit:
			return
		}
	}
}
