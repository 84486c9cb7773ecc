package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/ring"
)

// Call is what one request asks for. A nil count means the service's default;
// zero and negative counts are refused.
type Call struct {
	N       *int // replicas to ask
	R, W    *int // answers to wait for: R counts for a read, W for a write
	Primary int  // how many of them must come from primaries
	Nodes   int  // how many different nodes must have answered
	// All waits for every replica, or for the deadline.
	All bool
	// Partition sends to that partition instead of the key's own.
	Partition *ring.Partition
}

// Answer is the outcome of a request.
type Answer struct {
	// Value is the resolved reply; nil if there was an error.
	Value proto.Message
	// Replies are those that had come when the answer was decided, in the
	// order of the preference list.
	Replies []*Reply
	// N and Need are the counts that the request was held to.
	N, Need int
}

// Execute sends a command to the preference list of its key, and returns when
// enough replicas have answered, or cannot any more. The deadline is ctx's, or
// else the node's request timeout. A write whose context is cancelled goes on:
// the error says that its outcome is unknown.
//
// It may be called from any goroutine, a vnode's handler excepted: a vnode that
// waits for another vnode can wait for itself.
func (n *Node) Execute(ctx context.Context, m *Method, message proto.Message, call Call) (*Answer, error) {
	meter, known := n.meters[m]
	if !known {
		return nil, fmt.Errorf("%w: node %s does not run this %q", ErrUnknownService, n.name, m.Service.Name)
	}
	began := time.Now()
	answer, err := n.execute(ctx, m, message, call)
	meter.observe(err, time.Since(began))
	return answer, err
}

func (n *Node) execute(ctx context.Context, m *Method, message proto.Message, call Call) (*Answer, error) {
	if !n.Ready() {
		return nil, fmt.Errorf("%w: %s", ErrStopping, n.name)
	}
	c, q, err := n.prepare(ctx, m, message, call)
	if err != nil {
		return nil, err
	}
	c.launch(n.system)
	if err := c.wait(ctx); err != nil {
		return nil, err
	}
	answer := &Answer{Replies: c.answers, N: q.N, Need: q.Need}
	if c.err != nil {
		return answer, c.err
	}
	answer.Value = resolve(m, c.answers)
	if answer.Value == nil {
		return answer, notFound(c.answers)
	}
	return answer, nil
}

// prepare makes the coordinator, and refuses what cannot be before anything is
// sent.
func (n *Node) prepare(ctx context.Context, m *Method, message proto.Message, call Call) (*coordinatorActor, coordinator.Quorum, error) {
	q := quorumOf(m, call)
	v := n.view.Load()
	c := &coordinatorActor{node: n, view: v, proxies: n.proxies[m.Service.Name], call: call}
	p, err := c.locate(message)
	if err != nil {
		return nil, q, err
	}
	c.method, c.message, c.epoch = m, message, v.ring.Epoch()
	c.deadline = time.Now().Add(n.config.RequestTimeout)
	if d, ok := ctx.Deadline(); ok {
		c.deadline = d
	}
	if c.size = proto.Size(message); c.size > MaxMessageBytes {
		return nil, q, fmt.Errorf("%w: the command has %d bytes, the most is %d", ErrTooLarge, c.size, MaxMessageBytes)
	}
	return c, q, c.init(p, q)
}

// locate finds the partition of the command.
func (c *coordinatorActor) locate(message proto.Message) (ring.Partition, error) {
	keyed, ok := message.(interface{ GetKey() []byte })
	if ok {
		c.key = keyed.GetKey()
	}
	switch p := c.call.Partition; {
	case p == nil && len(c.key) == 0:
		return 0, fmt.Errorf("%w: the key is empty", ErrInvalid)
	case p == nil:
		return c.view.ring.Partition(c.key), nil
	case int(*p) >= c.view.ring.Size():
		return 0, fmt.Errorf("%w: partition %d of a ring of %d", ErrInvalid, *p, c.view.ring.Size())
	default:
		return *p, nil
	}
}

// quorumOf applies a call's wishes to the service's defaults.
func quorumOf(m *Method, call Call) coordinator.Quorum {
	service := m.Service.Quorum
	q := coordinator.Quorum{N: service.N, Primaries: call.Primary, Nodes: call.Nodes}
	if call.N != nil {
		q.N = *call.N
	}
	q.Need = service.need(m.Kind, q.N)
	switch {
	case m.Kind == coordinator.Read && call.R != nil:
		q.Need = *call.R
	case m.Kind == coordinator.Write && call.W != nil:
		q.Need = *call.W
	}
	if call.All {
		// The answer is given when the request closes. With any more than one
		// reply needed, it could close earlier, as impossible.
		q.Need, q.Primaries, q.Nodes = 1, 0, 0
	}
	return q
}

// wait returns when the client can be answered. At the deadline it lets the
// coordinator speak, which is about to and knows more.
func (c *coordinatorActor) wait(ctx context.Context) error {
	select {
	case <-c.decided:
		return nil
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		<-c.decided
		return nil
	}
	return fmt.Errorf("%s %s: no longer waiting, outcome unknown: %w", c.method.Service.Name, c.method.Name, context.Cause(ctx))
}

// resolve makes one value of the replies that have one; nil if none has.
func resolve(m *Method, replies []*Reply) (value proto.Message) {
	for _, r := range replies {
		switch {
		case r == nil || r.Message == nil:
		case value == nil:
			value = r.Message
		case m.Resolve != nil:
			value = m.Resolve(value, r.Message)
		}
	}
	return value
}

// notFound returns what the vnodes said about a key that has nothing, so that a
// handler's words reach the client.
func notFound(replies []*Reply) error {
	for _, r := range replies {
		if err := r.Err(); errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return ErrNotFound
}

// newCommand makes a command of this node's own.
func (n *Node) newCommand(m *Method, message proto.Message, epoch ring.Epoch, deadline time.Time) *command {
	c := &command{method: m, message: message, size: proto.Size(message), epoch: epoch}
	c.deadline = deadline
	return c
}

// Targets returns the vnodes that a request for the partition would go to now:
// primaries, and fallbacks for those that cannot be reached.
func (n *Node) Targets(p ring.Partition, count int) []ring.Target {
	v := n.view.Load()
	return v.ring.ReachableList(p, cmp.Or(count, v.ring.TargetN()), v.reachable)
}
