package actors

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/coordinator"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// MaxMessageBytes bounds an encoded command and an encoded reply. Larger ones
// would delay all that shares the connection: they are refused at the edge.
const MaxMessageBytes = 512 << 10

// command is what a vnode is asked to do. One value serves all replicas of a
// request on a node, so it is immutable once sent.
type command struct {
	method   *Method
	message  proto.Message
	size     int // bytes of the encoded message
	epoch    ring.Epoch
	fallback bool // the vnode stands in for an unreachable primary
	passedOn bool // by a former owner; not again
	requestContext
}

// key returns the command's key; nil if its message has none.
func (c *command) key() []byte {
	if keyed, ok := c.message.(interface{ GetKey() []byte }); ok {
		return keyed.GetKey()
	}
	return nil
}

// toWire encodes a command for another machine.
func (c *command) toWire(now time.Time) (*transportpb.Command, error) {
	payload, err := proto.Marshal(c.message)
	if err != nil {
		return nil, &vnodeError{transportpb.Code_CODE_INVALID, err.Error()}
	}
	return &transportpb.Command{
		Method:       c.method.Name,
		Payload:      payload,
		Epoch:        uint64(c.epoch),
		TimeoutNanos: int64(c.deadline.Sub(now)),
		Fallback:     c.fallback,
		Forwarded:    c.passedOn,
	}, nil
}

// commandFromWire decodes a command that came from another machine. The code
// says what is wrong with it, or CODE_OK.
func commandFromWire(s *Service, w *transportpb.Command, now time.Time) (*command, transportpb.Code) {
	method, ok := s.Method(w.GetMethod())
	if !ok {
		return nil, transportpb.Code_CODE_UNKNOWN_COMMAND
	}
	message := method.NewCommand()
	if err := proto.Unmarshal(w.GetPayload(), message); err != nil {
		return nil, transportpb.Code_CODE_INVALID
	}
	c := &command{
		method:   method,
		message:  message,
		size:     len(w.GetPayload()),
		epoch:    ring.Epoch(w.GetEpoch()),
		fallback: w.GetFallback(),
		passedOn: w.GetForwarded(),
	}
	c.deadline = now.Add(time.Duration(w.GetTimeoutNanos()))
	return c, transportpb.Code_CODE_OK
}

// Reply is one vnode's answer to a command. It is immutable once sent.
type Reply struct {
	Partition ring.Partition
	Code      transportpb.Code
	Behind    bool // a fallback holds writes that the vnode may not have
	Node      ring.NodeName
	Message   proto.Message // when Code is CODE_OK
	Text      string        // for a person, when it is not
	Epoch     ring.Epoch    // of the ring at the vnode

	payload []byte // Message as it came over the wire, until decoded
}

// came says whether this is a reply at all: each names its node.
func (r *Reply) came() bool { return r.Node != "" }

// Err returns the reply's failure, or nil.
func (r *Reply) Err() error {
	if r.Code == transportpb.Code_CODE_OK {
		return nil
	}
	return &vnodeError{r.Code, r.Text}
}

// toWire encodes a reply for another machine. A reply that is too large for the
// wire becomes the news of that.
func (r *Reply) toWire() *transportpb.Reply {
	w := &transportpb.Reply{
		Partition: uint32(r.Partition),
		Node:      string(r.Node),
		Code:      r.Code,
		Error:     wireText(r.Text),
		Epoch:     uint64(r.Epoch),
		Behind:    r.Behind,
	}
	if r.Message == nil {
		return w
	}
	payload, err := proto.Marshal(r.Message)
	switch {
	case err != nil:
		w.Code, w.Error = transportpb.Code_CODE_FAILED, wireText(err.Error())
	case len(payload) > MaxMessageBytes:
		w.Code = transportpb.Code_CODE_TOO_LARGE
	default:
		w.Payload = payload
	}
	return w
}

// maxErrorBytes bounds the text of an error on the wire: enough for a person,
// and too little to make a reply too large for having failed.
const maxErrorBytes = 4 << 10

// wireText makes text fit for a protobuf string, whatever a handler put in it.
func wireText(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxErrorBytes)], "\uFFFD")
}

// replyFromWire takes a reply as it came. Its message is decoded by the
// coordinator, which knows the type.
func replyFromWire(w *transportpb.Reply) Reply {
	return Reply{
		Partition: ring.Partition(w.GetPartition()),
		Node:      ring.NodeName(w.GetNode()),
		Code:      w.GetCode(),
		Text:      w.GetError(),
		Epoch:     ring.Epoch(w.GetEpoch()),
		Behind:    w.GetBehind(),
		payload:   w.GetPayload(),
	}
}

// outcome is what the reply means to the coordinator.
func (r *Reply) outcome() coordinator.Outcome {
	o := verdictOf(r.Code).outcome
	if r.Behind && (o == coordinator.Acked || o == coordinator.NotFound) {
		return coordinator.Behind
	}
	return o
}

// decode turns the payload of a remote reply into its message.
func (r *Reply) decode(m *Method) {
	if r.Code != transportpb.Code_CODE_OK || r.Message != nil {
		return
	}
	message := m.NewReply()
	if err := proto.Unmarshal(r.payload, message); err != nil {
		r.Code, r.Text = transportpb.Code_CODE_FAILED, "undecodable reply: "+err.Error()
		return
	}
	r.Message, r.payload = message, nil
}

// requestContext is the context that a handler sees: it ends at the request's
// deadline, and carries nothing else. It does not end when the client goes
// away or has its answer, for a write that W replicas have taken must reach the
// others too. Its timer exists only if somebody asks for Done.
type requestContext struct {
	deadline time.Time
	once     sync.Once
	done     chan struct{}
}

var _ context.Context = (*requestContext)(nil)

// Deadline returns the request's deadline.
func (c *requestContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done returns a channel that closes at the deadline.
func (c *requestContext) Done() <-chan struct{} {
	c.once.Do(func() {
		c.done = make(chan struct{})
		time.AfterFunc(time.Until(c.deadline), func() { close(c.done) })
	})
	return c.done
}

// Err is nil until the deadline.
func (c *requestContext) Err() error {
	if time.Now().Before(c.deadline) {
		return nil
	}
	return context.DeadlineExceeded
}

// Value has nothing: contexts do not cross machines.
func (c *requestContext) Value(any) any { return nil }

// visit is a control message: it runs a function on a vnode's turn, unless it was
// withdrawn before.
type visit struct {
	run   func(*vnode)
	taken atomic.Bool // by the vnode, or by whoever withdraws it
	done  chan struct{}
}

// perform runs the function, on the vnode's turn.
func (m *visit) perform(v *vnode) {
	if m.taken.CompareAndSwap(false, true) {
		defer close(m.done)
		m.run(v)
	}
}

// withdraw keeps the function from running. It returns false if it runs already, or
// has run.
func (m *visit) withdraw() bool { return m.taken.CompareAndSwap(false, true) }

// envelope wraps a command with the address for its replies.
func envelope(c *command, sender *actor.PID) *actor.MessageEnvelope {
	return &actor.MessageEnvelope{Message: c, Sender: sender}
}
