package actors

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	// batchSize is how many messages go into one frame. Beyond 128 the cost of a
	// frame no longer shows, and the first message would wait for the last.
	batchSize = 128

	// maxEntries bounds all lists of a batch together: each message may bring a
	// type, a target and a sender of its own. An empty entry is two bytes on the
	// wire and a hundred in memory, so it is counted before it is decoded.
	maxEntries = 4 * batchSize

	// maxFrameBytes bounds a frame: what can be queued, and room for addresses.
	maxFrameBytes = maxQueuedBytes + 1<<20
)

// remoteGuard is the receiving end of [Remote], in place of Proto.Actor's. That one
// lets anyone who reaches the port crash the process with one frame, stop any
// actor, or use the node as a relay. This one checks all that is in a frame before
// it touches any of it.
type remoteGuard struct {
	remote.UnimplementedRemotingServer
	*guard
}

// options make a gRPC server look at what it gets before it decodes it.
func (g *remoteGuard) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(g.serverCredentials()),
		grpc.UnaryInterceptor(g.unary),
		grpc.ForceServerCodecV2(&frameCodec{encoding.GetCodecV2(grpcproto.Name), g.guard}),
		grpc.MaxRecvMsgSize(maxFrameBytes),
	}
}

// unary refuses all unary calls.
func (g *remoteGuard) unary(_ context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
	return nil, g.refuse(reasonUnary, "", info.FullMethod)
}

// Receive serves one peer. It implements [remote.RemotingServer].
func (g *remoteGuard) Receive(stream remote.Remoting_ReceiveServer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = g.panicked("", r)
		}
	}()
	defer g.sessions.Add(-1)
	if g.sessions.Add(1) > maxSessions {
		return g.refuse(reasonSessions, "", fmt.Sprintf("the limit is %d", maxSessions))
	}
	return (&remoteSession{g.newSession(certificateOf(stream.Context()))}).serve(stream)
}

// remoteSession is a session over a stream of gRPC.
type remoteSession struct{ *session }

// serve takes frames until the stream ends or breaks the rules.
func (s *remoteSession) serve(stream remote.Remoting_ReceiveServer) error {
	for {
		frame, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		answer, err := s.take(frame)
		if err != nil {
			return err
		}
		if answer == nil {
			continue
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// take judges one frame and delivers what is in it. An error ends the session,
// and then nothing of the frame has been delivered.
func (s *remoteSession) take(frame *remote.RemoteMessage) (answer *remote.RemoteMessage, err error) {
	switch f := frame.GetMessageType().(type) {
	case *remote.RemoteMessage_ConnectRequest:
		return s.connect(f.ConnectRequest)
	case *remote.RemoteMessage_MessageBatch:
		return nil, s.batch(f.MessageBatch)
	default:
		return nil, s.refuse(reasonFrame, s.peer, fmt.Sprintf("%T", f))
	}
}

// connect learns who is speaking. Without TLS this is only their word for it.
func (s *remoteSession) connect(c *remote.ConnectRequest) (answer *remote.RemoteMessage, err error) {
	server := c.GetServerConnection()
	switch {
	case s.peer != "":
		return nil, s.refuse(reasonConnect, s.peer, "a second one")
	case server == nil:
		return nil, s.refuse(reasonConnect, "", "not from a server")
	}
	if s.name, err = s.memberAt(server.GetAddress()); err != nil {
		return nil, err
	}
	s.peer = server.GetAddress()
	response := &remote.ConnectResponse{MemberId: s.system.ID}
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectResponse{ConnectResponse: response}}, nil
}

// batch delivers the messages of a batch that is sound as a whole. Whether the
// peer is a member is asked each time: one that was removed must not go on by
// the stream that it has.
func (s *remoteSession) batch(b *remote.MessageBatch) error {
	if s.peer == "" {
		return s.refuse(reasonUnconnected, "", "send a ConnectRequest first")
	}
	if _, err := s.memberAt(s.peer); err != nil {
		return err
	}
	if reason, detail := checkBatch(b); reason != "" {
		return s.refuse(reason, s.peer, detail)
	}
	for _, e := range b.GetEnvelopes() {
		if reason, detail := s.envelope(b, e); reason != "" {
			_ = s.refuse(reason, s.peer, detail) // counted; the session goes on
		}
	}
	return nil
}

// checkBatch returns what is wrong with the form of a batch: whether all that
// its numbers point at is there, and within the limits.
func checkBatch(b *remote.MessageBatch) (reason, detail string) {
	if n := entries(b); n > maxEntries {
		return reasonEntries, fmt.Sprintf("%d, the limit is %d", n, maxEntries)
	}
	if hasNil(b.GetTargets()) || hasNil(b.GetSenders()) {
		return reasonNil, "a PID is null"
	}
	for i, e := range b.GetEnvelopes() {
		if reason := checkEnvelope(b, e); reason != "" {
			return reason, fmt.Sprintf("message %d of %d", i, len(b.GetEnvelopes()))
		}
	}
	return "", ""
}

// entries returns the length of all lists of a batch.
func entries(b *remote.MessageBatch) int {
	return len(b.GetTypeNames()) + len(b.GetTargets()) + len(b.GetSenders()) + len(b.GetEnvelopes())
}

func hasNil(pids []*actor.PID) bool {
	for _, pid := range pids {
		if pid == nil {
			return true
		}
	}
	return false
}

// checkEnvelope does for one envelope what checkBatch does for all. The index of
// a sender begins at 1, and 0 means that there is none.
func checkEnvelope(b *remote.MessageBatch, e *remote.MessageEnvelope) (reason string) {
	switch {
	case e == nil:
		return reasonNil
	case !within(e.GetTypeId(), len(b.GetTypeNames())),
		!within(e.GetTarget(), len(b.GetTargets())),
		!within(e.GetSender(), len(b.GetSenders())+1):
		return reasonIndex
	case e.GetSerializerId() != 0:
		return reasonSerializer
	case e.GetMessageHeader() != nil:
		return reasonHeader
	case len(e.GetMessageData()) > maxWireBytes:
		return reasonTooLarge
	default:
		return ""
	}
}

func within(index int32, length int) bool { return index >= 0 && int(index) < length }

// envelope delivers one message of a checked batch, or returns why not.
func (s *remoteSession) envelope(b *remote.MessageBatch, e *remote.MessageEnvelope) (reason, detail string) {
	target := withRequest(b.GetTargets()[e.GetTarget()], e.GetTargetRequestId())
	var sender *actor.PID
	if e.GetSender() > 0 {
		sender = withRequest(b.GetSenders()[e.GetSender()-1], e.GetSenderRequestId())
	}
	if reason := s.policy.admit(s.self, target, sender); reason != "" {
		return reason, fmt.Sprintf("to %s at %s", target.GetId(), target.GetAddress())
	}
	name := b.GetTypeNames()[e.GetTypeId()]
	messageType, ok := wireTypes[name]
	if !ok {
		return reasonType, name
	}
	msg, reason, detail := s.open(messageType, e.GetMessageData())
	if reason != "" {
		return reason, detail
	}
	return s.deliver(target, sender, msg)
}

// frameCodec decodes frames as gRPC does, but looks at their size first.
type frameCodec struct {
	encoding.CodecV2

	guard *guard
}

// Unmarshal refuses a frame that would take much more memory than it has bytes.
func (c *frameCodec) Unmarshal(data mem.BufferSlice, v any) error {
	frame, ok := v.(*remote.RemoteMessage)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	buffer := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buffer.Free()
	if reason := scanFrame(buffer.ReadOnlyData()); reason != "" {
		return c.guard.refuse(reason, "", fmt.Sprintf("frame of %d bytes", buffer.Len()))
	}
	if err := proto.Unmarshal(buffer.ReadOnlyData(), frame); err != nil {
		return c.guard.refuse(reasonUndecoded, "", err.Error())
	}
	return nil
}

// The numbers of the fields that scanFrame looks into.
const (
	fieldBatch     = 1 // RemoteMessage.message_batch
	fieldEnvelopes = 3 // MessageBatch.envelopes
	fieldHeader    = 6 // MessageEnvelope.message_header
)

// scanFrame returns why an encoded frame should not be decoded: it has too many
// entries, or a header, whose map could be as bad. Batches add up, for that is
// what decoding makes of a field that comes twice.
func scanFrame(frame []byte) (reason string) {
	entries := 0
	return scan(frame, func(field protowire.Number, batch []byte) string {
		if field != fieldBatch {
			return ""
		}
		return scan(batch, func(field protowire.Number, envelope []byte) string {
			entries++
			if entries > maxEntries {
				return reasonEntries
			}
			if field != fieldEnvelopes {
				return ""
			}
			return scan(envelope, refuseHeader)
		})
	})
}

func refuseHeader(field protowire.Number, _ []byte) string {
	if field == fieldHeader {
		return reasonHeader
	}
	return ""
}

// scan calls visit with each field of an encoded message, and the contents of
// those that have a length, until it returns a reason to stop.
func scan(message []byte, visit func(protowire.Number, []byte) string) (reason string) {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return reasonUndecoded
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(field, kind, message); n < 0 {
			return reasonUndecoded
		}
		var contents []byte
		if kind == protowire.BytesType {
			contents, _ = protowire.ConsumeBytes(message)
		}
		if reason := visit(field, contents); reason != "" {
			return reason
		}
		message = message[n:]
	}
	return ""
}
