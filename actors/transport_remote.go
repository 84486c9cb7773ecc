package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
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
	// connectTimeout bounds making a connection, from the first packet until the
	// peer has accepted us. A peer that answers no heartbeat for as long is down
	// anyway.
	connectTimeout = 2 * time.Second

	// stopTimeout bounds Stop when its context does not. Connections end within
	// milliseconds; only a delivery that hangs takes longer.
	stopTimeout = 2 * time.Second

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

// errConnectTimeout is why a lane ends whose peer takes the connection, but does
// not accept us.
var errConnectTimeout = fmt.Errorf("no answer to the connect request within %v", connectTimeout)

// RemoteConfig says where a node listens.
type RemoteConfig struct {
	// Listen is the host:port for connections from peers. Port 0 takes a free one.
	// Off loopback it takes TLS, or Insecure.
	Listen string
	// Advertise is the host:port by which peers reach Listen, if that differs.
	Advertise string
	// Handoff is the host:port for handoffs from peers; by default a free port on
	// the host of Listen. Peers reach it on the host of Advertise.
	Handoff string
	// Name is the node's own, which its certificate must have; it is of no use
	// without TLS.
	Name string
	// TLS makes all connections of the node authenticated and encrypted. All nodes
	// of a cluster have it, or none.
	TLS *TLS
	// Insecure lets a node without TLS listen off loopback. Whoever reaches its
	// port, or sees its traffic, may then read and write everything as a member.
	Insecure bool
}

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
	life

	config   RemoteConfig
	guard    *guard // set by Start
	server   *grpc.Server
	serving  chan struct{} // closed when server has ended
	handoffs *handoffs     // set by Start
}

var _ Transport = (*Remote)(nil)

// NewRemote returns a transport that Start will open.
func NewRemote(c RemoteConfig) *Remote { return &Remote{config: c, serving: make(chan struct{})} }

// Start implements [Transport].
func (t *Remote) Start(system *actor.ActorSystem, p Policy) (address string, err error) {
	err = t.begin(func() error {
		p = p.withDefaults()
		identity, err := t.config.identity(p)
		if err != nil {
			return err
		}
		listener, bulk, err := t.config.listen(p.Logger)
		if err != nil {
			return err
		}
		t.system, t.policy, t.guard, t.address = system, p, newGuard(system, p, identity), t.config.Advertise
		if t.address == "" {
			t.address = listener.Addr().String()
		}
		t.lanes = newLanes(t.policy, t.carry)
		system.ProcessRegistry.Address = t.address
		routeThrough(system, t)
		t.serve(listener)
		t.handoffs = newHandoffs(t.guard, t.address, bulk, t.config.handoffAddress(bulk))
		return nil
	})
	return t.address, err
}

// check refuses what no port can be opened for, or none should.
func (c RemoteConfig) check() error {
	if err := c.checkPort(c.Listen); err != nil {
		return err
	}
	if err := c.checkPort(c.handoff()); err != nil {
		return err
	}
	if c.TLS != nil && c.Insecure {
		return errors.New("actors: both TLS and Insecure are set: nothing of TLS can be left out, so choose one")
	}
	if c.Advertise == "" {
		return nil
	}
	if host, port, err := net.SplitHostPort(c.Advertise); err != nil || host == "" || port == "" {
		return fmt.Errorf("actors: advertise %q: not an address; use host:port", c.Advertise)
	}
	return nil
}

// checkPort does so for one address.
func (c RemoteConfig) checkPort(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("actors: listen on %q: %w; use host:port, such as 127.0.0.1:7000", address, err)
	}
	if c.TLS == nil && !c.Insecure && host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return fmt.Errorf("actors: listen on %s: refused off loopback without TLS, since whoever reaches the port would be taken for a member: "+
			"set TLS (--tls-ca, --tls-cert and --tls-key), or Insecure (--insecure) where all who reach it are trusted", address)
	}
	return nil
}

// listen opens the ports for commands and for handoffs.
func (c RemoteConfig) listen(logger *slog.Logger) (commands, handoffs net.Listener, err error) {
	if err := c.check(); err != nil {
		return nil, nil, err
	}
	if c.Insecure {
		logger.Warn("the ports for peers take everyone for a member who says so, and encrypt nothing",
			slog.String("listen", c.Listen), slog.String("handoff", c.handoff()))
	}
	if commands, err = listenOn(c.Listen); err != nil {
		return nil, nil, err
	}
	if handoffs, err = listenOn(c.handoff()); err != nil {
		_ = commands.Close() // nobody has used it
		return nil, nil, err
	}
	return commands, handoffs, nil
}

func listenOn(address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("actors: listen on %s: %w; stop what uses it, or choose another port", address, err)
	}
	return listener, nil
}

// serve lets peers in.
func (t *Remote) serve(listener net.Listener) {
	t.server = grpc.NewServer(append(t.guard.options(), serverOptions()...)...)
	remote.RegisterRemotingServer(t.server, t.guard)
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

// Send implements [Transport].
func (t *Remote) Send(to, sender *actor.PID, msg proto.Message) error {
	return t.send(parcel{target: to, sender: sender, msg: msg})
}

// HandoffAddress implements [Transport].
func (t *Remote) HandoffAddress() string { return t.handoffs.address }

// OpenHandoff implements [Transport].
func (t *Remote) OpenHandoff(ctx context.Context, to HandoffPeer) (HandoffOut, error) {
	if !t.running.Load() {
		return nil, fmt.Errorf("actors: handoff to %s at %s: %w", to.Name, to.Address, ErrStopping)
	}
	return t.handoffs.open(ctx, to)
}

// Stop implements [Transport]. It takes two seconds at most.
func (t *Remote) Stop(ctx context.Context) error {
	if !t.end() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return errors.Join(
		t.handoffs.close(ctx),
		t.lanes.close(ctx),
		finish(ctx, func() {
			t.server.Stop()
			<-t.serving
		}),
	)
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
