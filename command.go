package torc

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/coordinator"
)

// Command sends commands of type Q, which are answered with an A. Registration
// returns it; its methods may be called from any goroutine but a handler's.
type Command[Q Keyed, A proto.Message] struct{ method *actors.Method }

// Name returns the command's name within its service.
func (c Command[Q, A]) Name() string { return c.method.Name }

// Do sends the command to the preference list of its key and returns the
// resolved reply of R or W replicas. The deadline is that of ctx, or
// Config.RequestTimeout. Errors are [ErrNotFound] and its like, or a
// [*QuorumError]. A write whose ctx is cancelled goes on: its outcome is unknown.
func (c Command[Q, A]) Do(ctx context.Context, on Sender, command Q, opts ...CallOption) (A, error) {
	var none A
	request, receipt := c.request(command, opts)
	response, err := on.Send(ctx, request)
	if receipt != nil {
		*receipt = response.Receipt
	}
	if err != nil {
		return none, err
	}
	return response.Value.(A), nil
}

// At sends the command to a single vnode: that of the partition, on its owner or
// whoever stands in for it. It is for tools and tests.
func (c Command[Q, A]) At(ctx context.Context, on Sender, p Partition, command Q) (A, error) {
	return c.Do(ctx, on, command, N(1), R(1), W(1), func(o *callOptions) { o.call.Partition = &p })
}

// All sends the command to the preference list, waits for every replica or the
// deadline, and returns each reply by itself, in the order of the list. The
// error is only for a command that could not be sent at all.
func (c Command[Q, A]) All(ctx context.Context, on Sender, command Q, opts ...CallOption) ([]Reply[A], error) {
	request, receipt := c.request(command, opts)
	request.Call.All = true
	response, err := on.Send(ctx, request)
	if receipt != nil {
		*receipt = response.Receipt
	}
	if err != nil {
		return nil, err
	}
	replies := make([]Reply[A], len(response.Replies))
	for i, r := range response.Replies {
		replies[i] = Reply[A]{Partition: r.Partition, Node: r.Node, Err: r.Err}
		if r.Value != nil {
			replies[i].Value = r.Value.(A)
		}
	}
	return replies, nil
}

// request makes the request of one call, and says where its receipt goes.
func (c Command[Q, A]) request(command Q, opts []CallOption) (Request, *Receipt) {
	call, receipt := apply(opts)
	return Request{Method: Method(c), Message: command, Call: call, Receipt: receipt != nil}, receipt
}

// Reply is what one replica answered.
type Reply[A proto.Message] struct {
	Partition Partition
	Node      NodeName
	Value     A     // when Err is nil
	Err       error // why there is no Value
}

// CallOption refines one call.
type CallOption func(*callOptions)

type callOptions struct {
	call    actors.Call
	receipt *Receipt
}

func apply(opts []CallOption) (actors.Call, *Receipt) {
	if len(opts) == 0 {
		return actors.Call{}, nil
	}
	var o callOptions
	for _, opt := range opts {
		opt(&o)
	}
	return o.call, o.receipt
}

// ParseCount reads a count of replicas as users write it: "one", "quorum" (the
// majority of n), "all" (n), or a number. The error is an [ErrQuorum].
func ParseCount(s string, n int) (int, error) { return coordinator.ParseCount(s, n) }

// N asks n replicas instead of the service's N. R and W, unless given too,
// become majorities of n.
func N(n int) CallOption { return func(o *callOptions) { o.call.N = &n } }

// R waits for r answers if the command is a read.
func R(r int) CallOption { return func(o *callOptions) { o.call.R = &r } }

// W waits for w acknowledgements if the command is a write.
func W(w int) CallOption { return func(o *callOptions) { o.call.W = &w } }

// Primaries wants at least n of the answers to come from primaries, not from
// nodes that stand in: Dynamo's strict quorum, riak's PR and PW.
func Primaries(n int) CallOption { return func(o *callOptions) { o.call.Primary = n } }

// Nodes wants answers from at least n different nodes.
func Nodes(n int) CallOption { return func(o *callOptions) { o.call.Nodes = n } }

// WithReceipt fills r with who answered, also if the call fails.
func WithReceipt(r *Receipt) CallOption { return func(o *callOptions) { o.receipt = r } }

// Receipt says who had answered when a request was decided.
type Receipt struct {
	N    int   // replicas asked
	Need int   // answers that were waited for
	Acks []Ack // those that came, in the order of the preference list
}

// Ack names one vnode that executed the command.
type Ack struct {
	Partition Partition
	Node      NodeName
}
