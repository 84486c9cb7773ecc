package torc

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/coordinator"
)

// Sender is what commands are sent through: a [*Node] from within the cluster,
// or a client.Client from outside. Programs call the methods of a [Command],
// which call Send.
type Sender interface {
	// Send executes one command. Its errors are those of [Command.Do]; beside an
	// error there may be a receipt.
	Send(ctx context.Context, r Request) (Response, error)
}

// Request is a command without its Go types.
type Request struct {
	Method  Method
	Message proto.Message // of the method's command type; immutable once sent
	Call    Call
	// Receipt asks for [Response.Receipt], which takes a little time to make.
	Receipt bool
}

// Response is what came of a Request.
type Response struct {
	// Value is the resolved reply, of the method's reply type; nil if there was
	// an error, or if every reply was asked for.
	Value proto.Message
	// Replies are those of the replicas, in the order of the preference list, if
	// every reply was asked for.
	Replies []Reply[proto.Message]
	// Receipt says who had answered, if that was asked for.
	Receipt Receipt
}

// Method is a command of a service without its Go types, for programs that pass
// on commands which others defined. [Node.Methods] has them.
type Method struct{ method *actors.Method }

// Service returns the name of the service.
func (m Method) Service() string { return m.method.Service.Name }

// Name returns the command's name within its service: that of its message,
// without the package.
func (m Method) Name() string { return m.method.Name }

// Writes says whether the command may change state.
func (m Method) Writes() bool { return m.method.Kind == coordinator.Write }

// NewCommand returns an empty message of the command's type.
func (m Method) NewCommand() proto.Message { return m.method.NewCommand() }

// NewReply returns an empty message of the reply's type.
func (m Method) NewReply() proto.Message { return m.method.NewReply() }

// Methods returns the commands of all services that the node runs, ordered by
// service and name.
func (n *Node) Methods() []Method {
	var methods []Method
	for _, service := range n.node.Services() {
		for _, name := range service.Methods() {
			m, _ := service.Method(name)
			methods = append(methods, Method{m})
		}
	}
	slices.SortFunc(methods, func(a, b Method) int {
		return cmp.Or(cmp.Compare(a.Service(), b.Service()), cmp.Compare(a.Name(), b.Name()))
	})
	return methods
}

// Send executes a command whose types are not known. Where they are, the
// methods of its [Command] are what to call.
func (n *Node) Send(ctx context.Context, r Request) (Response, error) {
	if r.Method.method == nil {
		return Response{}, fmt.Errorf("%w: the request names none", ErrUnknownCommand)
	}
	call := r.Call
	call.Replies = r.Receipt || call.All
	answer, err := n.node.Execute(ctx, r.Method.method, r.Message, call)
	if answer.N == 0 {
		return Response{}, err
	}
	response := Response{Value: answer.Value}
	if r.Receipt {
		response.Receipt = receiptOf(answer)
	}
	if r.Call.All {
		response.Value, response.Replies = nil, repliesOf(answer)
		return response, nil // each reply says by itself what was wrong
	}
	return response, err
}

// receiptOf says who had answered.
func receiptOf(a actors.Answer) Receipt {
	r := Receipt{N: a.N, Need: a.Need}
	for _, reply := range a.Replies {
		if reply.Err() == nil {
			r.Acks = append(r.Acks, Ack{reply.Partition, reply.Node})
		}
	}
	return r
}

// repliesOf returns each reply by itself.
func repliesOf(a actors.Answer) []Reply[proto.Message] {
	replies := make([]Reply[proto.Message], len(a.Replies))
	for i, r := range a.Replies {
		replies[i] = Reply[proto.Message]{Partition: r.Partition, Node: r.Node, Value: r.Message, Err: r.Err()}
	}
	return replies
}
