package handoff_test

import (
	"testing"
	"time"

	"github.com/torc-io/torc/handoff"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// near says whether a rate is within a fifth of what it should be.
func near(got, want float64) bool { return got >= want*0.8 && got <= want*1.2 }

// A transfer that runs at 1 MB/s is seen to, from its first second; and 10 s after
// it has come to a halt it is seen to stand still.
func TestRate(t *testing.T) {
	p := handoff.NewProgress(epoch, 600)
	if rate := p.Rate(epoch); rate != 0 {
		t.Errorf("the rate of nothing is %v", rate)
	}
	now := epoch
	for range 300 {
		now = now.Add(100 * time.Millisecond)
		p.Add(now, 1, 100_000)
		if rate := p.Rate(now); !near(rate, 1e6) {
			t.Errorf("after %v the rate is %v", now.Sub(epoch), rate)
		}
	}
	if eta := p.ETA(now); !near(eta.Seconds(), 30) {
		t.Errorf("half is done after 30 s, and the rest takes %v", eta)
	}
	last := p.Rate(now)
	for range 10 {
		now = now.Add(time.Second)
		rate := p.Rate(now)
		if rate > last*1.1 {
			t.Errorf("nothing goes over, and the rate grows from %v to %v", last, rate)
		}
		last = rate
	}
	if last != 0 || p.ETA(now) != 0 {
		t.Errorf("10 s after the last item the rate is %v, the ETA %v", last, p.ETA(now))
	}
	p.Add(now, 1, 100_000)
	if rate := p.Rate(now.Add(time.Second)); rate <= 0 || rate > 1e5 {
		t.Errorf("as it goes on the rate is %v", rate)
	}
}

// A slow transfer has an ETA that a person can read, whatever the sender said.
func TestETAIsBounded(t *testing.T) {
	for _, total := range []int64{1 << 40, 1<<63 - 1, -1} {
		p := handoff.NewProgress(epoch, total)
		p.Add(epoch.Add(time.Second), 1, 1)
		if eta := p.ETA(epoch.Add(4 * time.Second)); eta < 0 || eta > 365*24*time.Hour {
			t.Errorf("%d items: the ETA is %v", total, eta)
		}
	}
}

// What is sent beyond the items that there were at first was written meanwhile.
func TestTotalBytes(t *testing.T) {
	p := handoff.NewProgress(epoch, 10)
	if got := p.TotalBytes(); got != 0 {
		t.Errorf("nothing went over, and all is %d bytes", got)
	}
	p.Add(epoch, 5, 500)
	if got := p.TotalBytes(); got != 1000 {
		t.Errorf("half of it is 500 bytes, and all %d", got)
	}
	p.Add(epoch, 10, 1000)
	if got := p.TotalBytes(); got != 1500 || p.ETA(epoch.Add(time.Second)) != 0 {
		t.Errorf("1500 bytes went over, and all is %d", got)
	}
}
