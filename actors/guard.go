package actors

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/torc-io/torc/internal/certs"
)

// The reasons for which something from the network is refused. Those of the
// first group end the connection, before anything was said; see [TLS]. Those of
// the next three end the stream or the connection that it came by: no version of
// this software sends such a thing. Those of the last drop one message and go on
// with the next, since a newer node, or one that heard of a member earlier than we
// did, may well send it.
const (
	reasonHandshake     = "TLS handshake"       // not TLS 1.3, or cut short
	reasonNoCertificate = "no certificate"      // of a peer that speaks TLS
	reasonAuthority     = "foreign certificate" // of another CA
	reasonExpired       = "certificate expired" // or not yet valid
	reasonCertificate   = "bad certificate"     // not for this use, or not well-formed
	reasonName          = "certificate name"    // that of another node
	reasonProtocol      = "another protocol"    // that of another transport, or of no node at all

	reasonSessions  = "too many streams"   // see maxSessions
	reasonUndecoded = "undecodable frame"  // not of the form that it must have
	reasonStranger  = "unknown peer"       // says to have an address that is not, or no longer, a member's
	reasonIndex     = "index out of range" // of a type, target or sender
	reasonTooLarge  = "message too large"  // see maxWireBytes

	// Of [Remote] alone.
	reasonUnary       = "unary call"               // nodes make none; two of Proto.Actor's crash
	reasonFrame       = "not a frame for a server" // neither ConnectRequest nor MessageBatch
	reasonEntries     = "too many entries"         // in the lists of a batch
	reasonHeader      = "message header"           // we send none
	reasonConnect     = "bad connect request"      // a client's, or the second one
	reasonUnconnected = "batch before connect"     // nobody knows who is speaking
	reasonNil         = "missing entry"            // a null in a list
	reasonSerializer  = "serializer"               // other than protobuf

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
	// maxSessions bounds the streams that are open to this node, at a goroutine
	// and some buffers each. A peer needs one, and clusters have tens of nodes.
	maxSessions = 1024

	// warnEvery is how often one reason of refusal is logged at most, so that an
	// attacker does not write our log.
	warnEvery = 10 * time.Second
)

// guard is what stands at the ports of a node, whatever is spoken there. It lets
// in nothing but messages of wireTypes, from peers, to the processes that the
// policy names.
type guard struct {
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

// refuse counts something that was not let in, and returns it as an error.
func (g *guard) refuse(reason, from, detail string) error {
	g.policy.Rejected(reason)
	if g.shouldWarn(reason) {
		g.policy.Logger.Warn("refused from the network",
			slog.String("reason", reason), slog.String("peer", from), slog.String("detail", detail))
	}
	return &refusal{reason, detail}
}

// refusal is what the peer is told that was not let in.
type refusal struct{ reason, detail string }

// Error says why.
func (r *refusal) Error() string {
	return fmt.Sprintf("actors: refused: %s: %s", r.reason, r.detail)
}

// GRPCStatus is how gRPC takes it to the peer.
func (r *refusal) GRPCStatus() *status.Status { return status.New(codes.PermissionDenied, r.Error()) }

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

// panicked reports a panic that was caused by what came from the network.
func (g *guard) panicked(from string, r any) error {
	g.policy.Logger.Error("panic while taking a message",
		slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
	return g.refuse(reasonPanic, from, fmt.Sprint(r))
}

// session is one stream or connection from a peer. Its goroutine alone uses it.
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

// open decodes a message of a peer, or returns why it may not be delivered.
func (s *session) open(t protoreflect.MessageType, data []byte) (msg proto.Message, reason, detail string) {
	msg = t.New().Interface()
	if err := proto.Unmarshal(data, msg); err != nil {
		return nil, reasonPayload, fmt.Sprintf("%s: %v", t.Descriptor().FullName(), err)
	}
	if claimed := s.claims(msg); claimed != "" {
		return nil, reasonClaim, fmt.Sprintf("%s of %s by %s", t.Descriptor().FullName(), claimed, s.name)
	}
	return msg, "", ""
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

// withRequest returns pid as the address of one request. Messages
// share pid, so it is not written to.
func withRequest(pid *actor.PID, id uint32) *actor.PID {
	if pid.GetRequestId() == id {
		return pid
	}
	return &actor.PID{Address: pid.GetAddress(), Id: pid.GetId(), RequestId: id}
}

// deliver hands a message over, and outlives a process that panics inline.
func (s *session) deliver(target, sender *actor.PID, msg proto.Message) (reason, detail string) {
	defer s.survive()
	if !deliver(s.system, target, sender, msg) {
		return reasonNoProcess, target.GetId()
	}
	return "", ""
}

// survive is deferred where a process may run that panics.
func (s *session) survive() {
	if r := recover(); r != nil {
		_ = s.panicked(s.peer, r) // counted there
	}
}
