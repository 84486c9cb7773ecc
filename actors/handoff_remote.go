package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
)

const (
	// handoffService has one method, handoffMethod, which is one transfer. It is
	// registered and called by name, since a service of one stream is not worth a
	// second generator.
	handoffService = "torc.handoff.v1.Handoff"
	handoffMethod  = "Transfer"

	// addressHeader is where a sender says at which address it takes commands, by
	// which the receiver knows members.
	addressHeader = "torc-address"

	// handoffStreamWindow is what one transfer may have under way: four chunks of
	// the largest size, so that the network does not wait for the disk.
	handoffStreamWindow = 1 << 20

	// handoffConnWindow is what all transfers to a node may have under way
	// together: the window of as many as run by default. It is also what a peer
	// that does not read can make a node hold.
	handoffConnWindow = defaultTransfers * handoffStreamWindow

	// handoffBufferBytes makes a write to the network of each chunk, or of a few
	// small ones.
	handoffBufferBytes = 256 << 10

	// handoffStreamsPerConnection leaves room above any sensible TransferLimits,
	// and for transfers that are there only to be refused. One more waits for one
	// of them to end.
	handoffStreamsPerConnection = 64

	// maxHandoffStreams bounds the same from all peers, at a goroutine and a frame
	// or two each, which is some hundred megabytes.
	maxHandoffStreams = 256

	// handoffLinger is how long a connection is kept for the next transfer. The
	// sender closes it before the receiver does, so that no transfer begins on a
	// connection that is about to end.
	handoffLinger = idleTimeout / 2
)

// handoffStream describes the method to gRPC.
var handoffStream = grpc.StreamDesc{StreamName: handoffMethod, ServerStreams: true, ClientStreams: true}

// handoffs is the side of [Remote] that moves items: a server of its own, and
// connections of its own to those of peers, so that bulk data never stands before
// a command. The identity and the rules for peers are those of the guard.
type handoffs struct {
	guard   *guard
	self    string // the address for commands, by which peers know this node
	address string // where peers reach the server
	server  *grpc.Server
	serving chan struct{} // closed when server has ended
	streams atomic.Int64  // that peers have open

	mu     sync.Mutex
	closed bool
	conns  map[HandoffPeer]*handoffConn
}

// handoff returns where to listen for handoffs. It is called after Listen was checked.
func (c RemoteConfig) handoff() string {
	if c.Handoff != "" {
		return c.Handoff
	}
	host, _, _ := net.SplitHostPort(c.Listen)
	return net.JoinHostPort(host, "0")
}

// handoffAddress returns where peers reach the port for handoffs.
func (c RemoteConfig) handoffAddress(listener net.Listener) string {
	address := listener.Addr().String()
	if c.Advertise == "" {
		return address
	}
	host, _, _ := net.SplitHostPort(c.Advertise)
	_, port, _ := net.SplitHostPort(address)
	return net.JoinHostPort(host, port)
}

// newHandoffs lets peers in, by that listener and address.
func newHandoffs(g *guard, self string, listener net.Listener, address string) *handoffs {
	h := &handoffs{
		guard: g, self: self, address: address,
		serving: make(chan struct{}), conns: make(map[HandoffPeer]*handoffConn),
	}
	stream := handoffStream
	stream.Handler = h.serve
	h.server = grpc.NewServer(append(serverOptions(),
		grpc.Creds(g.serverCredentials()),
		grpc.MaxConcurrentStreams(handoffStreamsPerConnection),
		grpc.InitialWindowSize(handoffStreamWindow),
		grpc.InitialConnWindowSize(handoffConnWindow),
		grpc.ReadBufferSize(handoffBufferBytes),
		grpc.ForceServerCodecV2(newHandoffCodec()),
		grpc.MaxRecvMsgSize(maxHandoffFrameBytes),
		grpc.MaxSendMsgSize(maxHandoffFrameBytes),
	)...)
	h.server.RegisterService(&grpc.ServiceDesc{ServiceName: handoffService, Streams: []grpc.StreamDesc{stream}}, nil)
	go func() {
		defer close(h.serving)
		if err := h.server.Serve(listener); err != nil {
			g.policy.Logger.Error("the port for handoffs closed", slog.String("address", address), slog.Any("error", err))
		}
	}()
	return h
}

// close ends all streams in both directions, and waits for their handlers.
func (h *handoffs) close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	conns := h.conns
	h.conns = nil
	h.mu.Unlock()
	for _, c := range conns {
		c.close()
	}
	return finish(ctx, func() {
		h.server.Stop()
		<-h.serving
	})
}

// serve runs [Policy].Handoff for a stream from a peer.
func (h *handoffs) serve(_ any, stream grpc.ServerStream) (err error) {
	in := &handoffIn{stream, h.guard.newSession(certificateOf(stream.Context())), ""}
	if addresses := metadata.ValueFromIncomingContext(stream.Context(), addressHeader); len(addresses) > 0 {
		in.address = addresses[0]
	}
	defer func() {
		if r := recover(); r != nil {
			err = h.guard.panicked(in.address, r)
		}
	}()
	name, err := in.session.memberAt(in.address)
	if err != nil {
		return err
	}
	defer h.streams.Add(-1)
	if h.streams.Add(1) > maxHandoffStreams {
		return h.guard.refuse(reasonSessions, in.address, fmt.Sprintf("the limit is %d", maxHandoffStreams))
	}
	if h.guard.identity == nil {
		name = "" // it is only the peer's word
	}
	return answerOf(h.guard.policy.Handoff(stream.Context(), name, in))
}

// answerOf is how the error of a handler goes to the peer. A code of gRPC that is
// somewhere in it is about another stream, and would be misread.
func answerOf(err error) error {
	if err == nil {
		return nil
	}
	return status.Error(codes.Unknown, err.Error())
}

// handoffIn is the receiver's end of a stream of [Remote].
type handoffIn struct {
	grpc.ServerStream

	session *session
	address string // for commands, of the peer
}

// Recv implements [HandoffIn]. As a session of the guard does, it asks each time
// whether the peer is a member.
func (s *handoffIn) Recv() (*handoffpb.Frame, error) {
	frame := new(handoffpb.Frame)
	if err := s.RecvMsg(frame); err != nil {
		return nil, s.judge(err)
	}
	if _, err := s.session.memberAt(s.address); err != nil {
		return nil, err
	}
	return frame, nil
}

// judge counts what no version of this software sends, and for which gRPC has
// ended the stream.
func (s *handoffIn) judge(err error) error {
	switch {
	case status.Code(err) == codes.ResourceExhausted:
		return s.session.refuse(reasonTooLarge, s.address, err.Error())
	case status.Code(err) == codes.Internal:
		return s.session.refuse(reasonUndecoded, s.address, err.Error())
	case s.Context().Err() != nil:
		return s.Context().Err()
	}
	return err
}

// Send implements [HandoffIn].
func (s *handoffIn) Send(answer *handoffpb.Answer) error {
	if err := vetHandoff(s.address, answer); err != nil {
		return err
	}
	return s.SendMsg(answer)
}

// handoffConn is a connection to where a peer takes handoffs. The fields below
// conn are guarded by handoffs.mu.
type handoffConn struct {
	peer HandoffPeer
	conn *grpc.ClientConn

	uses int         // streams that are open or being opened
	idle *time.Timer // closes it; nil before it was idle
}

func (c *handoffConn) close() {
	if c.idle != nil {
		c.idle.Stop()
	}
	_ = c.conn.Close() // nothing is left to be lost
}

// open begins a stream. The connection may have to be made first, which takes
// connectTimeout at most.
func (h *handoffs) open(ctx context.Context, to HandoffPeer) (HandoffOut, error) {
	c, err := h.acquire(to)
	if err != nil {
		return nil, fmt.Errorf("actors: handoff to %s at %s: %w", to.Name, to.Address, err)
	}
	out := &handoffOut{ctx: ctx, to: to}
	out.ClientStream, err = c.conn.NewStream(metadata.AppendToOutgoingContext(ctx, addressHeader, h.self),
		&handoffStream, "/"+handoffService+"/"+handoffMethod,
		grpc.OnFinish(func(err error) { h.release(c, err) }))
	if err != nil {
		return nil, out.explain(err)
	}
	return out, nil
}

// acquire returns the connection to a peer, a new one if there is none.
func (h *handoffs) acquire(to HandoffPeer) (*handoffConn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, ErrStopping
	}
	c, ok := h.conns[to]
	if !ok {
		conn, err := h.dial(to)
		if err != nil {
			return nil, err
		}
		c = &handoffConn{peer: to, conn: conn}
		h.conns[to] = c
	}
	c.uses++
	return c, nil
}

// dial prepares a connection to the node of that name, and to no other: the
// address is where it is said to live, the certificate is what it must have.
func (h *handoffs) dial(to HandoffPeer) (*grpc.ClientConn, error) {
	key := insecure.NewCredentials()
	if h.guard.identity != nil {
		name := string(to.Name)
		key = &handshakes{credentials.NewTLS(h.guard.identity.Client(name)), h.guard, name + " at " + to.Address}
	}
	return grpc.NewClient("passthrough:///"+to.Address, append(dialOptions(key),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(newHandoffCodec()),
			grpc.MaxCallRecvMsgSize(maxHandoffFrameBytes), grpc.MaxCallSendMsgSize(maxHandoffFrameBytes)),
		grpc.WithWriteBufferSize(handoffBufferBytes),
	)...)
}

// release is called as a stream ends. A connection that broke is replaced by a
// new one, which looks at the files of the identity again, and not dialled in
// the background for nobody.
func (h *handoffs) release(c *handoffConn, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c.uses--
	switch {
	case h.conns[c.peer] != c: // it was closed
	case status.Code(err) == codes.Unavailable:
		h.drop(c)
	case c.uses == 0 && c.idle == nil:
		c.idle = time.AfterFunc(handoffLinger, func() { h.expire(c) })
	case c.uses == 0:
		c.idle.Reset(handoffLinger)
	}
}

// expire closes a connection that was idle for long.
func (h *handoffs) expire(c *handoffConn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conns[c.peer] == c && c.uses == 0 {
		h.drop(c)
	}
}

// drop closes a connection, and the next transfer makes another. The caller holds mu.
func (h *handoffs) drop(c *handoffConn) {
	delete(h.conns, c.peer)
	go c.close() // it ends its streams, which call release
}

// handoffOut is the sender's end of a stream of [Remote].
type handoffOut struct {
	grpc.ClientStream

	ctx context.Context // with which it was opened
	to  HandoffPeer
}

// Send implements [HandoffOut].
func (s *handoffOut) Send(frame *handoffpb.Frame) error {
	if err := vetHandoff(s.to.Address, frame); err != nil {
		return err
	}
	if err := s.SendMsg(frame); err != nil {
		return s.explain(err)
	}
	return nil
}

// Recv implements [HandoffOut].
func (s *handoffOut) Recv() (*handoffpb.Answer, error) {
	answer := new(handoffpb.Answer)
	if err := s.RecvMsg(answer); err != nil {
		return nil, s.explain(err)
	}
	return answer, nil
}

// explain says what ended the stream. Where the context did, gRPC's error is one
// of several, and the context's own is better.
func (s *handoffOut) explain(err error) error {
	code := status.Code(err)
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case s.ctx.Err() != nil:
		err = context.Cause(s.ctx)
	case code == codes.Unavailable || code == codes.Canceled: // by a connection that ended
		err = fmt.Errorf("%w: %w", ErrUnreachable, endOf(err))
	}
	return fmt.Errorf("actors: handoff to %s at %s: %w", s.to.Name, s.to.Address, err)
}
