package handoff

import "time"

const (
	// rateOver is the time over which a rate is measured: long enough to be steady,
	// short enough to show that a transfer stands still.
	rateOver = 5 * time.Second
	// farOff is the longest ETA. Nobody waits for as long; it says that the transfer
	// all but stands still.
	farOff = 365 * 24 * time.Hour
)

// Progress measures a transfer. Time is passed in.
type Progress struct {
	Items, TotalItems int64
	Bytes             int64

	since  time.Time // the span that is measured
	before int64     // bytes at since
	known  bool      // there was a span before, and rate is of that
	rate   float64   // bytes per second
}

// NewProgress begins to measure a transfer of about that many items.
func NewProgress(now time.Time, items int64) Progress {
	return Progress{TotalItems: items, since: now}
}

// Add notes what went over.
func (p *Progress) Add(now time.Time, items, bytes int) {
	if now.Sub(p.since) >= rateOver {
		p.rate, p.known = p.Rate(now), true
		p.since, p.before = now, p.Bytes
	}
	p.Items += int64(items)
	p.Bytes += int64(bytes)
}

// Rate returns the bytes per second over the last five to ten seconds: the span
// that is measured, and the one before while it is short. If nothing has begun
// another span for as long, then nothing has gone over.
func (p *Progress) Rate(now time.Time) float64 {
	span := now.Sub(p.since)
	bytes := float64(p.Bytes - p.before)
	switch {
	case span >= 2*rateOver:
		return 0
	case span < rateOver && p.known:
		span, bytes = span+rateOver, bytes+p.rate*rateOver.Seconds()
	case span <= 0:
		return 0
	}
	return bytes / span.Seconds()
}

// TotalBytes estimates the bytes of all items from those that went over.
func (p *Progress) TotalBytes() int64 {
	if p.Items == 0 {
		return 0
	}
	return int64(float64(p.Bytes) / float64(p.Items) * float64(max(p.Items, p.TotalItems)))
}

// ETA returns how long the rest takes at the present rate, a year at most; 0 if
// that is unknown.
func (p *Progress) ETA(now time.Time) time.Duration {
	rate, left := p.Rate(now), p.TotalBytes()-p.Bytes
	if rate <= 0 || left <= 0 {
		return 0
	}
	return time.Duration(min(float64(left)/rate, farOff.Seconds()) * float64(time.Second))
}
