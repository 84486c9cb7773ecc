package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// keepNotes is the longest queue that a coordinator keeps for its next request:
// room for the replies of all positions, and for some that come twice.
const keepNotes = 32

// inlineMailbox is the queue of an actor that never blocks: a coordinator. It
// runs on the goroutine of whoever posts: a reply is counted by the vnode that
// gives it. One goroutine at a time runs it; the others leave their message and
// go.
//
// The actor serves one request after another, and what comes late for one of
// them must not reach the next. So a message names the request that it is for,
// and one for any other than the request at hand is dropped, here, under the
// same lock under which requests begin and end.
type inlineMailbox struct {
	invoker actor.MessageInvoker // set before Start, then read-only
	vacated func()               // called after the last message of a request

	mu      sync.Mutex
	state   mailboxState
	request uint32 // whose messages are taken; 0 if there is none
	ended   bool   // the request at hand has ended during the present run
	queue   []note // FIFO; system messages keep their place among the others
	head    int    // of the first that waits, or is being handled
}

// note is one message in the queue: a reply, or what else there is to tell.
type note struct {
	news  any // nil if it is a reply
	reply Reply
}

var _ actor.Mailbox = (*inlineMailbox)(nil)

// enter takes messages for a request, and keeps them until begin.
func (m *inlineMailbox) enter(request uint32) {
	m.mu.Lock()
	m.request, m.state = request, gated
	m.mu.Unlock()
}

// begin handles news, once what has gathered since enter is done.
func (m *inlineMailbox) begin(news any) {
	m.mu.Lock()
	m.queue = append(m.queue, note{news: news})
	m.state = idle
	m.wake()
}

// end drops the request's messages, those that wait too. It is called on the
// actor's own turn.
func (m *inlineMailbox) end() {
	m.mu.Lock()
	m.request, m.ended = 0, true
	clear(m.queue[m.head+1:])
	m.queue = m.queue[:m.head+1]
	m.mu.Unlock()
}

// reply queues a reply and, unless somebody does already, runs.
func (m *inlineMailbox) reply(request uint32, r *Reply) {
	m.mu.Lock()
	if request != m.request {
		m.mu.Unlock()
		return
	}
	m.queue = append(m.queue, note{reply: *r})
	m.wake()
}

// tell does the same with other news.
func (m *inlineMailbox) tell(request uint32, news any) {
	m.mu.Lock()
	if request != m.request {
		m.mu.Unlock()
		return
	}
	m.queue = append(m.queue, note{news: news})
	m.wake()
}

// PostSystemMessage queues one of Proto.Actor's own, which is for the actor
// whatever request is at hand.
func (m *inlineMailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	m.queue = append(m.queue, note{news: message})
	m.wake()
}

// PostUserMessage drops the message: nobody has the actor's address, and what is
// for a request names it.
func (m *inlineMailbox) PostUserMessage(any) {}

// RegisterHandlers is called once, before Start.
func (m *inlineMailbox) RegisterHandlers(invoker actor.MessageInvoker, _ actor.Dispatcher) {
	m.invoker = invoker
}

// Start opens the gate, and runs what has gathered behind it.
func (m *inlineMailbox) Start() {
	m.mu.Lock()
	m.state = idle
	m.wake()
}

// UserMessageCount returns the number of messages that wait.
func (m *inlineMailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue) - m.head
}

// wake runs the mailbox unless it is gated or runs already. The caller holds
// m.mu, which wake releases.
func (m *inlineMailbox) wake() {
	if m.state != idle {
		m.mu.Unlock()
		return
	}
	m.state = running
	for m.head < len(m.queue) {
		n := &m.queue[m.head] // stays as it is, wherever the queue grows to
		m.mu.Unlock()
		m.invoke(n)
		m.mu.Lock()
		m.queue[m.head] = note{}
		m.head++
	}
	m.queue, m.head = m.queue[:0], 0
	if cap(m.queue) > keepNotes {
		m.queue = nil
	}
	ended := m.ended
	m.state, m.ended = idle, false
	m.mu.Unlock()
	if ended {
		m.vacated()
	}
}

func (m *inlineMailbox) invoke(n *note) {
	if n.news == nil {
		m.invoker.InvokeUserMessage(&n.reply)
		return
	}
	if _, isSystem := n.news.(actor.SystemMessage); isSystem {
		m.invoker.InvokeSystemMessage(n.news)
		return
	}
	m.invoker.InvokeUserMessage(n.news)
}
