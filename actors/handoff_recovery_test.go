package actors_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/handoff"
	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
	"github.com/torc-io/torc/ring"
)

// at is a call to one vnode alone.
func at(p ring.Partition) actors.Call {
	one := 1
	return actors.Call{Partition: &p, N: &one, R: &one, W: &one}
}

// first is satisfied by one answer of three.
func first() actors.Call {
	one := 1
	return actors.Call{R: &one}
}

// limit sets how many transfers a node sends.
func (w *world) limit(on ring.NodeName, out int) {
	if err := w.node(on).SetTransferLimits(actors.TransferLimits{Out: out, In: 4}); err != nil {
		w.t.Error(err)
	}
}

// recovering says which vnodes of a node still lack items.
func (m *member) recovering() string {
	for _, s := range m.Transfers() {
		if s.Type == handoff.Repair && s.To == m.Name() {
			return fmt.Sprintf("%s: %v, %q", s.Transfer, s.Phase, s.Reason)
		}
	}
	return ""
}

// TestEmptyNodeAnswersNoReadsUntilItIsWhole: it takes writes meanwhile, and a
// read of two never hears of it that a key is not there.
func TestEmptyNodeAnswersNoReadsUntilItIsWhole(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 3}, unrepairs: true}, "abc", func(w *world) {
		keys := w.keys(3)
		for _, key := range keys {
			w.put("a", key, 1)
		}
		w.stop("c")
		for _, on := range []ring.NodeName{"a", "b"} {
			w.limit(on, 0) // nothing is repaired for now
		}
		w.start("c", 1)
		elapse(2 * time.Second)
		r := w.ring()
		for p := range r.Owned("c") {
			key := w.keyOf(p, 0)
			if got, err := w.get("a", key, at(p)); err == nil || !strings.Contains(err.Error(), "recovering") {
				t.Errorf("c reads version %d of %s of partition %d: %v", got, key, p, err)
			}
			if err := w.act("a", put(key, 2), at(p)); err != nil {
				t.Errorf("c does not take a write: %v", err)
			}
			w.put("b", key, 2)
		}
		for _, key := range keys {
			want := 1
			if r.Owner(r.Partition([]byte(key))) == "c" && key == w.keyOf(r.Partition([]byte(key)), 0) {
				want = 2
			}
			w.expect("c", key, want, actors.Call{})
		}
		for _, on := range []ring.NodeName{"a", "b"} {
			w.limit(on, 4)
		}
		w.settle(10 * time.Second)
		if said := w.unequal(); said != "" {
			t.Error(said)
		}
	})
}

// TestRecoveryHearsFromAllHolders: a key may be on p and on p+2 alone.
func TestRecoveryHearsFromAllHolders(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 3}, unrepairs: true, size: 15}, "abcde", func(w *world) {
		r := w.ring()
		const p = 4
		before, after := w.keyOf(p-2, 0), w.keyOf(p, 0) // held by p-2…p and p…p+2
		lost := r.Owner(p)
		for _, c := range []struct {
			key string
			at  ring.Partition
		}{{before, p - 2}, {before, p}, {after, p}, {after, p + 2}} {
			if err := w.act("a", put(c.key, 1), at(c.at)); err != nil {
				w.t.Fatal(err)
			}
		}
		w.stop(lost)
		w.start(lost, 1)
		w.settle(10 * time.Second)
		held := w.node(lost).shelf(p).contents()
		if held[before].version != 1 || held[after].version != 1 || len(held) != 2 {
			t.Errorf("partition %d came back with %v, want %s and %s", p, held, before, after)
		}
	})
}

// TestRecoveryWaitsForItsSources: it says for whom, and goes on when that one is
// back, or is given up.
func TestRecoveryWaitsForItsSources(t *testing.T) {
	for _, back := range []bool{true, false} {
		t.Run(map[bool]string{true: "it is back", false: "it is marked down"}[back], func(t *testing.T) {
			inWorld(t, setup{quorum: actors.Quorum{N: 3}, size: 15}, "abcde", func(w *world) {
				keys := w.keys(3)
				for _, key := range keys {
					w.put("a", key, 1)
				}
				w.isolate("d")
				w.stop("c")
				elapse(3 * time.Second)
				w.start("c", 1)
				w.waits("c", func(s actors.TransferStatus) bool { return s.Type == handoff.Repair && s.From == "d" }, "d cannot be reached")
				for _, key := range keys { // too few may be left to answer, but none lies
					if got, err := w.get("a", key, actors.Call{}); err == nil && got != 1 {
						t.Errorf("version %d of %s is read", got, key)
					}
				}
				if back {
					w.rejoin("d")
				} else {
					w.commit(ring.MarkDown("d"))
				}
				w.eventually(20*time.Second, w.node("c").recovering)
				if !back {
					w.rejoin("d")
				}
				w.settle(time.Minute)
				for _, key := range keys {
					w.expect("c", key, 1, actors.Call{})
				}
				if said := w.unequal(); said != "" {
					t.Error(said)
				}
			})
		})
	}
}

// TestAGoneMembersPartitionsAreRebuilt: on their new owners, out of the replicas.
func TestAGoneMembersPartitionsAreRebuilt(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 3}, size: 15, unrepairs: true}, "abcde", func(w *world) {
		for _, key := range w.keys(4) {
			w.put("a", key, 1)
		}
		w.isolate("e")
		w.stop("e")
		w.commit(ring.MarkDown("e"))
		w.settle(20 * time.Second)
		if said := w.unequal(); said != "" {
			t.Error(said)
		}
	})
}

// TestAllRestartedAtOnceBecomeWhole: what they had is lost, and that is no reason
// to wait for it for ever.
func TestAllRestartedAtOnceBecomeWhole(t *testing.T) {
	for _, names := range []string{"a", "ab", "abcde"} { // one, and two that are their own neighbours
		t.Run(names, func(t *testing.T) {
			inWorld(t, setup{quorum: actors.Quorum{N: 3}, size: 15}, names, func(w *world) {
				all := w.names()
				w.put("a", "key", 1)
				for _, name := range all {
					w.stop(name)
				}
				for _, name := range all {
					w.start(name, 1)
				}
				w.settle(20 * time.Second)
				w.expect("a", "key", 0, actors.Call{})
				w.put("a", "key", 2)
				w.expect(all[len(all)-1], "key", 2, actors.Call{})
			})
		})
	}
}

// TestCatchingUpIsNoAnswer: a primary that was away does not count for a read
// until the hints are home, even where they take their time; and then it does.
func TestCatchingUpIsNoAnswer(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 3}, size: 15, unrepairs: true}, "abcde", func(w *world) {
		const p = 3
		key := w.keyOf(p, 0)
		away := w.ring().Owner(p)
		on := w.ring().Owner(p + 1)
		w.put(on, key, 1)
		elapse(time.Second)
		w.isolate(away)
		elapse(2 * time.Second)
		w.put(on, key, 2)
		elapse(100 * time.Millisecond) // the third may come last
		for _, name := range w.names() {
			w.limit(name, 0) // the hints stay where they are
		}
		w.rejoin(away)
		elapse(time.Second)
		for range 40 { // status was asked for often
			w.expect(on, key, 2, first()) // though the one that is behind answers first
			w.expect(on, key, 2, actors.Call{})
			w.expect(on, key, 1, at(p)) // better than nothing, where there is nothing else
			for _, name := range w.names() {
				_ = w.node(name).Transfers()
			}
			elapse(50 * time.Millisecond)
		}
		for _, name := range w.names() {
			w.limit(name, 4)
		}
		w.eventually(3*time.Second, w.unsettled)
		elapse(time.Second)
		w.expect(on, key, 2, at(p))
	})
}

// TestHintsDrainFromABusyFallback: it need not be idle, as in riak_core.
func TestHintsDrainFromABusyFallback(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 3}, size: 15, unrepairs: true}, "abcde", func(w *world) {
		w.SetDelay(time.Millisecond)
		l := w.begin(40, 1, actors.Call{}, w.roam)
		w.isolate("c")
		elapse(8 * time.Second)
		w.rejoin("c")
		elapse(500 * time.Millisecond)
		w.eventually(5*time.Second, w.unsettled)
		l.halt()
		elapse(6 * time.Second)
		if said := w.unequal() + w.unsettled(); said != "" {
			t.Error(said)
		}
	})
}

// TestHintsOfAGoneFallback: a primary that is behind by the word of a fallback
// counts again when that one is given up.
func TestHintsOfAGoneFallback(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 3}, size: 15, unrepairs: true}, "abcde", func(w *world) {
		const p = 3
		r, key := w.ring(), w.keyOf(p, 0)
		away, on := r.Owner(p), r.Owner(p+1)
		w.isolate(away)
		elapse(2 * time.Second)
		w.put(on, key, 1)
		elapse(100 * time.Millisecond) // the third may come last
		var fallback ring.NodeName
		for _, name := range w.names() {
			w.limit(name, 0)
			if w.node(name).shelf(p) != nil && name != away {
				fallback = name
			}
		}
		w.rejoin(away)
		elapse(time.Second)
		w.stop(fallback)
		w.expect(on, key, 1, first())
		for _, name := range w.names() {
			w.limit(name, 4)
		}
		w.commit(ring.MarkDown(fallback))
		w.settle(20 * time.Second)
		if w.ring().Owner(p) == away {
			if _, err := w.get(on, key, at(p)); err != nil {
				t.Errorf("after %s was given up: %v", fallback, err)
			}
		}
	})
}

// TestRepairedItemsAreFiltered: a vnode that recovers gets the keys whose
// preference list it is in, and no others.
func TestRepairedItemsAreFiltered(t *testing.T) {
	stray := 0
	var w *world
	wires := &taps{sends: func(s *tapped, f *handoffpb.Frame) ([]*handoffpb.Frame, []*handoffpb.Answer) {
		if f.GetChunk() != nil && s.hello.GetType() == handoffpb.Type_TYPE_REPAIR {
			for _, item := range itemsOf(t, f.GetChunk()) {
				home := w.ring().Partition(item.Key)
				if !handoff.Holds(ring.Partition(s.hello.GetPartition()), home, 3, w.size) {
					stray++
				}
			}
		}
		return pass(f)
	}}
	inWorld(t, setup{quorum: actors.Quorum{N: 3}, wire: wires.wire}, "abc", func(here *world) {
		w = here
		for _, key := range w.keys(3) {
			w.put("a", key, 1)
		}
		if err := w.act("a", &testingpb.Act{Key: []byte(w.keyOf(0, 0)), Verb: "del", Value: []byte("2")}, actors.Call{}); err != nil {
			t.Error(err)
		}
		w.stop("b")
		w.start("b", 1)
		w.settle(10 * time.Second)
		w.expect("b", w.keyOf(0, 0), 0, actors.Call{})
		if said := w.unequal(); said != "" || stray > 0 {
			t.Errorf("%d items went where they do not belong; %s", stray, said)
		}
	})
}
