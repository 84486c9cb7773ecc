package actors

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asynkron/protoactor-go/actor"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

// recorder is the actor side of a mailbox: it writes down what it is given.
type recorder struct {
	mu       sync.Mutex
	seen     []string
	onInvoke func(string)
}

func (r *recorder) notef(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	r.mu.Lock()
	r.seen = append(r.seen, line)
	hook := r.onInvoke
	r.mu.Unlock()
	if hook != nil {
		hook(line)
	}
}

func (r *recorder) InvokeSystemMessage(m any) { r.notef("system %v", m) }

func (r *recorder) InvokeUserMessage(m any) {
	if e, ok := m.(*actor.MessageEnvelope); ok {
		r.notef("command %d", e.Message.(*command).size)
		return
	}
	r.notef("control %v", m)
}

func (r *recorder) EscalateFailure(reason, _ any) { r.notef("failure %v", reason) }

func (r *recorder) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

// manual is a dispatcher whose owner says when scheduled work runs.
type manual struct{ scheduled []func() }

func (m *manual) Schedule(fn func()) { m.scheduled = append(m.scheduled, fn) }
func (m *manual) Throughput() int    { return 1 }

func (m *manual) run() {
	for len(m.scheduled) > 0 {
		fn := m.scheduled[0]
		m.scheduled = m.scheduled[1:]
		fn()
	}
}

// sized returns a command of that many bytes; the size also tells it apart.
func sized(size int) *actor.MessageEnvelope {
	return &actor.MessageEnvelope{Message: &command{size: size}}
}

type mailboxFixture struct {
	*mailbox
	*recorder
	dispatcher *manual
	answered   []string
}

func newFixture(length, bytes int) *mailboxFixture {
	f := &mailboxFixture{recorder: &recorder{}, dispatcher: &manual{}}
	f.mailbox = newMailbox(length, bytes, func(e *actor.MessageEnvelope, code transportpb.Code) {
		f.answered = append(f.answered, fmt.Sprintf("%d %v", e.Message.(*command).size, code))
	})
	f.RegisterHandlers(f.recorder, f.dispatcher)
	return f
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// TestMailboxIsGated: Proto.Actor registers an actor's process before its
// mailbox can run, so a message that comes in between must wait, not crash.
func TestMailboxIsGated(t *testing.T) {
	f := newFixture(8, 1<<20)
	f.PostUserMessage(sized(1))
	f.PostSystemMessage("started")
	f.dispatcher.run()
	expect(t, "before Start", f.lines())
	f.Start()
	f.dispatcher.run()
	expect(t, "after Start", f.lines(), "system started", "command 1")
}

func TestMailboxHandlesUrgentThingsFirst(t *testing.T) {
	f := newFixture(8, 1<<20)
	f.PostUserMessage(sized(1))
	f.PostUserMessage(sized(2))
	f.PostUserMessage("visit")
	f.PostSystemMessage("started")
	f.Start()
	f.dispatcher.run()
	expect(t, "order", f.lines(), "system started", "control visit", "command 1", "command 2")
}

func TestMailboxIsBoundedByCount(t *testing.T) {
	f := newFixture(2, 1<<20)
	for size := 1; size <= 4; size++ {
		f.PostUserMessage(sized(size))
	}
	f.PostUserMessage("visit") // control has no bound
	expect(t, "answered", f.answered, "3 CODE_OVERLOADED", "4 CODE_OVERLOADED")
	f.Start()
	f.dispatcher.run()
	expect(t, "handled", f.lines(), "control visit", "command 1", "command 2")
	f.PostUserMessage(sized(5))
	f.dispatcher.run()
	expect(t, "answered once there is room", f.answered, "3 CODE_OVERLOADED", "4 CODE_OVERLOADED")
}

func TestMailboxIsBoundedByBytes(t *testing.T) {
	f := newFixture(100, 1000)
	f.PostUserMessage(sized(600))
	f.PostUserMessage(sized(500))
	f.PostUserMessage(sized(400))
	expect(t, "answered", f.answered, "500 CODE_OVERLOADED")
	f.Start()
	f.dispatcher.run()
	f.PostUserMessage(sized(1000))
	f.dispatcher.run()
	expect(t, "handled", f.lines(), "command 600", "command 400", "command 1000")
}

// TestMailboxAnswersWhatItHoldsWhenItCloses: in Proto.Actor, messages behind a
// Stop vanish and their senders wait for the deadline.
func TestMailboxAnswersWhatItHoldsWhenItCloses(t *testing.T) {
	f := newFixture(8, 1<<20)
	f.Start()
	f.PostUserMessage(sized(1))
	f.PostUserMessage(sized(2))
	f.Close(transportpb.Code_CODE_NOT_OWNER)
	f.PostUserMessage(sized(3))
	f.PostSystemMessage("stop")
	f.dispatcher.run()
	expect(t, "answered", f.answered, "1 CODE_NOT_OWNER", "2 CODE_NOT_OWNER", "3 CODE_NOT_OWNER")
	expect(t, "handled", f.lines(), "system stop")
	if n := f.UserMessageCount(); n != 0 {
		t.Errorf("%d commands wait in a closed mailbox", n)
	}
}

// TestMailboxLosesNothing posts from many goroutines onto a real pool: each
// command is handled or answered, none twice.
func TestMailboxLosesNothing(t *testing.T) {
	const senders, each = 8, 2000
	pool := newPool()
	defer pool.Close()
	var mu sync.Mutex
	count := map[int]int{}
	mark := func(size int) {
		mu.Lock()
		count[size]++
		mu.Unlock()
	}
	var done sync.WaitGroup
	done.Add(senders * each)
	var turn sync.Mutex // nobody else has it while a command is handled
	r := &counting{mark: func(size int) {
		if !turn.TryLock() {
			t.Error("two commands are handled at once")
			return
		}
		mark(size)
		turn.Unlock()
		done.Done()
	}}
	m := newMailbox(64, 1<<30, func(e *actor.MessageEnvelope, _ transportpb.Code) {
		mark(e.Message.(*command).size)
		done.Done()
	})
	m.RegisterHandlers(r, pool)
	m.Start()
	m.setOpen(true)
	for s := range senders {
		go func() {
			for i := range each {
				e := sized(s*each + i)
				if i%2 == 0 || !m.runHere(e) {
					m.PostUserMessage(e)
				}
			}
		}()
	}
	done.Wait()
	for i := range senders * each {
		if count[i] != 1 {
			t.Fatalf("command %d was handled or answered %d times", i, count[i])
		}
	}
}

type counting struct{ mark func(int) }

func (c *counting) InvokeSystemMessage(any)  {}
func (c *counting) EscalateFailure(any, any) {}
func (c *counting) InvokeUserMessage(m any) {
	c.mark(m.(*actor.MessageEnvelope).Message.(*command).size)
}

func TestDequeKeepsOrderAndLetsGoOfMemory(t *testing.T) {
	var d deque
	next, expected := 0, 0
	for _, step := range []int{3, -2, 20, -21, 1000, -500, 500, -1000, 5, -5} {
		for range step {
			d.push(sized(next))
			next++
		}
		for range -step {
			if got := d.pop().Message.(*command).size; got != expected {
				t.Fatalf("popped %d, want %d", got, expected)
			}
			expected++
		}
	}
	if d.length != 0 || len(d.buffer) > keepDeque {
		t.Errorf("an empty deque holds %d elements in %d places", d.length, len(d.buffer))
	}
}

// TestIdleVnodeServesItsSender: it handles that one command at once, and what
// comes meanwhile goes to a worker, in order.
func TestIdleVnodeServesItsSender(t *testing.T) {
	r, d := &recorder{}, &manual{}
	m := newMailbox(10, 1000, func(*actor.MessageEnvelope, transportpb.Code) {})
	m.RegisterHandlers(r, d)
	m.Start()
	if m.runHere(sized(0)) {
		t.Error("a vnode that is not open took a command")
	}
	m.setOpen(true)
	r.onInvoke = func(line string) {
		if line == "command 1" {
			m.PostUserMessage(sized(2))
			m.PostUserMessage("visit")
			if m.runHere(sized(3)) {
				t.Error("a busy vnode took a command")
			}
		}
	}
	if !m.runHere(sized(1)) {
		t.Error("an idle vnode took no command")
	}
	expect(t, "when runHere returns", r.lines(), "command 1")
	if m.runHere(sized(4)) {
		t.Error("a vnode for which others wait took a command")
	}
	d.run()
	expect(t, "on a worker", r.lines()[1:], "control visit", "command 2")
	m.Close(transportpb.Code_CODE_STOPPING)
	if m.runHere(sized(5)) {
		t.Error("a closed vnode took a command")
	}
	m.Reopen()
	if !m.runHere(sized(6)) || len(d.scheduled) != 0 {
		t.Error("an idle vnode took no command, or called a worker for nothing")
	}
}

// at starts a request on the mailbox, whose first message is "begin".
func at(m *inlineMailbox, request uint32) {
	m.enter(request)
	m.begin("begin")
}

func TestInlineMailboxRunsOnThePoster(t *testing.T) {
	r := &recorder{}
	var m inlineMailbox
	m.RegisterHandlers(r, nil)
	m.PostSystemMessage("started")
	expect(t, "while gated", r.lines())
	m.Start()
	m.enter(1)
	m.tell(1, "before")
	expect(t, "before the request begins", r.lines(), "control started")
	m.begin("begin")
	expect(t, "after it", r.lines(), "control started", "control before", "control begin")
	m.tell(1, "a")
	m.PostUserMessage("from a stranger")
	expect(t, "as soon as tell returns", r.lines()[3:], "control a")
}

// TestInlineMailboxIsNotReentered: what the actor's own doing posts waits until
// the message at hand is done, however long the chain.
func TestInlineMailboxIsNotReentered(t *testing.T) {
	r := &recorder{}
	var m inlineMailbox
	m.RegisterHandlers(r, nil)
	depth, deepest, posted := 0, 0, 0
	r.onInvoke = func(string) {
		depth++
		deepest = max(deepest, depth)
		if posted < 100 {
			posted++
			m.tell(1, posted)
			m.reply(1, &Reply{})
		}
		depth--
	}
	at(&m, 1)
	if got := len(r.lines()); got != 201 || deepest != 1 {
		t.Errorf("%d messages handled, want 201; deepest nesting %d, want 1", got, deepest)
	}
	if cap(m.queue) > keepNotes {
		t.Errorf("the queue keeps %d places", cap(m.queue))
	}
}

func TestInlineMailboxLosesNothing(t *testing.T) {
	const senders, each = 8, 1000
	r := &recorder{}
	var m inlineMailbox
	m.RegisterHandlers(r, nil)
	at(&m, 1)
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for i := range each {
				m.tell(1, i)
			}
		})
	}
	wg.Wait()
	if got := len(r.lines()); got != senders*each+1 {
		t.Errorf("%d messages handled, want %d", got, senders*each+1)
	}
}

// TestInlineMailboxKeepsRequestsApart: what is for one request is dropped once it
// has ended, also what waits already, and also when the next one has begun.
func TestInlineMailboxKeepsRequestsApart(t *testing.T) {
	r := &recorder{}
	var m inlineMailbox
	vacated := 0
	m.vacated = func() { vacated++ }
	m.RegisterHandlers(r, nil)
	r.onInvoke = func(line string) {
		if line == "control end" {
			m.tell(1, "waits while the request ends")
			m.end()
			m.tell(1, "comes as the request has ended")
		}
	}
	at(&m, 1)
	m.tell(1, "end")
	m.tell(1, "late")
	if vacated != 1 {
		t.Errorf("vacated %d times, want once", vacated)
	}
	m.enter(2)
	m.tell(1, "late")
	m.begin("begin")
	m.reply(1, &Reply{})
	m.tell(2, "for the next")
	expect(t, "both requests", r.lines(), "control begin", "control end", "control begin", "control for the next")
}

// TestInlineMailboxUnderFire: senders that hurry after a request which they know
// of never reach a later one.
func TestInlineMailboxUnderFire(t *testing.T) {
	const requests, senders = 2000, 4
	var m inlineMailbox
	var current, latest atomic.Uint32
	vacant := make(chan struct{}, 1)
	m.vacated = func() { vacant <- struct{}{} }
	m.RegisterHandlers(&counting{func(request int) {
		if uint32(request) != current.Load() {
			t.Errorf("a message for request %d during %d", request, current.Load())
		}
		if rand.IntN(3) == 0 {
			m.end()
		}
	}}, nil)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range senders {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if id := latest.Load(); id > 0 { // as the id of no request
						m.tell(id, sized(int(id)))
					}
					runtime.Gosched() // or one processor would be theirs alone
				}
			}
		})
	}
	for id := range uint32(requests) {
		current.Store(id + 1)
		m.enter(id + 1)
		latest.Store(id + 1)
		m.begin(sized(int(id + 1)))
		<-vacant
	}
	close(stop)
	wg.Wait()
}

func TestPoolIsElastic(t *testing.T) {
	pool := newPool()
	defer pool.Close()
	const blocked = 3 * maxIdleWorkers
	release := make(chan struct{})
	var running, done sync.WaitGroup
	for range blocked {
		running.Add(1)
		done.Add(1)
		pool.Schedule(func() { running.Done(); <-release; done.Done() })
	}
	running.Wait() // a fixed pool would wait for ever
	close(release)
	done.Wait()
}
