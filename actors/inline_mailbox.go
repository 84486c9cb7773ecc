package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// inlineMailbox is the queue of an actor that never blocks and lives for a few
// messages: a coordinator. It lies inside the actor's own allocation, holds the
// usual number of messages without another, and runs on the goroutine of
// whoever posts: a reply is counted by the vnode that gives it. One goroutine
// at a time runs it; the others leave their message and go.
type inlineMailbox struct {
	invoker actor.MessageInvoker // set before Start, then read-only

	mu    sync.Mutex
	state mailboxState
	queue []any // FIFO; system messages keep their place among the others
	space [4]any
}

var _ actor.Mailbox = (*inlineMailbox)(nil)

// PostUserMessage queues and, unless somebody does already, runs.
func (m *inlineMailbox) PostUserMessage(message any) {
	m.mu.Lock()
	if m.queue == nil {
		m.queue = m.space[:0]
	}
	m.queue = append(m.queue, message)
	m.wake()
}

// PostSystemMessage is PostUserMessage: a short life has no urgency.
func (m *inlineMailbox) PostSystemMessage(message any) { m.PostUserMessage(message) }

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
	return len(m.queue)
}

// wake runs the mailbox unless it is gated or runs already. The caller holds
// m.mu, which wake releases.
func (m *inlineMailbox) wake() {
	if m.state != idle {
		m.mu.Unlock()
		return
	}
	m.state = running
	for len(m.queue) > 0 {
		message := m.queue[0]
		copy(m.queue, m.queue[1:])
		m.queue[len(m.queue)-1] = nil
		m.queue = m.queue[:len(m.queue)-1]
		m.mu.Unlock()
		m.invoke(message)
		m.mu.Lock()
	}
	m.state = idle
	m.mu.Unlock()
}

func (m *inlineMailbox) invoke(message any) {
	if _, isSystem := message.(actor.SystemMessage); isSystem {
		m.invoker.InvokeSystemMessage(message)
		return
	}
	m.invoker.InvokeUserMessage(message)
}
