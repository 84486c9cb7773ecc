package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
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
	// Replies wants [Answer.Replies].
	Replies bool
	// Partition sends to that partition instead of the key's own.
	Partition *ring.Partition
}

// Answer is the outcome of a request.
type Answer struct {
	// Value is the resolved reply; nil if there was an error.
	Value proto.Message
	// Replies are those that had come when the answer was decided, in the
	// order of the preference list; only if the call wants them.
	Replies []Reply
	// N and Need are the counts that the request was held to; 0 if it was not
	// sent at all.
	N, Need int
}

// Execute sends a command to the preference list of its key, and returns when
// enough replicas have answered, or cannot any more. The deadline is ctx's, or
// else the node's request timeout. A write whose context is cancelled goes on:
// the error says that its outcome is unknown.
//
// It may be called from any goroutine, a vnode's handler excepted: a vnode that
// waits for another vnode can wait for itself.
func (n *Node) Execute(ctx context.Context, m *Method, message proto.Message, call Call) (Answer, error) {
	meter, known := n.meters[m]
	if !known {
		return Answer{}, fmt.Errorf("%w: node %s does not run this %q", ErrUnknownService, n.name, m.Service.Name)
	}
	here, began := n.coordinators.stripes.here(), time.Now()
	answer, err := n.execute(ctx, here, began, m, message, call)
	meter.observe(here, err, time.Since(began))
	return answer, err
}

func (n *Node) execute(ctx context.Context, here *stripe, now time.Time, m *Method, message proto.Message, call Call) (Answer, error) {
	if !n.Ready() {
		return Answer{}, fmt.Errorf("%w: %s", ErrStopping, n.name)
	}
	c := n.coordinators.take(here)
	if c == nil {
		return Answer{}, fmt.Errorf("%w: %d requests are in flight", ErrOverloaded, n.config.MaxRequests)
	}
	defer c.leave()
	q := quorumOf(m, call)
	c.call = call
	if err := c.prepare(ctx, now, m, message, q); err != nil {
		return Answer{}, err
	}
	c.launch()
	if err := c.wait(ctx); err != nil {
		return Answer{}, err
	}
	return c.answer(q)
}

// prepare makes the request, and refuses what cannot be before anything is sent.
func (c *coordinatorActor) prepare(ctx context.Context, now time.Time, m *Method, message proto.Message, q coordinator.Quorum) error {
	n := c.node
	c.view, c.proxies = n.view.Load(), n.proxies[m.Service.Name]
	p, err := c.locate(message)
	if err != nil {
		return err
	}
	c.letter = n.newLetter()
	c.method, c.message, c.epoch = m, message, c.view.ring.Epoch()
	c.deadline = now.Add(n.config.RequestTimeout)
	if d, ok := ctx.Deadline(); ok {
		c.deadline = d
	}
	if c.size = proto.Size(message); c.size > MaxMessageBytes {
		return fmt.Errorf("%w: the command has %d bytes, the most is %d", ErrTooLarge, c.size, MaxMessageBytes)
	}
	return c.init(p, q)
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
	if !c.progress.CompareAndSwap(asked, awaited) {
		return nil // the vnodes have run on this goroutine, and nothing is waited for
	}
	c.waited = true
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

// answer makes the client's answer of what was decided.
func (c *coordinatorActor) answer(q coordinator.Quorum) (Answer, error) {
	answer := Answer{N: q.N, Need: q.Need}
	if c.call.Replies {
		answer.Replies = slices.Clone(c.answers)
	}
	if c.err != nil {
		return answer, c.err
	}
	answer.Value = resolve(c.method, c.answers)
	if answer.Value == nil {
		return answer, notFound(c.answers)
	}
	return answer, nil
}

// resolve makes one value of the replies that have one; nil if none has.
func resolve(m *Method, replies []Reply) (value proto.Message) {
	for i := range replies {
		switch message := replies[i].Message; {
		case message == nil:
		case value == nil:
			value = message
		case m.Resolve != nil:
			value = m.Resolve(value, message)
		}
	}
	return value
}

// notFound returns what the vnodes said about a key that has nothing, so that a
// handler's words reach the client.
func notFound(replies []Reply) error {
	for i := range replies {
		if err := replies[i].Err(); errors.Is(err, ErrNotFound) {
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
