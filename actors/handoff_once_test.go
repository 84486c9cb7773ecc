package actors_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/torc-io/torc/actors"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
	"github.com/torc-io/torc/ring"
)

var traced = flag.Bool("world.log", false, "print what the nodes of a world log")

const logLevel = slog.LevelDebug

// counters keeps commands coming that would show if one were executed twice, or
// not at all: each adds one.
type counters struct {
	w     *world
	keys  []string
	acked sync.Map // *atomic.Int64 by key
	sent  atomic.Int64
	stop  context.CancelFunc
	wg    sync.WaitGroup
}

func (w *world) count(clients int, keys []string, pause time.Duration) *counters {
	ctx, stop := context.WithCancel(context.Background())
	c := &counters{w: w, keys: keys, stop: stop}
	w.halts = append(w.halts, func() { c.stop(); c.wg.Wait() })
	for _, key := range keys {
		c.acked.Store(key, &atomic.Int64{})
	}
	for client := range clients {
		c.wg.Go(func() {
			for i := client; ctx.Err() == nil; i++ {
				c.add(client, keys[i%len(keys)])
				elapse(pause)
			}
		})
	}
	return c
}

// add sends one command, through a node that is there from the beginning.
func (c *counters) add(client int, key string) {
	id := fmt.Sprintf("%d-%d", client, c.sent.Add(1))
	on := ring.NodeName("a")
	if client%2 == 1 {
		on = "b"
	}
	err := c.w.act(on, &testingpb.Act{Key: []byte(key), Verb: "add", Value: []byte(id)}, actors.Call{})
	if err != nil {
		c.w.t.Errorf("%s adds to %s: %v", on, key, err)
		return
	}
	n, _ := c.acked.Load(key)
	n.(*atomic.Int64).Add(1)
}

// check ends the clients, and compares.
func (c *counters) check() {
	c.stop()
	c.wg.Wait()
	for _, key := range c.keys {
		n, _ := c.acked.Load(key)
		c.w.expect("a", key, int(n.(*atomic.Int64).Load()), actors.Call{})
	}
	c.w.faults.mu.Lock()
	defer c.w.faults.mu.Unlock()
	if len(c.w.ran) != int(c.sent.Load()) {
		c.w.t.Errorf("%d commands were executed of %d", len(c.w.ran), c.sent.Load())
	}
	for id, times := range c.w.ran {
		if times != 1 {
			c.w.t.Errorf("command %s was executed %d times", id, times)
		}
	}
}

// keys returns one key, and more, of each partition.
func (w *world) keys(each int) (all []string) {
	for p := range ring.Partition(w.size) {
		for i := range each {
			all = append(all, w.keyOf(p, i))
		}
	}
	return all
}

// TestEachCommandIsExecutedOnce: with one replica, and a Merge that merely
// replaces, an execution more or less would show in the count. No request fails.
func TestEachCommandIsExecutedOnce(t *testing.T) {
	for _, delay := range []time.Duration{0, 2 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			inWorld(t, setup{quorum: actors.Quorum{N: 1}, replaces: true}, "ab", func(w *world) {
				w.SetDelay(delay)
				c := w.count(16, w.keys(2), 3*time.Millisecond)
				w.join("c")
				w.settle(30 * time.Second)
				w.join("d")
				elapse(50 * time.Millisecond) // it is called off, or turns back, in its midst
				w.commit(ring.Leave("c"))
				w.settle(30 * time.Second)
				known, _ := w.ring().Member("c")
				if known.Status == ring.Exiting {
					w.stop("c")
					w.eventually(10*time.Second, func() string {
						if _, there := w.ring().Member("c"); there {
							return "c is still a member"
						}
						return ""
					})
					w.join("c")
				}
				w.settle(30 * time.Second)
				c.check()
			})
		})
	}
}

// TestRemovedKeysStayRemoved: with one replica a key may be removed outright, and
// neither that nor its return is lost in a move.
func TestRemovedKeysStayRemoved(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 1}, replaces: true}, "ab", func(w *world) {
		w.SetDelay(time.Millisecond)
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		keys := w.keys(3)
		versions := make([]int, len(keys)) // 0 is removed
		for i, key := range keys {
			wg.Go(func() {
				for round := 1; ctx.Err() == nil; round++ {
					cmd := put(key, round)
					versions[i] = round
					if round%3 == 0 {
						cmd, versions[i] = &testingpb.Act{Key: []byte(key), Verb: "remove"}, 0
					}
					if err := w.act("b", cmd, actors.Call{}); err != nil {
						t.Errorf("%s %s: %v", cmd.GetVerb(), key, err)
					}
					w.expect("a", key, versions[i], actors.Call{})
					elapse(time.Duration(i) * time.Millisecond)
				}
			})
		}
		w.join("c")
		w.settle(30 * time.Second)
		w.join("d")
		w.settle(30 * time.Second)
		w.commit(ring.Leave("c"))
		w.settle(30 * time.Second)
		stop()
		wg.Wait()
		for i, key := range keys {
			w.expect("d", key, versions[i], actors.Call{})
		}
		if said := w.unequal(); said != "" {
			t.Error(said)
		}
	})
}
