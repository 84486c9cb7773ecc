package actors

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/internal/certs"
)

// The reasons for which something from the network is refused. Those of the
// first group end the connection, before anything was said; see [TLS]. Those of
// the second end the stream that it came by: no version of this software sends
// such a thing. Those of the third drop one message and go on with the next,
// since a newer node, or one that heard of a member earlier than we did, may
// well send it.
const (
	reasonHandshake     = "TLS handshake"       // not TLS 1.3, or cut short
	reasonNoCertificate = "no certificate"      // of a peer that speaks TLS
	reasonAuthority     = "foreign certificate" // of another CA
	reasonExpired       = "certificate expired" // or not yet valid
	reasonCertificate   = "bad certificate"     // not for this use, or not well-formed
	reasonName          = "certificate name"    // that of another node

	reasonUnary       = "unary call"               // nodes make none; two of Proto.Actor's crash
	reasonSessions    = "too many streams"         // see maxSessions
	reasonFrame       = "not a frame for a server" // neither ConnectRequest nor MessageBatch
	reasonUndecoded   = "undecodable frame"        // not a RemoteMessage
	reasonEntries     = "too many entries"         // in the lists of a batch
	reasonHeader      = "message header"           // we send none
	reasonStranger    = "unknown peer"             // says to have an address that is not, or no longer, a member's
	reasonConnect     = "bad connect request"      // a client's, or the second one
	reasonUnconnected = "batch before connect"     // nobody knows who is speaking
	reasonNil         = "missing entry"            // a null in a list
	reasonIndex       = "index out of range"       // of a type, target or sender
	reasonSerializer  = "serializer"               // other than protobuf
	reasonTooLarge    = "message too large"        // see maxWireBytes

	reasonType          = "message type"     // not in wireTypes; system messages are among these
	reasonPayload       = "malformed"        // does not decode as its type
	reasonTargetAddress = "target elsewhere" // we are no relay
	reasonTarget        = "target id"        // see Policy.Target
	reasonSender        = "sender"           // see Policy.admit
	reasonClaim         = "claimed node"     // it speaks for another than its certificate
	reasonNoProcess     = "no such process"  // allowed, but not there
	reasonPanic         = "panic"            // in the process that took the message
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

	// maxSessions bounds the streams that are open to this node, at a goroutine
	// and some buffers each. A peer needs one, and clusters have tens of nodes.
	maxSessions = 1024

	// warnEvery is how often one reason of refusal is logged at most, so that an
	// attacker does not write our log.
	warnEvery = 10 * time.Second
)

// guard is the receiving end of [Remote], in place of Proto.Actor's. That one lets
// anyone who reaches the port crash the process with one frame, stop any actor,
// or use the node as a relay. This one checks all that is in a frame before it
// touches any of it, and delivers nothing but messages of wireTypes, from peers,
// to the processes that the policy names.
type guard struct {
	remote.UnimplementedRemotingServer

	system   *actor.ActorSystem
	policy   Policy
	identity *certs.Identity // nil without TLS
	sessions atomic.Int64

	mu     sync.Mutex
	warned map[string]time.Time // when a reason was last logged
}

func newGuard(system *actor.ActorSystem, p Policy, identity *certs.Identity) *guard {
	return &guard{system: system, policy: p.withDefaults(), identity: identity, warned: make(map[string]time.Time)}
}

// options make a gRPC server look at what it gets before it decodes it.
func (g *guard) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(g.serverCredentials()),
		grpc.UnaryInterceptor(g.unary),
		grpc.ForceServerCodecV2(&frameCodec{encoding.GetCodecV2(grpcproto.Name), g}),
		grpc.MaxRecvMsgSize(maxFrameBytes),
	}
}

// refuse counts something that was not let in, and returns it as an error.
func (g *guard) refuse(reason, from, detail string) error {
	g.policy.Rejected(reason)
	if g.shouldWarn(reason) {
		g.policy.Logger.Warn("refused from the network",
			slog.String("reason", reason), slog.String("peer", from), slog.String("detail", detail))
	}
	return status.Errorf(codes.PermissionDenied, "actors: refused: %s: %s", reason, detail)
}

// shouldWarn says whether it is time for another line about reason.
func (g *guard) shouldWarn(reason string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if last, ok := g.warned[reason]; ok && now.Sub(last) < warnEvery {
		return false
	}
	g.warned[reason] = now
	return true
}

// unary refuses all unary calls.
func (g *guard) unary(_ context.Context, _ any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
	return nil, g.refuse(reasonUnary, "", info.FullMethod)
}

// Receive serves one peer. It implements [remote.RemotingServer].
func (g *guard) Receive(stream remote.Remoting_ReceiveServer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = g.panicked("", r)
		}
	}()
	defer g.sessions.Add(-1)
	if g.sessions.Add(1) > maxSessions {
		return g.refuse(reasonSessions, "", fmt.Sprintf("the limit is %d", maxSessions))
	}
	return g.newSession(certificateOf(stream.Context())).serve(stream)
}

// panicked reports a panic that was caused by what came from the network.
func (g *guard) panicked(from string, r any) error {
	g.policy.Logger.Error("panic while taking a message",
		slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
	return g.refuse(reasonPanic, from, fmt.Sprint(r))
}

// session is one stream from a peer. Its goroutine alone uses it.
type session struct {
	*guard

	self        string
	certificate *x509.Certificate // nil without TLS

	peer string // its address, once it has introduced itself
	name string // of the member who lives there
}

func (g *guard) newSession(certificate *x509.Certificate) *session {
	return &session{guard: g, self: g.system.Address(), certificate: certificate}
}

// serve takes frames until the stream ends or breaks the rules.
func (s *session) serve(stream remote.Remoting_ReceiveServer) error {
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
func (s *session) take(frame *remote.RemoteMessage) (answer *remote.RemoteMessage, err error) {
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
func (s *session) connect(c *remote.ConnectRequest) (answer *remote.RemoteMessage, err error) {
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

// memberAt returns the member who lives at an address, if the peer may speak for
// it.
func (s *session) memberAt(address string) (name string, err error) {
	name, known := s.policy.Peer(address)
	switch {
	case !known:
		return "", s.refuse(reasonStranger, address, "not the address of a member of the cluster")
	case s.identity == nil:
		return name, nil
	case s.certificate == nil || !certs.Names(s.certificate, name):
		return "", s.refuse(reasonName, address, fmt.Sprintf("it is the address of %s, and the certificate is for %s; give each node one of its own",
			name, namesIn(s.certificate)))
	}
	return name, nil
}

// batch delivers the messages of a batch that is sound as a whole. Whether the
// peer is a member is asked each time: one that was removed must not go on by
// the stream that it has.
func (s *session) batch(b *remote.MessageBatch) error {
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
func (s *session) envelope(b *remote.MessageBatch, e *remote.MessageEnvelope) (reason, detail string) {
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
	msg := messageType.New().Interface()
	if err := proto.Unmarshal(e.GetMessageData(), msg); err != nil {
		return reasonPayload, fmt.Sprintf("%s: %v", name, err)
	}
	if claimed := s.claims(msg); claimed != "" {
		return reasonClaim, fmt.Sprintf("%s of %s by %s", name, claimed, s.name)
	}
	return s.deliver(target, sender, msg)
}

// claims returns the node that a message says to be of, if the certificate at the
// other end shows that it is not; otherwise "". Replies count towards quorums
// and heartbeats keep their node alive, so nobody sends those of another.
func (s *session) claims(msg proto.Message) (node string) {
	m, ok := msg.(interface{ GetNode() string })
	if s.certificate == nil || !ok || m.GetNode() == s.name {
		return ""
	}
	return m.GetNode()
}

// withRequest returns pid as the address of one request. A PID of the batch is
// shared by its messages, so it is not written to.
func withRequest(pid *actor.PID, id uint32) *actor.PID {
	if pid.GetRequestId() == id {
		return pid
	}
	return &actor.PID{Address: pid.GetAddress(), Id: pid.GetId(), RequestId: id}
}

// deliver hands a message over, and outlives a process that panics inline.
func (s *session) deliver(target, sender *actor.PID, msg proto.Message) (reason, detail string) {
	defer func() {
		if r := recover(); r != nil {
			_ = s.panicked(s.peer, r) // counted there
		}
	}()
	if !deliver(s.system, target, sender, msg) {
		return reasonNoProcess, target.GetId()
	}
	return "", ""
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
