package consul

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is the pause before the next try of what failed: it doubles from first
// to most, and half of it is left to chance, so that the nodes of a cluster do
// not all come back at once.
type backoff struct{ first, most, last time.Duration }

func (b *backoff) next() time.Duration {
	b.last = min(max(b.first, 2*b.last), b.most)
	return b.last/2 + rand.N(b.last/2+1)
}

func (b *backoff) reset() { b.last = 0 }

const (
	// bucketSize is how many queries a watch may make one after the other: a
	// cluster that forms changes a few times at once, and should be quick.
	bucketSize = 8
	// bucketEvery is the pause that each costs in the long run. A service that
	// changes all the time, or an agent that does not block, costs two queries a
	// second, and a watch is half a second late at most.
	bucketEvery = 500 * time.Millisecond
)

// bucket holds the tokens that queries cost. The zero value is full.
type bucket struct {
	// due is when the next query would be, were there no burst: bucketEvery after
	// the one before. It lags behind the clock by the tokens that are left.
	due time.Time
}

// take takes a token at the time now, and returns how long to wait for it.
func (b *bucket) take(now time.Time) time.Duration {
	if full := now.Add(-bucketSize * bucketEvery); b.due.Before(full) {
		b.due = full
	}
	b.due = b.due.Add(bucketEvery)
	return max(0, b.due.Sub(now))
}

// pause waits, and returns false if ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
