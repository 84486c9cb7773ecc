package actors_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/actors"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// TestStoreTroubleInSwitchOver: the compare-and-set that gives a partition away
// fails, or does its work and its answer is lost, or it does so only when the sender
// has read that nothing has changed (seed 2616 of the simulation at first), or nobody
// can learn which of these. Nothing acknowledged is lost, and no command is executed
// twice, or by two owners.
func TestStoreTroubleInSwitchOver(t *testing.T) {
	for name, c := range map[string]struct {
		effect, blind bool
		late          time.Duration
	}{
		"without effect":                {},
		"the answer is lost":            {effect: true},
		"it comes late":                 {late: 1300 * time.Millisecond},
		"it comes much later":           {late: 4 * time.Second},
		"unknown, and it had no effect": {blind: true},
		"unknown, and it had":           {effect: true, blind: true},
	} {
		t.Run(name, func(t *testing.T) {
			store := &trouble{}
			inWorld(t, setup{quorum: actors.Quorum{N: 3}, book: store.wrap}, "abc", func(w *world) {
				w.SetDelay(time.Millisecond)
				l := w.begin(40, 7, actors.Call{}, w.roam)
				w.join("d")
				var troubled atomic.Int64
				store.set(func(_ ring.NodeName, do func() error) error {
					troubled.Add(1)
					if c.late > 0 {
						time.AfterFunc(c.late, func() { _ = do() })
					}
					if c.effect {
						if err := do(); err != nil {
							return err
						}
					}
					return errAsTold
				}, func(ring.NodeName) error {
					if c.blind && troubled.Load() > 0 {
						return errAsTold
					}
					return nil
				})
				elapse(10 * time.Second)
				store.set(nil, nil)
				w.settle(30 * time.Second)
				l.halt()
				elapse(time.Second)
				for _, f := range l.failures() {
					t.Error(f)
				}
				if said := w.unequal(); said != "" || troubled.Load() == 0 {
					t.Errorf("%d swaps failed, %s", troubled.Load(), said)
				}
				l.conclude(actors.Call{})
				l.check(t)
			})
		})
	}
}

// TestCommandsAreRefusedWhileTheOwnerIsUnknown: as soon as nobody knows whether
// the partition has another owner, the present one executes nothing, and fallbacks
// take the writes. That the store still has the old ring proves nothing, for the new
// one may be on its way (seed 2616 of the simulation at first).
func TestCommandsAreRefusedWhileTheOwnerIsUnknown(t *testing.T) {
	for name, reads := range map[string]error{"the store cannot be read": errAsTold, "the store has the old ring": nil} {
		t.Run(name, func(t *testing.T) {
			store := &trouble{}
			inWorld(t, setup{quorum: actors.Quorum{N: 3}, book: store.wrap, unrepairs: true}, "abc", func(w *world) {
				refusesWhileUnknown(w, store, reads)
			})
		})
	}
}

func refusesWhileUnknown(w *world, store *trouble, reads error) {
	for _, key := range w.keys(2) {
		w.put("a", key, 1)
	}
	elapse(time.Second)
	w.start("d", 1)
	known, _ := w.ring().Member("d")
	w.commit(ring.Join(known))
	pending := w.ring().Transfers()
	tried := atomic.Bool{}
	store.set(func(ring.NodeName, func() error) error { tried.Store(true); return errAsTold },
		func(ring.NodeName) error {
			if tried.Load() {
				return reads
			}
			return nil
		})
	w.eventually(20*time.Second, func() string {
		if tried.Load() {
			return ""
		}
		return "nobody has tried to change the ring"
	})
	refused := map[ring.Partition]bool{}
	for range 40 {
		elapse(100 * time.Millisecond)
		for _, move := range pending {
			_, err := w.get("b", w.keyOf(move.Partition, 0), at(move.Partition))
			if err == nil && refused[move.Partition] {
				w.t.Fatalf("the owner of partition %d answers again, and nobody knows whether it is", move.Partition)
			}
			refused[move.Partition] = err != nil
		}
	}
	if !slices.Contains(slices.Collect(maps.Values(refused)), true) {
		w.t.Errorf("the owners of the partitions of %v answer all the time", pending)
	}
	for _, move := range pending {
		key := w.keyOf(move.Partition, 0)
		w.put("b", key, 2) // fallbacks help
		w.expect("c", key, 2, actors.Call{})
	}
	store.set(nil, nil)
	w.settle(30 * time.Second)
	if said := w.unequal(); said != "" {
		w.t.Error(said)
	}
}

// TestASenderThatNeverLearnsForgetsIt: it sees by a watch that it has given a
// partition away, never hears from the store that it has, and the new owner is
// replaced. It does not wait for that one's word, and keeps nothing (seed 1937 of the
// simulation at first).
func TestASenderThatNeverLearnsForgetsIt(t *testing.T) {
	store := &trouble{}
	inWorld(t, setup{quorum: actors.Quorum{N: 3}, book: store.wrap}, "abcd", func(w *world) {
		w.SetDelay(time.Millisecond)
		w.fill(2)
		given := atomic.Int64{}
		store.set(func(of ring.NodeName, do func() error) error {
			if of != "d" {
				return do()
			}
			_ = do()
			given.Add(1)
			return errAsTold
		}, nil)
		w.join("e")
		w.eventually(20*time.Second, func() string {
			if given.Load() == 0 || w.node("d").Ring().Epoch() < w.ring().Epoch() {
				return "d has given nothing away"
			}
			return ""
		})
		w.start("f", 1)
		heir, _ := w.ring().Member("f")
		w.commit(ring.Replace("e", heir))
		elapse(5 * time.Second)
		store.set(nil, nil)
		w.settle(time.Minute)
		if said := w.unequal() + w.unsettled(); said != "" {
			t.Error(said)
		}
	})
}

// TestStoreThatHangs: commands do not wait for a store that does not answer at all.
func TestStoreThatHangs(t *testing.T) {
	store := &trouble{}
	inWorld(t, setup{quorum: actors.Quorum{N: 1}, book: store.wrap, replaces: true}, "ab", func(w *world) {
		w.SetDelay(time.Millisecond)
		c := w.count(8, w.keys(1), 5*time.Millisecond)
		w.start("c", 1)
		known, _ := w.ring().Member("c")
		w.limit("a", 0)
		w.limit("b", 0)
		w.commit(ring.Join(known))
		release := make(chan struct{})
		store.set(nil, func(ring.NodeName) error { <-release; return errAsTold })
		w.limit("a", 4)
		w.limit("b", 4)
		elapse(20 * time.Second)
		close(release)
		store.set(nil, nil)
		w.settle(30 * time.Second)
		c.check()
	})
}

// TestWaitingForTheStoreIsVisible: a transfer that is ready says that it waits
// for the store.
func TestWaitingForTheStoreIsVisible(t *testing.T) {
	store := &trouble{}
	inWorld(t, setup{quorum: actors.Quorum{N: 1}, book: store.wrap}, "a", func(w *world) {
		w.put("a", "key", 1)
		w.limit("a", 0)
		w.join("b")
		store.set(nil, func(ring.NodeName) error { return errAsTold })
		w.limit("a", 4)
		w.waits("a", ownershipTo("b"), "the membership store does not answer")
		if err := w.act("a", &testingpb.Act{Key: []byte("key"), Verb: "add", Value: []byte("id")}, actors.Call{}); err != nil {
			t.Error(err)
		}
		store.set(nil, nil)
		w.settle(10 * time.Second)
		w.expect("b", "key", 2, actors.Call{})
	})
}

// TestWhoHasLeftHoldsNothingForOthers: a coordinator that does not have the newest
// ring may still take the node for a stand-in. What it took would end with it
// (seed 9936 of the simulation at first).
func TestWhoHasLeftHoldsNothingForOthers(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 3}}, "abcd", func(w *world) {
		w.SetDelay(time.Millisecond)
		before := w.ring()
		if err := w.node("b").Leave(context.Background()); err != nil {
			t.Fatal(err)
		}
		payload, err := proto.Marshal(put("late", 1))
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range w.names() {
			w.Cut("b", string(other)) // who would have it back otherwise
		}
		to := actor.NewPID("b", fmt.Sprintf("shelf/%d", before.Partition([]byte("late"))))
		command := &transportpb.Command{
			Method: "Act", Payload: payload, Epoch: uint64(before.Epoch()), TimeoutNanos: int64(time.Second), Fallback: true,
		}
		if err := w.node("a").transport.Send(to, nil, command); err != nil {
			t.Fatal(err)
		}
		elapse(100 * time.Millisecond)
		if held := w.node("b").open(); len(held) > 0 || !w.node("b").HasLeft() {
			t.Errorf("b has left, and opened %d vnodes; it has left: %v", len(held), w.node("b").HasLeft())
		}
	})
}

// TestLeaveReturnsWhenNothingIsLeft: neither what the node owned nor what it held
// for others.
func TestLeaveReturnsWhenNothingIsLeft(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 3}, size: 15, unrepairs: true}, "abcde", func(w *world) {
		w.SetDelay(time.Millisecond)
		keys := w.keys(3)
		for _, key := range keys {
			w.put("a", key, 1)
		}
		w.isolate("e")
		elapse(2 * time.Second)
		for _, key := range keys {
			w.put("a", key, 2)
		}
		elapse(time.Second)
		held := false
		for p := range w.node("b").open() {
			held = held || w.ring().Owner(p) == "e"
		}
		if !held {
			w.t.Fatal("b holds nothing for e")
		}
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		err := w.node("b").Leave(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "pending") {
			t.Errorf("b has left with hints for e: %v", err)
		}
		w.waits("b", func(s actors.TransferStatus) bool { return s.To == "e" }, "e cannot be reached")
		w.rejoin("e")
		if err := w.node("b").Leave(context.Background()); err != nil {
			t.Error(err)
		}
		if left := w.node("b").open(); len(left) > 0 {
			t.Errorf("b has left and still holds %d vnodes", len(left))
		}
		w.stop("b")
		w.settle(20 * time.Second)
		for _, key := range keys {
			w.expect("e", key, 2, actors.Call{})
		}
		if said := w.unequal(); said != "" {
			t.Error(said)
		}
	})
}
