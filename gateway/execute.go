package gateway

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/failure"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
)

// commandService is torc.v1.CommandService at one node.
type commandService struct {
	node    torc.Sender
	catalog *catalog
}

// Execute sends a command. Whatever goes wrong becomes a code with details.
func (s *commandService) Execute(ctx context.Context, asked *torcpb.ExecuteRequest) (*torcpb.ExecuteResponse, error) {
	method, err := s.catalog.find(asked.GetService(), asked.GetCommand(), asked.GetMessage())
	if err != nil {
		return nil, failure.Encode(err, false)
	}
	answer, err := s.execute(ctx, method, asked)
	if err == nil {
		return answer, nil
	}
	coded := failure.Encode(err, method.Writes())
	if answer.GetReceipt().GetN() > 0 {
		failure.Attach(coded, answer.GetReceipt())
	}
	return nil, coded
}

// execute sends the command on. Beside an error there may be a receipt.
func (s *commandService) execute(ctx context.Context, method torc.Method, asked *torcpb.ExecuteRequest) (*torcpb.ExecuteResponse, error) {
	command := method.NewCommand()
	if err := proto.Unmarshal(asked.GetMessage().GetValue(), command); err != nil {
		return nil, fmt.Errorf("%w: the message is no %s: %w", torc.ErrInvalid, typeOf(method), err)
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	request := torc.Request{Method: method, Message: command, Call: callOf(asked), Receipt: true}
	response, err := s.node.Send(ctx, request)
	if err != nil {
		return &torcpb.ExecuteResponse{Receipt: encodeReceipt(response.Receipt)}, err
	}
	return encode(response)
}

// bounded keeps the deadline below the longest. Without one the node has its own.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, MaxTimeout)
}

// callOf reads what is asked of the replicas. The node checks the counts.
func callOf(asked *torcpb.ExecuteRequest) torc.Call {
	call := torc.Call{
		N: count(asked.N), R: count(asked.R), W: count(asked.W),
		Primary: int(asked.GetPrimaries()), Nodes: int(asked.GetNodes()), All: asked.GetAll(),
	}
	if asked.Partition != nil {
		p := torc.Partition(asked.GetPartition())
		call.Partition = &p
	}
	return call
}

func count(given *int32) *int {
	if given == nil {
		return nil
	}
	n := int(*given)
	return &n
}

// encode makes the answer of a response.
func encode(response torc.Response) (*torcpb.ExecuteResponse, error) {
	answer := &torcpb.ExecuteResponse{Receipt: encodeReceipt(response.Receipt)}
	var err error
	if answer.Reply, err = encodeValue(response.Value); err != nil {
		return nil, err
	}
	for _, r := range response.Replies {
		reply, err := encodeReply(r)
		if err != nil {
			return nil, err
		}
		answer.Replies = append(answer.Replies, reply)
	}
	return answer, nil
}

func encodeReceipt(r torc.Receipt) *torcpb.Receipt {
	receipt := &torcpb.Receipt{N: int32(r.N), Need: int32(r.Need)}
	for _, ack := range r.Acks {
		receipt.Acks = append(receipt.Acks, &torcpb.Ack{Partition: uint32(ack.Partition), Node: string(ack.Node)})
	}
	return receipt
}

func encodeReply(r torc.Reply[proto.Message]) (*torcpb.Reply, error) {
	reply := &torcpb.Reply{Partition: uint32(r.Partition), Node: string(r.Node)}
	if r.Err == nil {
		var err error
		reply.Value, err = encodeValue(r.Value)
		return reply, err
	}
	reply.Error, reply.Reasons = failure.Text(r.Err), failure.Reasons(r.Err)
	return reply, nil
}

func encodeValue(value proto.Message) (*anypb.Any, error) {
	if value == nil {
		return nil, nil //nolint:nilnil // no value is no error: there are its replies instead
	}
	encoded, err := anypb.New(value)
	if err != nil {
		return nil, fmt.Errorf("encode the reply: %w", err)
	}
	return encoded, nil
}
