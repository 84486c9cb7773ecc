package actors

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	"github.com/torc-io/torc/ring"
)

// attempt opens a stream as anybody may who says to be at that address, sends a
// message, and returns what comes back.
func (d door) attempt(t *testing.T, address string, message any) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if address != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, addressHeader, address)
	}
	stream, err := d.connect(t).NewStream(ctx, &handoffStream, "/"+handoffService+"/"+handoffMethod)
	if err != nil {
		return err
	}
	_ = stream.SendMsg(message) // RecvMsg knows the error
	return stream.RecvMsg(new(handoffpb.Answer))
}

// exchange moves one chunk from one node to another.
func (n *wireNode) exchange(to *wireNode, name ring.NodeName) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := n.OpenHandoff(ctx, HandoffPeer{Name: name, Address: to.HandoffAddress()})
	if err != nil {
		return err
	}
	if err := out.Send(chunk(1, nil)); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = out.Recv()
	return err
}

// TestHandoffIsBoundToTheName: the sender demands the receiver's certificate, and
// the receiver learns the sender's name from the sender's.
func TestHandoffIsBoundToTheName(t *testing.T) {
	noLeaks(t)
	c := newSecureCluster(t, overGRPC)
	a, b := c.node("a"), c.node("b")
	peers := make(chan string, 1)
	b.handle(func(ctx context.Context, peer string, in HandoffIn) error {
		peers <- peer
		return acknowledge(ctx, peer, in)
	})
	if err := a.exchange(b, "b"); err != nil {
		t.Fatal(err)
	}
	if got := await(t, peers, "the handler"); got != "a" {
		t.Errorf("the receiver was called by %q", got)
	}
	if err := a.exchange(b, "c"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("c was looked for where b lives: %v", err)
	}
	a.wantReason(t, reasonName)
	if len(peers) > 0 {
		t.Error("a transfer to c reached b")
	}
}

// TestHandoffRefusesStrangers, whatever their certificate says.
func TestHandoffRefusesStrangers(t *testing.T) {
	noLeaks(t)
	c := newSecureCluster(t, overGRPC)
	victim := c.node("victim")
	c.live(friend, "friend")
	victim.handle(func(context.Context, string, HandoffIn) error {
		t.Error("was let in")
		return nil
	})
	as := func(name string) *tls.Config { return c.identity(name).Client("victim") }
	in := door{victim.HandoffAddress(), as("friend")}
	tests := []struct {
		name, reason string
		door         door
		address      string
	}{
		{"no address", reasonStranger, in, ""},
		{"of nobody", reasonStranger, in, stranger},
		{"of another", reasonName, door{in.address, as("other")}, friend},
		{"plaintext", reasonHandshake, unlocked(in.address), friend},
		{"another CA", reasonAuthority, door{in.address, c.foreignKey("friend")}, friend},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := test.door.attempt(t, test.address, chunk(1, nil)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("got %v", err)
			}
			victim.wantReason(t, test.reason)
		})
	}
}

// foreignKey is how one calls the victim who trusts its CA, and has a certificate
// of another.
func (c *secureCluster) foreignKey(from string) *tls.Config {
	config := c.identity(from).Client("victim")
	config.GetClientCertificate = newSecureCluster(c.t, overGRPC).identity(from).Client("victim").GetClientCertificate
	return config
}

// TestHandoffEndsWithMembership: who is no member any more goes on no further.
func TestHandoffEndsWithMembership(t *testing.T) {
	noLeaks(t)
	c := newSecureCluster(t, overGRPC)
	a, b := c.node("a"), c.node("b")
	b.handle(acknowledge)
	out, _ := a.transfer(b)
	if err := out.Send(chunk(1, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Recv(); err != nil {
		t.Fatal(err)
	}
	c.live(a.address, "")
	if err := out.Send(chunk(2, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Recv(); err == nil || !strings.Contains(err.Error(), reasonStranger) {
		t.Errorf("got %v", err)
	}
	b.wantReason(t, reasonStranger)
}

// TestHandoffSurvives what comes from a member that has gone mad, or from anybody
// where there is no TLS.
func TestHandoffSurvives(t *testing.T) {
	noLeaks(t)
	a, b := newRemoteNode(t), newRemoteNode(t)
	b.handle(acknowledge)
	in := unlocked(b.HandoffAddress())
	tests := []struct {
		name, reason string
		message      any
	}{
		{"oversize", reasonTooLarge, chunk(1, make([]byte, maxHandoffFrameBytes))},
		{"undecodable", reasonUndecoded, wrapperspb.Bytes([]byte{0xff, 0xff})}, // its field 1 is hello
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := in.attempt(t, a.address, test.message); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("got %v", err)
			}
			b.wantReason(t, test.reason)
		})
	}
	t.Run("methods", func(t *testing.T) {
		conn := in.connect(t)
		for _, method := range []string{"/" + handoffService + "/NoSuchMethod", "/remote.Remoting/Receive", "/", "nonsense"} {
			err := conn.Invoke(context.Background(), method, chunk(1, nil), new(handoffpb.Answer))
			if status.Code(err) != codes.Unimplemented {
				t.Errorf("%s: %v", method, err)
			}
		}
	})
	t.Run("unary", func(t *testing.T) {
		ctx := metadata.AppendToOutgoingContext(t.Context(), addressHeader, a.address)
		_ = in.connect(t).Invoke(ctx, "/"+handoffService+"/"+handoffMethod, chunk(1, nil), new(handoffpb.Answer))
	})
	for i, noise := range []string{"\x00\xff\x13\x37 nonsense", "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\xff\x13\x37\x00\xff\x13\x37"} {
		t.Run(fmt.Sprint("noise ", i), func(t *testing.T) {
			conn, err := net.Dial("tcp", in.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, noise) // the victim may hang up before the end
			if err := a.exchange(b, "b"); err != nil {
				t.Error(err)
			}
		})
	}
	if err := a.exchange(b, "b"); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// TestHandoffSurvivesAPanic of the handler.
func TestHandoffSurvivesAPanic(t *testing.T) {
	noLeaks(t)
	a, b := newRemoteNode(t), newRemoteNode(t)
	b.handle(func(context.Context, string, HandoffIn) error { panic("out of order") })
	if err := a.exchange(b, "b"); err == nil || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("got %v", err)
	}
	b.wantReason(t, reasonPanic)
	b.handle(acknowledge)
	if err := a.exchange(b, "b"); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

// TestHandoffBoundsStreams: more than all nodes of a cluster would open.
func TestHandoffBoundsStreams(t *testing.T) {
	noLeaks(t)
	a, b := newRemoteNode(t), newRemoteNode(t)
	b.handle(acknowledge)
	streams := &b.Transport.(*Remote).handoffs.streams
	streams.Store(maxHandoffStreams)
	if err := a.exchange(b, "b"); err == nil || !strings.Contains(err.Error(), reasonSessions) {
		t.Errorf("got %v", err)
	}
	streams.Store(0)
	if err := a.exchange(b, "b"); err != nil {
		t.Error(err)
	}
}

// TestHandoffSharesConnections: transfers to one node share one, which is made
// again after it broke.
func TestHandoffSharesConnections(t *testing.T) {
	noLeaks(t)
	var accepted atomic.Int64
	a, b := newRemoteNode(t), newRemoteNode(t)
	b.handle(acknowledge)
	proxy := newBreaker(t, b.HandoffAddress(), &accepted)
	to := HandoffPeer{Name: "b", Address: proxy.address()}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var outs []HandoffOut
	for range 3 {
		out, err := a.OpenHandoff(ctx, to)
		if err != nil {
			t.Fatal(err)
		}
		// What never left, gRPC would send again over the next connection.
		if err := out.Send(chunk(1, nil)); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Recv(); err != nil {
			t.Fatal(err)
		}
		outs = append(outs, out)
	}
	if n := accepted.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
	proxy.hangUp()
	for _, out := range outs {
		if _, err := out.Recv(); !errors.Is(err, ErrUnreachable) {
			t.Errorf("the connection broke: %v", err)
		}
	}
	until(t, "a transfer goes through again", func() bool {
		out, err := a.OpenHandoff(ctx, to)
		if err != nil || out.Send(chunk(1, nil)) != nil {
			return false
		}
		_, err = out.Recv()
		return err == nil
	})
	if n := accepted.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// breaker is a port that leads to another one, until it hangs up.
type breaker struct {
	listener net.Listener
	conns    chan net.Conn
}

func newBreaker(t *testing.T, to string, accepted *atomic.Int64) *breaker {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &breaker{listener, make(chan net.Conn, 100)}
	t.Cleanup(func() {
		listener.Close()
		b.hangUp()
	})
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			b.conns <- near
			b.conns <- far
			go io.Copy(near, far)
			go io.Copy(far, near)
		}
	}()
	return b
}

func (b *breaker) address() string { return b.listener.Addr().String() }

func (b *breaker) hangUp() {
	for {
		select {
		case conn := <-b.conns:
			conn.Close()
		default:
			return
		}
	}
}

// TestHandoffClosesIdleConnections, as those to peers that have gone elsewhere.
func TestHandoffClosesIdleConnections(t *testing.T) {
	noLeaks(t)
	a, b := newRemoteNode(t), newRemoteNode(t)
	b.handle(acknowledge)
	h := a.Transport.(*Remote).handoffs
	if err := a.exchange(b, "b"); err != nil {
		t.Fatal(err)
	}
	to := HandoffPeer{Name: "b", Address: b.HandoffAddress()}
	out, cancel := a.transfer(b)
	c := h.conn(to)
	h.expire(c) // too early: it is in use
	if h.conn(to) != c || out.Send(chunk(1, nil)) != nil {
		t.Error("a connection in use was closed")
	}
	cancel()
	until(t, "the connection is unused", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return c.uses == 0 && c.idle != nil
	})
	h.expire(c)
	if h.conn(to) != nil {
		t.Error("an idle connection was kept")
	}
	if err := a.exchange(b, "b"); err != nil {
		t.Error(err)
	}
}

func (h *handoffs) conn(to HandoffPeer) *handoffConn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conns[to]
}

// TestHandoffToASilentPeer is given up in time, and at once if its context ends.
func TestHandoffToASilentPeer(t *testing.T) {
	noLeaks(t)
	a := newRemoteNode(t)
	to := HandoffPeer{Name: "b", Address: silent(t)}
	began := time.Now()
	if _, err := a.OpenHandoff(context.Background(), to); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 2*connectTimeout {
		t.Errorf("took %v", took)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := a.OpenHandoff(ctx, to); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestHandoffStopsInTime although a handler does not return.
func TestHandoffStopsInTime(t *testing.T) {
	a := newRemoteNode(t)
	b := NewRemote(RemoteConfig{Listen: "127.0.0.1:0"})
	entered, leave := make(chan struct{}), make(chan struct{})
	_, err := b.Start(quietSystem(), Policy{
		Peer: func(string) (string, bool) { return "a", true },
		Handoff: func(context.Context, string, HandoffIn) error {
			close(entered)
			<-leave
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.OpenHandoff(t.Context(), HandoffPeer{Name: "b", Address: b.HandoffAddress()}); err != nil {
		t.Fatal(err)
	}
	await(t, entered, "the handler")
	began := time.Now()
	if b.Stop(context.Background()) == nil {
		t.Error("a handler still runs")
	}
	if took := time.Since(began); took > 2*stopTimeout {
		t.Errorf("took %v", took)
	}
	close(leave)
}

func TestHandoffAddress(t *testing.T) {
	noLeaks(t)
	port := func(address string) string {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		return port
	}
	listen := freeAddress(t)
	tests := []struct {
		name, want string
		config     RemoteConfig
	}{
		{"by default", "127.0.0.1:", RemoteConfig{Listen: "127.0.0.1:0"}},
		{"a port", listen, RemoteConfig{Listen: "127.0.0.1:0", Handoff: listen}},
		{"advertised", "localhost:", RemoteConfig{Listen: "127.0.0.1:0", Advertise: "localhost:7000"}},
		{"a port, advertised", "localhost:" + port(listen), RemoteConfig{Listen: "127.0.0.1:0", Advertise: "localhost:7000", Handoff: listen}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := newWireNode(t, NewRemote(test.config), anyone)
			if got := n.HandoffAddress(); !strings.HasPrefix(got, test.want) || port(got) == "0" || got == n.address {
				t.Errorf("got %s, want %s", got, test.want)
			}
			n.handle(acknowledge)
			if err := newRemoteNode(t).exchange(n, "n"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHandoffRefusesToListen(t *testing.T) {
	noLeaks(t)
	taken := newRemoteNode(t).address
	for handoff, want := range map[string]string{
		"10.0.0.1:7001": "actors: listen on 10.0.0.1:7001: refused off loopback without TLS",
		":7001":         "refused off loopback",
		"127.0.0.1":     "use host:port",
		taken:           "address already in use",
	} {
		listen := freeAddress(t)
		_, err := NewRemote(RemoteConfig{Listen: listen, Handoff: handoff}).Start(quietSystem(), Policy{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", handoff, err, want)
		}
		listener, err := net.Listen("tcp", listen)
		if err != nil {
			t.Fatalf("%s: the port for commands was left open: %v", handoff, err)
		}
		listener.Close()
	}
}

// TestHandoffToAnotherService: a program that is not ours answers.
func TestHandoffToAnotherService(t *testing.T) {
	noLeaks(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(insecure.NewCredentials()))
	go server.Serve(listener)
	defer server.Stop()
	out, err := newRemoteNode(t).OpenHandoff(t.Context(), HandoffPeer{Name: "b", Address: listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Recv(); status.Code(err) != codes.Unimplemented {
		t.Errorf("got %v", err)
	}
}
