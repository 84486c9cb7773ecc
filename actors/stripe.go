package actors

import (
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// stripesEach is how many stripes there are for each processor. They are given to
	// processors in turn, and a pool may forget at any time who had which: with more
	// of them, two processors hardly ever end up with the same.
	stripesEach = 4
	// maxStripes bounds them on a node with very many processors.
	maxStripes = 64
)

// stripe is what a node has for each processor instead of once: coordinators
// that no request uses, ids for requests, and counts. Two processors that write to
// the same memory in turns wait for it longer than most of what a request decides
// takes, so a request writes to what is its processor's own.
type stripe struct {
	index int
	swift atomic.Uint32 // requests that nothing was waited for

	mu      sync.Mutex
	free    []*coordinatorActor // the one that was used last is used first: it is in the caches
	closed  bool
	id, end uint32 // the next request's, and the first that is not this stripe's

	_ [64]byte // keeps neighbours off one cache line
}

// stripes finds the stripe of the processor that asks. It is a hint, no promise: a
// goroutine may move on while it uses one, and two processors may share one.
type stripes struct {
	all  []*stripe
	near sync.Pool // of *stripe; a pool keeps what it has by processor
	next atomic.Uint32
}

func newStripes() *stripes {
	s := &stripes{}
	for i := range min(stripesEach*runtime.GOMAXPROCS(0), maxStripes) {
		s.all = append(s.all, &stripe{index: i})
	}
	s.near.New = func() any { return s.all[int(s.next.Add(1))%len(s.all)] }
	return s
}

// here returns the stripe of this processor.
func (s *stripes) here() *stripe {
	here := s.near.Get().(*stripe)
	s.near.Put(here)
	return here
}

// restAfter is how many requests may run on one processor before others do. More
// of them make the common request faster, and the rare one that waits slower.
const restAfter = 4

// rest lets others run now and then. A client in a loop whose requests wait for
// nothing would keep the processor until it is preempted, in the middle of a vnode's
// turn: then the vnode would stand still until it runs again.
func (s *stripe) rest() {
	if s.swift.Add(1)%restAfter == 0 {
		runtime.Gosched()
	}
}
