package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"
)

const (
	// keepaliveTime is the shortest that grpc-go permits, and keepaliveTimeout
	// ends a connection whose other machine vanished. Heartbeats notice sooner;
	// this closes what they leave behind.
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 2 * time.Second

	// idleTimeout closes a connection to us that opens no stream.
	idleTimeout = 10 * time.Second

	// openTimeout closes one that does not even speak HTTP/2.
	openTimeout = 5 * time.Second

	// streamsPerConnection is one for the peer, and some for one that reconnects.
	streamsPerConnection = 4

	// headerBytes bounds HTTP/2 headers. Ours have some hundred bytes.
	headerBytes = 8 << 10

	// answerBytes bounds what a peer may say on a stream that we opened, which is
	// its name and nothing else.
	answerBytes = 4 << 10
)

// Remote is the transport over the network. It speaks the protocol of
// Proto.Actor's remote, one HTTP/2 stream for each direction between two nodes,
// opened by the first message; both ends of the stream are ours. The sending end
// is a [lane], and the receiving end a [guard].
//
// Those that come with Proto.Actor are not fit for a node that must not fail. Its
// reader executes what anybody sends. Its queues have no bound; a peer that was
// not there costs two seconds, and the event that tells of it may tear down the
// next connection; the port is opened by a function that panics, shutdown races
// with senders, and each start writes gRPC's global logger without a lock, so
// that two nodes in one process are a data race.
type Remote struct {
	ports

	server  *grpc.Server  // set by Start
	serving chan struct{} // closed when server has ended
}

var _ Transport = (*Remote)(nil)

// NewRemote returns a transport that Start will open.
func NewRemote(c RemoteConfig) *Remote {
	return &Remote{ports: ports{config: c}, serving: make(chan struct{})}
}

// Start implements [Transport].
func (t *Remote) Start(system *actor.ActorSystem, p Policy) (address string, err error) {
	return t.open(t, opening{system: system, policy: p, carry: t.carry, serve: t.serve})
}

// serve lets peers in.
func (t *Remote) serve(listener net.Listener) {
	g := &remoteGuard{guard: t.guard}
	t.server = grpc.NewServer(append(g.options(), serverOptions()...)...)
	remote.RegisterRemotingServer(t.server, g)
	go func() {
		defer close(t.serving)
		if err := t.server.Serve(listener); err != nil {
			t.policy.Logger.Error("the port for peers closed", slog.String("address", t.address), slog.Any("error", err))
		}
	}()
}

func serverOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.WaitForHandlers(true), // nothing is delivered once Stop has returned
		grpc.ConnectionTimeout(openTimeout),
		grpc.MaxConcurrentStreams(streamsPerConnection),
		grpc.MaxHeaderListSize(headerBytes),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             keepaliveTime / 2, // a client's clock may be a little fast
			PermitWithoutStream: true,
		}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: idleTimeout,
			Time:              keepaliveTime,
			Timeout:           keepaliveTimeout,
		}),
	}
}

func dialOptions(c credentials.TransportCredentials) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(c),
		grpc.WithNoProxy(), // HTTPS_PROXY is not meant for nodes
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(answerBytes)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:                keepaliveTime,
			Timeout:             keepaliveTimeout,
			PermitWithoutStream: true,
		}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: redialPause, Multiplier: 1, MaxDelay: redialPause},
			MinConnectTimeout: connectTimeout,
		}),
	}
}

// Stop implements [Transport]. It takes two seconds at most.
func (t *Remote) Stop(ctx context.Context) error {
	return t.shut(ctx, func(ctx context.Context) error {
		return finish(ctx, func() {
			t.server.Stop()
			<-t.serving
		})
	})
}

// carry connects to a peer and sends it what is queued, until either end stops.
func (t *Remote) carry(l *lane) {
	conn, err := t.dial(l.address)
	if err != nil {
		l.fail(err)
		return
	}
	defer func() { _ = conn.Close() }() // nothing is left to be lost
	stream, err := t.connect(l, conn)
	if err != nil {
		l.fail(err)
		return
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, err := stream.Recv()
		l.fail(endOf(err))
	}()
	t.sendAll(l, stream)
	<-ended
}

// dial prepares a connection to the member at an address, which is dialled as it
// is: no resolver stands between it and the network.
func (t *Remote) dial(address string) (*grpc.ClientConn, error) {
	c, err := t.guard.clientCredentials(address)
	if err != nil {
		return nil, err
	}
	return grpc.NewClient("passthrough:///"+address, dialOptions(c)...)
}

// connect opens a stream to a peer that accepts us in time.
func (t *Remote) connect(l *lane, conn *grpc.ClientConn) (remote.Remoting_ReceiveClient, error) {
	timer := time.AfterFunc(connectTimeout, func() { l.fail(errConnectTimeout) })
	defer timer.Stop()
	stream, err := remote.NewRemotingClient(conn).Receive(l.ctx)
	if err != nil {
		return nil, endOf(err)
	}
	if err := stream.Send(t.connectRequest()); err != nil && !errors.Is(err, io.EOF) {
		return nil, err // at EOF, Recv knows the cause
	}
	answer, err := stream.Recv()
	if err == nil && answer.GetConnectResponse() != nil {
		return stream, nil
	}
	return nil, endOf(err)
}

// connectRequest tells a peer who we are.
func (t *Remote) connectRequest() *remote.RemoteMessage {
	server := &remote.ServerConnection{SystemId: t.system.ID, Address: t.address}
	request := &remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ServerConnection{ServerConnection: server}}
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: request}}
}

// endOf returns what ended a stream that should have no more to say: a peer that
// says anything on it is leaving.
func endOf(err error) error {
	switch {
	case err == nil || errors.Is(err, io.EOF):
		return errClosedByPeer
	case isOtherProtocol(err), strings.Contains(err.Error(), "error reading server preface"):
		return fmt.Errorf("%w; if the peer runs, %s", err, sameTransport)
	case isRefusal(err):
		return fmt.Errorf("%w%s", err, refusedByPeer)
	}
	return err
}

// sendAll sends batches until the lane ends.
func (t *Remote) sendAll(l *lane, stream remote.Remoting_ReceiveClient) {
	e := newEncoder()
	for {
		batch := l.next(batchSize)
		if len(batch) == 0 {
			return
		}
		frame, err := e.encode(batch)
		if err != nil {
			l.fail(err)
			return
		}
		if err := stream.Send(frame); err != nil && !errors.Is(err, io.EOF) {
			l.fail(err) // at EOF, Recv knows the cause
		}
		l.sent(batch)
	}
}

// encoder makes frames. In a frame, types, targets and senders stand in lists,
// each of them once, and the messages refer to them by index.
type encoder struct {
	frame   *remote.MessageBatch
	types   map[string]int32
	targets map[pidKey]int32
	senders map[pidKey]int32
}

// pidKey is what is compared of a PID. Request ids stand with the messages.
type pidKey struct{ address, id string }

func newEncoder() *encoder {
	return &encoder{
		types:   make(map[string]int32),
		targets: make(map[pidKey]int32),
		senders: make(map[pidKey]int32),
	}
}

// encode makes a frame of some messages. That cannot fail, since they were
// vetted, unless one was changed after Send.
func (e *encoder) encode(batch []parcel) (*remote.RemoteMessage, error) {
	clear(e.types)
	clear(e.targets)
	clear(e.senders)
	e.frame = &remote.MessageBatch{Envelopes: make([]*remote.MessageEnvelope, len(batch))}
	envelopes := make([]remote.MessageEnvelope, len(batch))
	data := make([]byte, 0, sizeOf(batch))
	for i, p := range batch {
		begin := len(data)
		var err error
		if data, err = (proto.MarshalOptions{}).MarshalAppend(data, p.msg); err != nil {
			return nil, fmt.Errorf("actors: encode %T: %w; do not change a message after Send", p.msg, err)
		}
		envelopes[i].MessageData = data[begin:len(data):len(data)]
		e.address(&envelopes[i], p)
		e.frame.Envelopes[i] = &envelopes[i]
	}
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: e.frame}}, nil
}

func sizeOf(batch []parcel) (size int) {
	for _, p := range batch {
		size += p.size
	}
	return size
}

// address fills in what a message is, and from whom to whom it goes.
func (e *encoder) address(envelope *remote.MessageEnvelope, p parcel) {
	envelope.TypeId = e.typeIndex(string(proto.MessageName(p.msg)))
	envelope.Target = pidIndex(e.targets, &e.frame.Targets, p.target)
	envelope.TargetRequestId = p.target.GetRequestId()
	if p.sender != nil {
		envelope.Sender = pidIndex(e.senders, &e.frame.Senders, p.sender) + 1 // 0 is nobody
		envelope.SenderRequestId = p.sender.GetRequestId()
	}
}

// typeIndex returns the index of a type in the frame, and adds it if it is missing.
func (e *encoder) typeIndex(name string) int32 {
	i, ok := e.types[name]
	if !ok {
		i = int32(len(e.types))
		e.types[name] = i
		e.frame.TypeNames = append(e.frame.TypeNames, name)
	}
	return i
}

// pidIndex does the same for a PID in one of the lists.
func pidIndex(known map[pidKey]int32, list *[]*actor.PID, pid *actor.PID) int32 {
	key := pidKey{pid.GetAddress(), pid.GetId()}
	i, ok := known[key]
	if !ok {
		i = int32(len(known))
		known[key] = i
		*list = append(*list, &actor.PID{Address: key.address, Id: key.id})
	}
	return i
}
