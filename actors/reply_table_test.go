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
func enlist(t *replyTable, c *coordinatorActor) (id uint32, ok bool) {
	ok = t.add(c)
	c.mailbox.Start()
	return c.id, ok
}

func later() time.Time { return time.Now().Add(time.Hour) }

func TestRepliesFindTheirRequest(t *testing.T) {
	table := newReplyTable(10)
	defer table.close()
	a, seenByA := waiter(later())
	b, seenByB := waiter(later())
	idA, _ := enlist(table, a)
	idB, _ := enlist(table, b)
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

func TestTableIsBounded(t *testing.T) {
	table := newReplyTable(2)
	defer table.close()
	var last uint32
	for range 2 {
		c, _ := waiter(later())
		last, _ = enlist(table, c)
	}
	c, _ := waiter(later())
	if _, ok := enlist(table, c); ok {
		t.Error("a third request was taken")
	}
	table.remove(last)
	if _, ok := enlist(table, c); !ok {
		t.Error("there was room again, and the request was refused")
	}
}

// TestIDsWrapAround: 0 is no id, and one that is still waiting is not given twice.
func TestIDsWrapAround(t *testing.T) {
	table := newReplyTable(10)
	defer table.close()
	table.nextID.Store(math.MaxUint32 - 1)
	seen := map[uint32]bool{}
	for range 2 {
		c, _ := waiter(later())
		id, _ := enlist(table, c)
		seen[id] = true
	}
	table.nextID.Store(math.MaxUint32 - 1)
	c, _ := waiter(later())
	id, _ := enlist(table, c)
	if id == 0 || seen[id] || seen[0] {
		t.Errorf("ids %v, then %d", seen, id)
	}
}

// TestDeadlinesAreKept: each request hears of its own, to the sweep's accuracy,
// and the table has no timer when nothing waits.
func TestDeadlinesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newReplyTable(1000)
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
			given, _ := enlist(table, c)
			id.Store(given)
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
	table := newReplyTable(1000)
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
