package actors

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

// waiter is a coordinator of which only the mailbox runs: it records.
func waiter(deadline time.Time) (*coordinatorActor, *recorder) {
	c, r := &coordinatorActor{}, &recorder{}
	c.letter = &letter{}
	c.deadline = deadline
	c.mailbox.RegisterHandlers(r, nil)
	return c, r
}

// enlist puts a waiter on the table, and returns its id.
func enlist(t *replyTable, c *coordinatorActor) (id uint32) {
	id = t.block()
	t.add(id, c)
	c.mailbox.Start()
	return id
}

func later() time.Time { return time.Now().Add(time.Hour) }

func TestRepliesFindTheirRequest(t *testing.T) {
	table := newReplyTable()
	defer table.close()
	a, seenByA := waiter(later())
	b, seenByB := waiter(later())
	idA := enlist(table, a)
	idB := enlist(table, b)
	table.deliver(idA, &Reply{Partition: 1})
	table.SendUserMessage(&actor.PID{RequestId: idB}, &actor.MessageEnvelope{Message: &transportpb.Reply{Partition: 2}})
	if len(seenByA.lines()) != 1 || len(seenByB.lines()) != 1 {
		t.Errorf("a got %q, b got %q", seenByA.lines(), seenByB.lines())
	}
	table.remove(idA)
	table.remove(idA)
	table.deliver(idA, &Reply{Partition: 3}) // late: nobody waits
	table.SendUserMessage(&actor.PID{}, &transportpb.Reply{})
	table.SendUserMessage(&actor.PID{RequestId: idB}, "nonsense")
	if len(seenByA.lines()) != 1 || len(seenByB.lines()) != 1 {
		t.Errorf("late: a got %q, b got %q", seenByA.lines(), seenByB.lines())
	}
	if n := table.inFlight(); n != 1 {
		t.Errorf("%d requests in flight, want 1", n)
	}
}

// TestIDsWrapAround: 0 is no id, no id is in two blocks, and one that is still
// waiting is not given twice.
func TestIDsWrapAround(t *testing.T) {
	table := newReplyTable()
	defer table.close()
	const last = math.MaxUint32 / replyBlock
	table.blocks.Store(last - 1)
	for _, want := range []uint32{last * replyBlock, replyBlock, 2 * replyBlock} { // the block with 0 is left out
		if first := table.block(); first != want {
			t.Errorf("the block begins with %d, want %d", first, want)
		}
	}
	c, _ := waiter(later())
	id := enlist(table, c)
	if other, _ := waiter(later()); table.add(id, other) || !table.add(id+1, other) {
		t.Errorf("%d was given twice, or %d not at all", id, id+1)
	}
}

// TestDeadlinesAreKept: each request hears of its own, to the sweep's accuracy,
// and the table has no timer when nothing waits.
func TestDeadlinesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newReplyTable()
		begin := time.Now()
		var mu sync.Mutex
		heard := map[int]time.Duration{}
		for i := range 300 {
			c, r := waiter(begin.Add(time.Duration(i) * 7 * time.Millisecond))
			var id atomic.Uint32
			r.onInvoke = func(string) {
				mu.Lock()
				defer mu.Unlock()
				heard[i] = time.Since(begin)
				table.remove(id.Load())
			}
			id.Store(enlist(table, c))
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		for i := range 300 {
			due := time.Duration(i) * 7 * time.Millisecond
			if at := heard[i]; at < due || at > due+2*sweepEvery {
				t.Errorf("a deadline at %v was kept at %v", due, at)
			}
		}
		if table.armed.Load() || table.inFlight() != 0 {
			t.Error("the sweep goes on, and nothing waits")
		}
	})
}

func TestNodeDownReachesEverybody(t *testing.T) {
	table := newReplyTable()
	defer table.close()
	var all []*recorder
	for range 200 {
		c, r := waiter(later())
		enlist(table, c)
		all = append(all, r)
	}
	table.nodeDown("b")
	for i, r := range all {
		if len(r.lines()) != 1 {
			t.Errorf("request %d heard %q", i, r.lines())
		}
	}
}
