package history

import (
	"slices"
	"sync"
	"time"
)

// maxReasons bounds the different reasons that a history keeps. A cluster that
// is broken has one for each request; nobody reads the thousandth.
const maxReasons = 1000

// History records operations while they happen. Its methods may be called from
// any goroutine.
type History struct {
	began time.Time

	mu      sync.Mutex
	ops     []Op
	phases  []Phase
	reasons []string
	numbers map[string]uint32 // of reasons
}

// New returns a history that begins now.
func New() *History { return &History{began: time.Now(), numbers: map[string]uint32{}} }

// Now returns the time since the history began, by the monotonic clock.
func (h *History) Now() time.Duration { return time.Since(h.began) }

// Add records an operation that has ended; why is the reason of an outcome that
// is not OK.
func (h *History) Add(op Op, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if why != nil {
		op.why = h.number(why.Error())
	}
	h.ops = append(h.ops, op)
}

// number returns the number of a reason. It holds the lock.
func (h *History) number(reason string) uint32 {
	if n, known := h.numbers[reason]; known {
		return n
	}
	if len(h.reasons) == maxReasons {
		return 0
	}
	h.reasons = append(h.reasons, reason)
	h.numbers[reason] = uint32(len(h.reasons))
	return h.numbers[reason]
}

// Enter begins a phase, and ends the one before. In a planned one nothing may
// fail.
func (h *History) Enter(name string, planned bool) {
	h.Leave()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.phases = append(h.phases, Phase{Name: name, Planned: planned, Begin: h.Now(), End: forever})
}

// Leave ends the phase.
func (h *History) Leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.phases); n > 0 && h.phases[n-1].End == forever {
		h.phases[n-1].End = h.Now()
	}
}

// Record returns all that was recorded so far. See [NewRecord] for the error.
func (h *History) Record() (*Record, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, err := NewRecord(slices.Clone(h.ops), slices.Clone(h.phases)...)
	if err != nil {
		return nil, err
	}
	r.reasons = slices.Clone(h.reasons)
	return r, nil
}
