package actors_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// refusing makes one call of the vnodes about one key fail.
func (w *world) refusing(call, key string) {
	w.fault(func(called string, _ actors.Host, about []byte) error {
		if called == call && string(about) == key {
			return fmt.Errorf("%w: %s is not for the likes of me", errAsTold, key)
		}
		return nil
	})
}

// moving returns a key of a partition that will move to b when it comes.
func (w *world) moving() string {
	plan, err := w.ring().Plan(ring.Join(ring.Member{Name: "b", Address: "b", Incarnation: 1}))
	if err != nil {
		w.t.Fatal(err)
	}
	return w.keyOf(plan.Next.Transfers()[0].Partition, 1)
}

// again keeps a key written until something is logged about it. The caller waits
// with what it returns.
func (w *world) again(key string) (wait func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for version := 2; version < 2000 && len(w.logged(key)) == 0; version++ {
			w.put("a", key, version)
			elapse(5 * time.Millisecond)
		}
	}()
	return func() { <-ended }
}

// TestAnItemThatCannotMoveStopsItsTransfer: loudly. The partition stays where it
// is, and is served; nothing of it is skipped. When the vnode has come to terms
// with the item, the transfer goes through by itself.
func TestAnItemThatCannotMoveStopsItsTransfer(t *testing.T) {
	for _, call := range []string{"Snapshot", "Merge", "Item"} {
		t.Run(call, func(t *testing.T) {
			inWorld(t, setup{quorum: actors.Quorum{N: 1}}, "a", func(w *world) {
				w.SetDelay(time.Millisecond)
				for _, key := range w.keys(3) {
					w.put("a", key, 1)
				}
				key := w.moving()
				w.refusing(call, key)
				if call == "Item" { // of which is asked for what is written meanwhile alone
					if err := w.node("a").SetTransferLimits(actors.TransferLimits{Out: 4, In: 4, Rate: 50}); err != nil {
						t.Error(err)
					}
					c := w.again(key)
					defer c()
				}
				w.join("b")
				p := w.ring().Partition([]byte(key))
				w.waits("a", func(s actors.TransferStatus) bool { return s.Partition == p }, key+" is not for the likes of me")
				if len(w.logged(key+" is not for")) == 0 {
					t.Errorf("logged is %q", w.logged(""))
				}
				if owner := w.ring().Owner(p); owner != "a" {
					t.Errorf("partition %d is %s's", p, owner)
				}
				w.put("a", key, 5000)
				w.expect("a", key, 5000, actors.Call{})
				elapse(time.Minute)
				w.expect("a", key, 5000, actors.Call{})
				w.fault(nil)
				w.limit("a", 4)
				w.settle(15 * time.Second)
				w.expect("b", key, 5000, actors.Call{})
				if said := w.unequal(); said != "" {
					t.Error(said)
				}
			})
		})
	}
}

// TestPanicsOfVnodesDoNoHarm: in no method does one end more than the transfer.
func TestPanicsOfVnodesDoNoHarm(t *testing.T) {
	for _, call := range []string{"Merge", "Drop", "starting", "finished", "Snapshot"} {
		t.Run(call, func(t *testing.T) {
			inWorld(t, setup{quorum: actors.Quorum{N: 3}, unrepairs: true}, "abc", func(w *world) {
				w.SetDelay(time.Millisecond)
				panics := 0
				l := w.begin(40, 5, actors.Call{}, w.roam)
				elapse(time.Second)
				w.fault(func(called string, _ actors.Host, _ []byte) error {
					if called == call {
						w.faults.mu.Lock()
						defer w.faults.mu.Unlock()
						panics++
						if panics < 20 {
							if call == "Snapshot" {
								return errAsTold
							}
							panic("as told")
						}
					}
					return nil
				})
				w.join("d")
				w.settle(3 * time.Minute)
				l.halt()
				elapse(time.Second)
				for _, f := range l.failures() {
					t.Error(f)
				}
				if said := w.unequal(); said != "" || panics == 0 {
					t.Errorf("after %d panics: %s", panics, said)
				}
				l.conclude(actors.Call{})
				l.check(t)
			})
		})
	}
}

// TestObserversAreTold: of the beginning and of the end, on both sides, with what
// went wrong.
func TestObserversAreTold(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 1}}, "a", func(w *world) {
		for _, key := range w.keys(1) {
			w.put("a", key, 1)
		}
		w.join("b")
		w.settle(10 * time.Second)
		move := handoff.Transfer{Type: handoff.Ownership, From: "a", To: "b"}
		for p := range w.ring().Owned("b") {
			move.Partition, move.Source = p, p
			got := w.observed(move.String())
			slices.Sort(got)
			want := []string{
				fmt.Sprintf("a sends finished %v: <nil>", move), fmt.Sprintf("a sends starting %v: <nil>", move),
				fmt.Sprintf("b receives finished %v: <nil>", move), fmt.Sprintf("b receives starting %v: <nil>", move),
			}
			if !slices.Equal(got, want) {
				w.t.Fatalf("observers were told %s, want %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	})
}

// TestObserversAreToldOfFailures: with the error, before it begins anew.
func TestObserversAreToldOfFailures(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 1}}, "a", func(w *world) {
		for _, key := range w.keys(2) {
			w.put("a", key, 1)
		}
		key := w.moving()
		w.refusing("Merge", key)
		w.join("b")
		p := w.ring().Partition([]byte(key))
		w.waits("a", func(s actors.TransferStatus) bool { return s.Partition == p }, "not for the likes")
		for _, want := range []string{"a sends finished", "b receives finished"} {
			told := slices.ContainsFunc(w.observed(want), func(line string) bool {
				return strings.Contains(line, fmt.Sprintf("partition %d ", p)) && strings.Contains(line, key+" is not for")
			})
			if !told {
				t.Errorf("%s with the error was not told: %q", want, w.observed(want))
			}
		}
		w.fault(nil)
		w.settle(30 * time.Second)
	})
}
