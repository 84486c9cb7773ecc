package client

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/failure"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
)

func encodeRequest(r torc.Request) (*torcpb.ExecuteRequest, error) {
	message, err := anypb.New(r.Message)
	if err != nil {
		return nil, fmt.Errorf("client: %w: %w", torc.ErrInvalid, err)
	}
	asked := &torcpb.ExecuteRequest{
		Service: r.Method.Service(), Command: r.Method.Name(), Message: message,
		N: count(r.Call.N), R: count(r.Call.R), W: count(r.Call.W),
		Primaries: clamp(r.Call.Primary), Nodes: clamp(r.Call.Nodes), All: r.Call.All,
	}
	if r.Call.Partition != nil {
		asked.Partition = new(uint32(*r.Call.Partition))
	}
	return asked, nil
}

func count(given *int) *int32 {
	if given == nil {
		return nil
	}
	return new(clamp(*given))
}

// clamp keeps a count that no cluster could meet one that no cluster can.
func clamp(n int) int32 { return int32(max(math.MinInt32, min(n, math.MaxInt32))) }

// decodeResponse reads an answer to a command of the method.
func decodeResponse(answer *torcpb.ExecuteResponse, m torc.Method) (torc.Response, error) {
	response := torc.Response{Receipt: decodeReceipt(answer.GetReceipt())}
	var err error
	if answer.GetReply() != nil {
		response.Value, err = decodeValue(answer.GetReply(), m)
	}
	for _, r := range answer.GetReplies() {
		reply := torc.Reply[proto.Message]{Partition: torc.Partition(r.GetPartition()), Node: torc.NodeName(r.GetNode())}
		if r.GetValue() == nil {
			reply.Err = failure.New(r.GetError(), r.GetReasons())
		} else {
			reply.Value, reply.Err = decodeValue(r.GetValue(), m)
		}
		response.Replies = append(response.Replies, reply)
	}
	return response, err
}

func decodeReceipt(r *torcpb.Receipt) torc.Receipt {
	receipt := torc.Receipt{N: int(r.GetN()), Need: int(r.GetNeed())}
	for _, ack := range r.GetAcks() {
		receipt.Acks = append(receipt.Acks, torc.Ack{Partition: torc.Partition(ack.GetPartition()), Node: torc.NodeName(ack.GetNode())})
	}
	return receipt
}

// decodeValue reads a reply. One that cannot be read comes from a node with
// another version of the service: the command was executed, and what it
// returned is not known.
func decodeValue(encoded *anypb.Any, m torc.Method) (proto.Message, error) {
	value := m.NewReply()
	if err := encoded.UnmarshalTo(value); err != nil {
		return nil, fmt.Errorf("client: %s of %s was executed, and the reply cannot be read: %w", m.Name(), m.Service(), err)
	}
	return value, nil
}
