package actors

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/torc-io/torc/handoff"
)

// TestTransfersGiveWayToCommands: what is sent between two commands is free, and a
// chunk before which there was one counts against the rate.
func TestTransfersGiveWayToCommands(t *testing.T) {
	const chunks = 1000
	for name, c := range map[string]struct {
		each int // chunks between two commands; 0 is no command at all
		rate int64
		want time.Duration
	}{
		"nothing else to do":            {each: 0, want: 0},
		"a command before every chunk":  {each: 1, want: chunks * handoff.ChunkBytes * time.Second / busyRate},
		"one before every tenth":        {each: 10, want: chunks / 10 * handoff.ChunkBytes * time.Second / busyRate},
		"a rate that was set":           {each: 0, rate: 1 << 20, want: (chunks*handoff.ChunkBytes - 1<<18) * time.Second / (1 << 20)},
		"a rate, and commands":          {each: 1, rate: 1 << 20, want: (chunks*handoff.ChunkBytes - 1<<18) * time.Second / (1 << 20)},
		"more than commands would have": {each: 1, rate: 1 << 40, want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				executed := uint64(0)
				p := pace{executed: func() uint64 { return executed }}
				p.set(c.rate)
				began := time.Now()
				for i := range chunks {
					if c.each > 0 && i%c.each == 0 {
						executed++
					}
					if err := p.throttle(t.Context(), handoff.Copying, handoff.ChunkBytes); err != nil {
						t.Fatal(err)
					}
				}
				slack := 2 * handoff.ChunkBytes * time.Second / busyRate
				if took := time.Since(began); took > c.want+slack || took < c.want-slack {
					t.Errorf("%d chunks took %v, want %v", chunks, took, c.want)
				}
			})
		})
	}
}

// TestWritersDoNotWaitForTheRate: what a write passes on goes at once.
func TestWritersDoNotWaitForTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace{executed: func() uint64 { return 0 }}
		p.set(1)
		began := time.Now()
		for range 100 {
			if err := p.throttle(t.Context(), handoff.Through, handoff.ChunkBytes); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("writers waited for %v", took)
		}
	})
}
