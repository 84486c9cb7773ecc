package actors

import (
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

// The bounds of a vnode's mailbox. At 1 µs a command, 1,024 of them are a
// millisecond of waiting: deeper queues add latency and no throughput. The
// bound in bytes keeps a burst of large commands from filling memory, and is
// large enough for a handful of the largest.
const (
	defaultMailboxCommands = 1024
	defaultMailboxBytes    = 8 << 20
)

// mailboxState says who may run the mailbox.
type mailboxState uint8

const (
	gated   mailboxState = iota // before Start: messages wait
	idle                        // nothing to do
	running                     // a worker is on it
)

// mailbox is the queue of one vnode. Proto.Actor's own are unbounded, or spin
// when full, and panic the sender of a message that arrives during a spawn.
// This one is gated until the actor has started; bounded by count and by bytes;
// and silent about nothing: a command that it cannot take, or still holds when
// it closes, is answered. Control messages and Proto.Actor's system messages
// have lanes of their own, ahead of commands and without bound, so neither a
// backlog of commands nor an overload delays them.
type mailbox struct {
	// answer tells the sender of a command why it was not executed.
	answer     func(*actor.MessageEnvelope, transportpb.Code)
	maxLength  int
	maxBytes   int
	invoker    actor.MessageInvoker // set before Start, then read-only
	dispatcher actor.Dispatcher     // the same
	turn       func()               // m.run as a value made once: a method value allocates

	mu       sync.Mutex
	state    mailboxState
	closed   transportpb.Code // the answer to every command, once not 0
	open     bool             // the vnode is open, and executes commands
	commands deque
	bytes    int   // of the queued commands
	control  []any // FIFO
	system   []any // FIFO
}

var _ actor.Mailbox = (*mailbox)(nil)

func newMailbox(length, bytes int, answer func(*actor.MessageEnvelope, transportpb.Code)) *mailbox {
	m := &mailbox{answer: answer, maxLength: length, maxBytes: bytes}
	m.turn = m.run
	return m
}

// PostUserMessage queues a command (in its envelope) or a control message.
func (m *mailbox) PostUserMessage(message any) {
	envelope, isEnvelope := message.(*actor.MessageEnvelope)
	if !isEnvelope {
		m.mu.Lock()
		m.control = append(m.control, message)
		m.wake()
		return
	}
	if code := m.push(envelope); code != transportpb.Code_CODE_OK {
		m.answer(envelope, code)
	}
}

// push queues a command, or says why not.
func (m *mailbox) push(envelope *actor.MessageEnvelope) transportpb.Code {
	size := commandSize(envelope)
	m.mu.Lock()
	if m.closed != 0 {
		defer m.mu.Unlock()
		return m.closed
	}
	if m.commands.length == m.maxLength || m.bytes+size > m.maxBytes {
		m.mu.Unlock()
		return transportpb.Code_CODE_OVERLOADED
	}
	m.commands.push(envelope)
	m.bytes += size
	m.wake()
	return transportpb.Code_CODE_OK
}

// runHere handles a command on the goroutine of its sender, if the vnode is idle;
// or returns false. It is for commands that wait for nothing, and the sender does
// this one alone: what comes meanwhile is a worker's.
func (m *mailbox) runHere(envelope *actor.MessageEnvelope) bool {
	m.mu.Lock()
	if m.state != idle || m.closed != 0 || !m.open {
		m.mu.Unlock()
		return false
	}
	m.state = running
	m.mu.Unlock()
	m.invoker.InvokeUserMessage(envelope)
	m.mu.Lock()
	m.state = idle
	m.wake()
	return true
}

// setOpen says whether the vnode is open. One that is not may be about to open,
// which takes long: its commands are for a worker.
func (m *mailbox) setOpen(open bool) {
	m.mu.Lock()
	m.open = open
	m.mu.Unlock()
}

// PostSystemMessage queues one of Proto.Actor's own.
func (m *mailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	m.system = append(m.system, message)
	m.wake()
}

// RegisterHandlers is called once, before Start.
func (m *mailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.invoker, m.dispatcher = invoker, dispatcher
}

// Start opens the gate.
func (m *mailbox) Start() {
	m.mu.Lock()
	m.state = idle
	m.wake()
}

// UserMessageCount returns the number of commands that wait.
func (m *mailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.commands.length
}

// Close answers all waiting commands, and every later one, with code. Control
// and system messages still get through.
func (m *mailbox) Close(code transportpb.Code) {
	m.mu.Lock()
	m.closed = code
	waiting := m.commands.drain()
	m.bytes = 0
	m.mu.Unlock()
	for _, envelope := range waiting {
		m.answer(envelope, code)
	}
}

// Reopen takes commands again after a Close.
func (m *mailbox) Reopen() {
	m.mu.Lock()
	m.closed = 0
	m.mu.Unlock()
}

// wake schedules the mailbox if it is idle and has work. The caller holds m.mu,
// which wake releases: scheduling may hand over to another goroutine.
func (m *mailbox) wake() {
	if m.state != idle || len(m.system)+len(m.control)+m.commands.length == 0 {
		m.mu.Unlock()
		return
	}
	m.state = running
	m.mu.Unlock()
	m.dispatcher.Schedule(m.turn)
}

// run handles messages until there are none.
func (m *mailbox) run() {
	for handled := 1; m.next(); handled++ {
		if handled%turnLength == 0 {
			runtime.Gosched()
		}
	}
}

// next handles one message, the most urgent first.
func (m *mailbox) next() bool {
	m.mu.Lock()
	switch {
	case len(m.system) > 0:
		message := shift(&m.system)
		m.mu.Unlock()
		m.invoker.InvokeSystemMessage(message)
	case len(m.control) > 0:
		message := shift(&m.control)
		m.mu.Unlock()
		m.invoker.InvokeUserMessage(message)
	case m.commands.length > 0:
		envelope := m.commands.pop()
		m.bytes -= commandSize(envelope)
		m.mu.Unlock()
		m.invoker.InvokeUserMessage(envelope)
	default:
		m.state = idle
		m.mu.Unlock()
		return false
	}
	return true
}

// shift removes and returns the first message. The queues it serves are short.
func shift(queue *[]any) any {
	first := (*queue)[0]
	(*queue)[0] = nil
	*queue = (*queue)[1:]
	if len(*queue) == 0 {
		*queue = nil
	}
	return first
}

// commandSize is what a command counts against the bound in bytes.
func commandSize(envelope *actor.MessageEnvelope) int {
	if c, ok := envelope.Message.(*command); ok {
		return c.size
	}
	return 0
}
