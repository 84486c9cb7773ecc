package actors

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/torc-io/torc/handoff"
)

// pace holds all that a node sends in transfers to one rate.
type pace struct {
	now atomic.Pointer[beat]
}

// beat is a rate that was set.
type beat struct {
	limiter *rate.Limiter // nil: as fast as can be
	changed chan struct{} // closed when there is another one
}

// set bounds what is sent, in bytes per second; 0 is no bound. It is in force at
// once, also for those who wait by the rate before.
func (p *pace) set(bytes int64) {
	next := &beat{changed: make(chan struct{})}
	if bytes > 0 {
		// What may go at once after a pause is a quarter of a second's worth.
		next.limiter = rate.NewLimiter(rate.Limit(bytes), int(max(bytes/4, 1)))
	}
	if before := p.now.Swap(next); before != nil {
		close(before.changed)
	}
}

// throttle returns when the rate allows to send bytes. What writers wait for is
// not held up.
func (p *pace) throttle(ctx context.Context, phase handoff.Phase, bytes int) error {
	for bytes > 0 && phase < handoff.Through {
		b := p.now.Load()
		if b.limiter == nil {
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
