package actors_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/torc-io/torc/actors"
	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
)

// slowJoin has a hold about 2 MiB, of which half is to go to b at some rate.
func slowJoin(t *testing.T, rate int64, run func(w *world, sent *atomic.Int64)) {
	var sent atomic.Int64
	wires := &taps{sends: func(_ *tapped, f *handoffpb.Frame) ([]*handoffpb.Frame, []*handoffpb.Answer) {
		sent.Add(int64(len(f.GetChunk().GetItems())))
		return pass(f)
	}}
	s := setup{quorum: actors.Quorum{N: 1}, wire: wires.wire, limits: actors.TransferLimits{Out: 4, In: 4, Rate: rate}}
	inWorld(t, s, "a", func(w *world) {
		for _, key := range w.keys(4) {
			cmd := &testingpb.Act{Key: []byte(key), Verb: "put", Value: []byte("1 " + strings.Repeat("x", 44<<10))}
			if err := w.act("a", cmd, actors.Call{}); err != nil {
				w.t.Fatal(err)
			}
		}
		elapse(time.Minute) // that nothing went for long does not make up for it
		w.join("b")
		run(w, &sent)
		if said := w.unequal(); said != "" {
			t.Error(said)
		}
	})
}

// TestRateIsKept: 1 MiB at 100 kB/s takes as long as that takes.
func TestRateIsKept(t *testing.T) {
	slowJoin(t, 100_000, func(w *world, sent *atomic.Int64) {
		began := time.Now()
		w.settle(time.Minute)
		took, want := time.Since(began), time.Duration(sent.Load())*time.Second/100_000
		if took < want-time.Second || took > want+time.Second || sent.Load() < 1<<20 {
			t.Errorf("%d bytes at 100 kB/s took %v, want %v", sent.Load(), took, want)
		}
	})
}

// TestRateChangesWhileItRuns: down, as soon as what is on its way has gone, and up
// at once, even from so little that one chunk would take hours.
func TestRateChangesWhileItRuns(t *testing.T) {
	slowJoin(t, 100_000, func(w *world, sent *atomic.Int64) {
		limit := func(rate int64) {
			if err := w.node("a").SetTransferLimits(actors.TransferLimits{Out: 4, In: 4, Rate: rate}); err != nil {
				t.Error(err)
			}
		}
		elapse(3 * time.Second)
		limit(1)
		elapse(time.Second)
		before := sent.Load()
		elapse(time.Minute)
		if more := sent.Load() - before; more > 256<<10 {
			t.Errorf("in a minute at 1 B/s %d bytes were sent", more)
		}
		running := 0
		for _, s := range w.node("a").Transfers() {
			if s.TotalItems > 0 && s.TotalBytes >= s.Bytes {
				running++
			}
		}
		if running != 4 {
			t.Errorf("%d transfers run, want 4: %v", running, w.node("a").Transfers())
		}
		limit(0)
		w.settle(2 * time.Second)
	})
}
