package actors

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/torc-io/torc/handoff"
)

// busyRate is what a node sends, in bytes per second, while it has commands to
// execute, if nobody has said how much it may. It is some ten percent of what two
// processors could do, and a commonplace gigabyte moves in less than two minutes.
const busyRate = 10 << 20

// pace holds all that a node sends in transfers to one rate. Without one it is as
// fast as can be on a node that has nothing else to do, and gives way to commands:
// each chunk before which one was executed counts against [busyRate], so that it is
// the less in the way the more there is to do.
type pace struct {
	executed func() uint64 // how many commands the node has executed
	seen     atomic.Uint64 // of these, before the last chunk

	now atomic.Pointer[beat]
}

// beat is a rate that was set, or busyRate.
type beat struct {
	limiter *rate.Limiter
	always  bool          // also on a node that has nothing else to do
	changed chan struct{} // closed when there is another one
}

// set bounds what is sent, in bytes per second; 0 has transfers give way to commands.
// It is in force at once, also for those who wait by the rate before.
func (p *pace) set(bytes int64) {
	next := &beat{always: bytes > 0, changed: make(chan struct{})}
	if bytes > 0 {
		// What may go at once after a pause is a quarter of a second's worth.
		next.limiter = rate.NewLimiter(rate.Limit(bytes), int(max(bytes/4, 1)))
	} else {
		next.limiter = rate.NewLimiter(busyRate, handoff.ChunkBytes)
	}
	if before := p.now.Swap(next); before != nil {
		close(before.changed)
	}
}

// holds says whether the rate is in force for the next chunk.
func (p *pace) holds(b *beat) bool {
	executed := p.executed()
	return p.seen.Swap(executed) != executed || b.always
}

// throttle returns when the rate allows to send bytes. What writers wait for is
// not held up.
func (p *pace) throttle(ctx context.Context, phase handoff.Phase, bytes int) error {
	for bytes > 0 && phase < handoff.Through {
		b := p.now.Load()
		if !p.holds(b) {
			return nil
		}
		n := min(bytes, b.limiter.Burst())
		delay := b.limiter.ReserveN(time.Now(), n).Delay()
		if delay == 0 {
			bytes -= n
			continue
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
			bytes -= n
		case <-b.changed:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// executed returns how many commands the vnodes that serve on this node have
// executed. A vnode that ends takes its part with it.
func (n *Node) executed() (count uint64) {
	for _, proxies := range n.proxies {
		for _, p := range proxies {
			if h := p.serving.Load(); h != nil {
				count += h.vnode.executed.Load()
			}
		}
	}
	return count
}
