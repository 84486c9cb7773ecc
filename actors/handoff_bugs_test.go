package actors_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/handoff"
	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	"github.com/torc-io/torc/ring"
)

// TestCheckersCatchSeededBugs: what is said to find a lost item does find it, and
// finds nothing in the same run without the bug.
func TestCheckersCatchSeededBugs(t *testing.T) {
	bugs := map[string]struct {
		bug func(*world) *taps
		run func(*testing.T, *world) (found string)
		n   int
	}{
		"a transfer that skips an item and lies": {skips, moves, 1},
		"one that skips among three replicas":    {skips, moves, 3},
		"one that drops before the flip":         {dropsEarly, moves, 1},
		"a receiver that answers too early":      {answersEarly, moves, 1},
		"a hint that is never delivered":         {forgetsHints, returns, 3},
	}
	for name, c := range bugs {
		for _, buggy := range []bool{true, false} {
			t.Run(name+map[bool]string{true: "", false: " (without it)"}[buggy], func(t *testing.T) {
				store, wires := &trouble{}, &taps{}
				s := setup{quorum: actors.Quorum{N: c.n}, unrepairs: true, wire: wires.wire, book: store.wrap}
				inWorld(t, s, "abcd", func(w *world) {
					if buggy {
						*wires = *c.bug(w)
					}
					refuseEachSwapOnce(store)
					found := c.run(t, w)
					if buggy != (found != "") {
						t.Errorf("found %q", found)
					}
				})
			})
		}
	}
}

// refuseEachSwapOnce has the first attempt of a node to change the ring fail,
// and every other after it, so that a sender has to go on after it has sealed.
func refuseEachSwapOnce(store *trouble) {
	var mu sync.Mutex
	attempts := map[ring.NodeName]int{}
	store.set(func(of ring.NodeName, do func() error) error {
		mu.Lock()
		attempts[of]++
		n := attempts[of]
		mu.Unlock()
		if of != "e" && n%2 == 1 { // it must be able to start
			return errAsTold
		}
		return do()
	}, nil)
}

// moves writes, has a node come, and judges.
func moves(_ *testing.T, w *world) string {
	l := w.begin(60, 1, actors.Call{}, w.roam)
	elapse(2 * time.Second)
	l.halt()
	elapse(time.Second)
	m := w.start("e", 1)
	known, _ := w.ring().Member(m.Name())
	plan, _ := w.ring().Plan(ring.Join(known))
	for w.node("b").Commit(w.t.Context(), plan) != nil {
		elapse(time.Second)
	}
	elapse(15 * time.Second)
	unequal := ""
	if w.unsettled() == "" {
		unequal = w.unequal()
	}
	l.conclude(actors.Call{})
	for _, f := range l.findings() {
		return f.String()
	}
	return unequal
}

// returns has a primary miss writes, and come back.
func returns(_ *testing.T, w *world) string {
	l := w.begin(60, 1, actors.Call{}, w.roam)
	w.isolate("c")
	elapse(6 * time.Second)
	w.rejoin("c")
	elapse(time.Second)
	l.halt()
	w.settle(time.Minute)
	return w.unequal()
}

// skips leaves out the first item of each ownership transfer, and has the counts
// of both sides show what they would.
func skips(w *world) *taps {
	return &taps{sends: func(s *tapped, f *handoffpb.Frame) ([]*handoffpb.Frame, []*handoffpb.Answer) {
		ownership := s.hello.GetType() == handoffpb.Type_TYPE_OWNERSHIP
		switch {
		case ownership && f.GetChunk().GetSeq() == 1:
			items := itemsOf(w.t, f.GetChunk())
			s.dropped = 1
			return pass(chunkOf(w.t, 1, items[1:]))
		case ownership && f.GetSeal() != nil:
			lie := &handoffpb.Seal{
				Chunks: f.GetSeal().GetChunks(), Items: f.GetSeal().GetItems() - s.dropped, Held: f.GetSeal().GetHeld() - s.dropped,
			}
			return pass(&handoffpb.Frame{Kind: &handoffpb.Frame_Seal{Seal: lie}})
		}
		return pass(f)
	}, hears: func(s *tapped, a *handoffpb.Answer) *handoffpb.Answer {
		if a.GetSealed() != nil && s.hello.GetType() == handoffpb.Type_TYPE_OWNERSHIP {
			a.GetSealed().Items += s.dropped
			a.GetSealed().Held += s.dropped
		}
		return a
	}}
}

// dropsEarly empties the sending vnode when the seal goes out. What is lost by
// that is lost when the ring then does not change, since the connection breaks.
func dropsEarly(w *world) *taps {
	return &taps{sends: func(s *tapped, f *handoffpb.Frame) ([]*handoffpb.Frame, []*handoffpb.Answer) {
		if f.GetSeal() != nil && s.hello.GetType() == handoffpb.Type_TYPE_OWNERSHIP {
			shelf := w.node(ring.NodeName(s.hello.GetFrom())).shelf(ring.Partition(s.hello.GetPartition()))
			if err := shelf.Drop(); err != nil {
				w.t.Error(err)
			}
			s.hangUp()
		}
		return pass(f)
	}}
}

// answersEarly acknowledges everything at once, and what was acknowledged is lost
// with the connection.
func answersEarly(*world) *taps {
	return &taps{sends: func(s *tapped, f *handoffpb.Frame) ([]*handoffpb.Frame, []*handoffpb.Answer) {
		if s.hello.GetType() != handoffpb.Type_TYPE_OWNERSHIP {
			return pass(f)
		}
		answer := &handoffpb.Answer{}
		switch k := f.GetKind().(type) {
		case *handoffpb.Frame_Chunk:
			answer.Kind = &handoffpb.Answer_Ack{Ack: &handoffpb.Ack{Seq: k.Chunk.GetSeq()}}
		case *handoffpb.Frame_Seal:
			answer.Kind = &handoffpb.Answer_Sealed{Sealed: &handoffpb.Sealed{Items: k.Seal.GetItems(), Held: k.Seal.GetHeld()}}
		case *handoffpb.Frame_Flip:
			answer.Kind = &handoffpb.Answer_Flipped{Flipped: &handoffpb.Flipped{Whole: true}}
		default:
			return pass(f)
		}
		return nil, []*handoffpb.Answer{answer}
	}}
}

// forgetsHints acknowledges hints, and delivers none.
func forgetsHints(*world) *taps {
	return &taps{sends: func(s *tapped, f *handoffpb.Frame) ([]*handoffpb.Frame, []*handoffpb.Answer) {
		if s.hello.GetType() != handoffpb.Type_TYPE_HINTED || f.GetHello() != nil {
			return pass(f)
		}
		if f.GetSeal() != nil {
			sealed := &handoffpb.Sealed{Items: f.GetSeal().GetItems(), Held: f.GetSeal().GetHeld()}
			return nil, []*handoffpb.Answer{{Kind: &handoffpb.Answer_Sealed{Sealed: sealed}}}
		}
		return nil, []*handoffpb.Answer{{Kind: &handoffpb.Answer_Ack{Ack: &handoffpb.Ack{Seq: f.GetChunk().GetSeq()}}}}
	}}
}

// TestASkippedItemIsNoticed: the counts of both sides differ, so the transfer
// fails, says so, and leaves everything where it was. Without the bug it goes on.
func TestASkippedItemIsNoticed(t *testing.T) {
	wires := &taps{}
	inWorld(t, setup{quorum: actors.Quorum{N: 1}, wire: wires.wire}, "a", func(w *world) {
		skipping := skips(w)
		wires.sends = func(s *tapped, f *handoffpb.Frame) ([]*handoffpb.Frame, []*handoffpb.Answer) {
			if f.GetSeal() != nil {
				return pass(f)
			}
			return skipping.sends(s, f)
		}
		for _, key := range w.keys(3) {
			w.put("a", key, 1)
		}
		w.join("b")
		var failed actors.TransferStatus
		w.eventually(10*time.Second, func() (said string) {
			var found bool
			failed, found = w.node("a").status(func(s actors.TransferStatus) bool { return strings.Contains(s.Reason, "were merged") })
			if !found {
				return "no transfer says that the counts differ"
			}
			return ""
		})
		if failed.Phase != handoff.Waiting || failed.Since.IsZero() || len(w.logged("transfer failed")) == 0 {
			t.Errorf("%+v, and %q is logged", failed, w.logged(""))
		}
		elapse(time.Minute)
		for _, key := range w.keys(3) {
			w.expect("b", key, 1, actors.Call{})
		}
		for p := range w.node("b").open() {
			if owner := w.ring().Owner(p); owner == "b" && w.node("b").shelf(p).Len() != 3 {
				t.Errorf("b owns partition %d with %d of 3 items", p, w.node("b").shelf(p).Len())
			}
		}
		skipping.sends = nil
		wires.sends = nil
		w.settle(time.Minute)
		if said := w.unequal(); said != "" {
			t.Error(said)
		}
	})
}
