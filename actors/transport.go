package actors

import (
	"context"
	"fmt"
	"log/slog"
	"unicode/utf8"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

// Transport carries messages between nodes: at most once, and in order per pair
// of nodes while a connection lives. It never blocks the sender.
//
// Whoever waits for an answer enters itself where [Policy].Broken looks for it
// before it calls Send, not after. Then a message is answered, or Send returned
// an error, or Broken was called for its address, or the peer is alive and
// silent: that last case is for a deadline.
//
// All methods may be called from any goroutine.
type Transport interface {
	// Start opens the transport for system and returns the address by which
	// peers reach it, which becomes system.Address(). A PID that was made before
	// carries no address and cannot be answered from elsewhere, so call Start
	// before anything is spawned. A transport starts once.
	//
	// From then on a message that an actor sends to a PID of another node goes
	// through Send too, and becomes a dead letter where Send fails. Watching or
	// stopping a PID of another node is refused in the same way.
	Start(system *actor.ActorSystem, p Policy) (address string, err error)

	// Send hands msg to the process to.Id at to.Address. Answers go to sender,
	// whose RequestId travels along; it may be nil. The message and both PIDs are
	// immutable from now on, since they are encoded later and elsewhere.
	//
	// An error means that the message will not arrive: ErrTooLarge, ErrInvalid (not
	// of a type that crosses the wire), ErrOverloaded (too much is queued to that
	// peer), ErrUnreachable (its connection broke a moment ago), ErrStopping. The
	// first message to a peer has a connection made, and is queued meanwhile.
	Send(to, sender *actor.PID, msg proto.Message) error

	// Disconnect drops the connection to address and what is queued to it, as
	// when heartbeats say that the peer hangs. Broken is called for it.
	Disconnect(address string)

	// HandoffAddress returns where this node takes handoffs, for its peers to
	// know. It is called after Start.
	HandoffAddress() string

	// OpenHandoff opens a stream for one transfer, on a connection to the peer
	// that commands do not share. It ends with ctx. The peer has [Policy].Handoff
	// serve the other end.
	OpenHandoff(ctx context.Context, to HandoffPeer) (HandoffOut, error)

	// Stop ends all connections and drops what is queued: stop asking and
	// answering first. No message is delivered, and Broken is not called, once
	// Stop has returned nil. It must not be called from a delivery or from Broken.
	Stop(ctx context.Context) error
}

// Policy is what a node lets in, and whom it tells of broken connections. Its
// functions are called from many goroutines at once, and must not block.
type Policy struct {
	// Target says whether peers may address the process of that id.
	Target func(id string) bool
	// Peer returns the name of the member that has that address, if one has. Only
	// peers may connect, only they may be named as the sender of a message, and
	// with TLS they do so with a certificate of that name.
	Peer func(address string) (name string, ok bool)
	// Broken is called once for each connection to a peer that ended or could
	// not be made, after Send has begun to refuse messages for that address.
	Broken func(address string)
	// Handoff serves a transfer from a peer until it returns, and its error is
	// told to the peer. The name is that in the peer's certificate, "" without
	// TLS. Unlike the others it may block.
	Handoff func(ctx context.Context, peer string, in HandoffIn) error
	// Rejected counts what was refused, by reason.
	Rejected func(reason string)
	// Logger takes a line when a connection ends, and one in a while when
	// something is refused.
	Logger *slog.Logger
}

// withDefaults fills what p leaves out: nobody may do anything, nobody is told.
func (p Policy) withDefaults() Policy {
	if p.Target == nil {
		p.Target = func(string) bool { return false }
	}
	if p.Peer == nil {
		p.Peer = func(string) (string, bool) { return "", false }
	}
	if p.Broken == nil {
		p.Broken = func(string) {}
	}
	if p.Handoff == nil {
		p.Handoff = func(context.Context, string, HandoffIn) error { return ErrUnreachable }
	}
	if p.Rejected == nil {
		p.Rejected = func(string) {}
	}
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	return p
}

// admit returns why an envelope may not be delivered at the node self, or "".
func (p Policy) admit(self string, target, sender *actor.PID) string {
	if reason := p.admitTarget(self, target); reason != "" {
		return reason
	}
	return p.admitSender(self, sender)
}

// admitTarget is admit as far as the target is concerned.
func (p Policy) admitTarget(self string, target *actor.PID) string {
	switch {
	case target.GetAddress() != self:
		return reasonTargetAddress
	case !p.Target(target.GetId()):
		return reasonTarget
	default:
		return ""
	}
}

// admitSender is admit as far as the sender is concerned. It need not be the peer
// at the other end, for a vnode that moved forwards commands with the address of
// whoever asked. That may even be self; then the sender is where our own answer
// goes, so it must be a target, too.
func (p Policy) admitSender(self string, sender *actor.PID) string {
	switch {
	case sender == nil:
		return ""
	case sender.GetAddress() == self && p.Target(sender.GetId()):
		return ""
	case sender.GetAddress() != self && p.knows(sender.GetAddress()):
		return ""
	default:
		return reasonSender
	}
}

// knows says whether a member has that address.
func (p Policy) knows(address string) bool {
	_, known := p.Peer(address)
	return known
}

const (
	// maxWireBytes bounds an encoded message: the largest command or reply, and
	// room for what stands around it (method, node, error text).
	maxWireBytes = MaxMessageBytes + 8<<10

	// maxNameBytes bounds the address and the id of a PID that crosses the wire,
	// together. Ours are of some ten bytes, and a name of a host has 255 at most.
	maxNameBytes = 1 << 10

	// unstarted is the address of PIDs that were made before Start.
	unstarted = "nonhost"
)

// wireTypes are the messages that may cross the wire, by name. Proto.Actor's own
// are not among them, so no node can stop or watch an actor of another.
var wireTypes = typesOf(
	(*transportpb.Command)(nil),
	(*transportpb.Reply)(nil),
	(*transportpb.Heartbeat)(nil),
	(*transportpb.HeartbeatAck)(nil),
	(*transportpb.RepairRequest)(nil),
	(*transportpb.Push)(nil),
	(*transportpb.Gone)(nil),
)

func typesOf(messages ...proto.Message) map[string]protoreflect.MessageType {
	types := make(map[string]protoreflect.MessageType, len(messages))
	for _, m := range messages {
		types[string(proto.MessageName(m))] = m.ProtoReflect().Type()
	}
	return types
}

// vet returns the encoded size of a message that may be sent. What fails here
// would otherwise fail in another goroutine, where nobody hears of it.
func vet(to, sender *actor.PID, msg proto.Message) (size int, err error) {
	if to.GetAddress() == "" || to.GetAddress() == unstarted {
		return 0, fmt.Errorf("actors: send to %q at %q: %w: no address; start the transport before making PIDs",
			to.GetId(), to.GetAddress(), ErrInvalid)
	}
	if sender != nil && (sender.GetAddress() == "" || sender.GetAddress() == unstarted) {
		return 0, fmt.Errorf("actors: send to %s: %w: sender %q has no address; start the transport before making PIDs",
			to.GetAddress(), ErrInvalid, sender.GetId())
	}
	if nameBytes(to) > maxNameBytes || nameBytes(sender) > maxNameBytes {
		return 0, fmt.Errorf("actors: send to %s: %w: an address with its id has at most %d bytes", to.GetAddress(), ErrTooLarge, maxNameBytes)
	}
	if err := encodable(msg); err != nil {
		return 0, fmt.Errorf("actors: send to %s: %w", to.GetAddress(), err)
	}
	size = proto.Size(msg)
	if size > maxWireBytes {
		return 0, fmt.Errorf("actors: send to %s: %w: %T of %d bytes, the limit is %d; split it",
			to.GetAddress(), ErrTooLarge, msg, size, maxWireBytes)
	}
	return size, nil
}

func nameBytes(pid *actor.PID) int { return len(pid.GetAddress()) + len(pid.GetId()) }

// encodable says what keeps msg from being encoded: it is none of wireTypes, or
// a string in it is not UTF-8.
func encodable(msg proto.Message) error {
	var ok bool
	switch m := msg.(type) {
	case *transportpb.Command:
		ok = m != nil && utf8.ValidString(m.GetMethod())
	case *transportpb.Reply:
		ok = m != nil && utf8.ValidString(m.GetNode()) && utf8.ValidString(m.GetError())
	case *transportpb.Heartbeat:
		ok = m != nil && utf8.ValidString(m.GetNode()) && utf8.ValidString(m.GetHandoff())
	case *transportpb.HeartbeatAck:
		ok = m != nil && utf8.ValidString(m.GetNode()) && utf8.ValidString(m.GetHandoff())
	case *transportpb.RepairRequest:
		ok = m != nil && utf8.ValidString(m.GetNode())
	case *transportpb.Push:
		ok = m != nil && utf8.ValidString(m.GetInbox())
	case *transportpb.Gone:
		ok = m != nil && utf8.ValidString(m.GetNode()) && utf8.ValidString(m.GetInbox())
	default:
		return fmt.Errorf("%w: %T does not cross the wire; wrap it in a Command or a Reply", ErrInvalid, msg)
	}
	if !ok {
		return fmt.Errorf("%w: %T is nil, or has a string that is not UTF-8; use a bytes field", ErrInvalid, msg)
	}
	return nil
}

// deliver hands msg to a process of this node; false if there is none. It runs
// the process inline if that is how it takes messages.
func deliver(system *actor.ActorSystem, target, sender *actor.PID, msg proto.Message) bool {
	process, ok := system.ProcessRegistry.GetLocal(target.GetId())
	if !ok {
		return false
	}
	process.SendUserMessage(target, &actor.MessageEnvelope{Message: msg, Sender: sender})
	return true
}

// deliverHere is deliver for a message that this node sends to itself.
func deliverHere(system *actor.ActorSystem, target, sender *actor.PID, msg proto.Message) error {
	if !deliver(system, target, sender, msg) {
		return fmt.Errorf("actors: send to %s here: %w: there is no such process", target.GetId(), ErrUnreachable)
	}
	return nil
}

// outlet is the process behind every PID of another node, so that what actors
// send by themselves takes the same way, with the same limits, as all the rest.
type outlet struct {
	system    *actor.ActorSystem
	transport Transport
}

var _ actor.Process = (*outlet)(nil)

// routeThrough makes all PIDs of other nodes resolve to t.
func routeThrough(system *actor.ActorSystem, t Transport) {
	o := &outlet{system, t}
	system.ProcessRegistry.RegisterAddressResolver(func(*actor.PID) (actor.Process, bool) { return o, true })
}

// SendUserMessage sends a message, or makes it a dead letter.
func (o *outlet) SendUserMessage(pid *actor.PID, message any) {
	_, inner, sender := actor.UnwrapEnvelope(message)
	msg, ok := inner.(proto.Message)
	if !ok || o.transport.Send(pid, sender, msg) != nil {
		o.system.DeadLetter.SendUserMessage(pid, message)
	}
}

// SendSystemMessage refuses: who watches a PID of another node hears at once
// that it was not found.
func (o *outlet) SendSystemMessage(pid *actor.PID, message any) {
	o.system.DeadLetter.SendSystemMessage(pid, message)
}

// Stop refuses: a node stops its own actors only.
func (o *outlet) Stop(pid *actor.PID) { o.system.DeadLetter.Stop(pid) }
