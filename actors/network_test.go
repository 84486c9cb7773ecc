package actors

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// network is a transport over the network, and how others than its nodes use it.
type network struct {
	name      string
	protocol  string // in a handshake of TLS
	transport func(RemoteConfig) Transport
	// mute starts a peer that accepts us and then does not read on.
	mute func(t testing.TB, key *tls.Config) (address string)
	// enter connects as a peer that says to have an address.
	enter func(t testing.TB, d door, address string) (guest, error)
}

// guest is one who was let in by a node.
type guest interface {
	// send sends a message to a process.
	send(m proto.Message, id string)
	// end waits for the end, and returns what the node says is its cause; nil if it
	// ended without a word.
	end() error
}

var (
	overTCP = network{
		"tcp", tcpProtocol, func(c RemoteConfig) Transport { return NewTCP(c) }, muteTCP,
		func(t testing.TB, d door, address string) (guest, error) { return enterTCP(t, d, address) },
	}
	overGRPC = network{
		"grpc", "h2", func(c RemoteConfig) Transport { return NewRemote(c) }, muteGRPC,
		func(t testing.TB, d door, address string) (guest, error) { return enterGRPC(t, d, address) },
	}
	networks = []network{overTCP, overGRPC}
)

// overEach runs a test over each network.
func overEach(t *testing.T, test func(*testing.T, network)) {
	for _, over := range networks {
		t.Run(over.name, func(t *testing.T) { test(t, over) })
	}
}

// node starts a node on a loopback port.
func (n network) node(t testing.TB, listen string) *wireNode {
	t.Helper()
	return newWireNode(t, n.transport(RemoteConfig{Listen: listen}), anyone)
}

// introduction connects as friend, and returns why it was not let in.
func (n network) introduction(t testing.TB, d door) error {
	t.Helper()
	_, err := n.enter(t, d, friend)
	return err
}

// portsOf returns what is common to the transports over the network.
func portsOf(t Transport) *ports {
	if over, ok := t.(*Remote); ok {
		return &over.ports
	}
	return &t.(*TCP).ports
}

// muteGRPC is a peer of [Remote].
func muteGRPC(t testing.TB, key *tls.Config) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.Creds(door{key: key}.credentials()), grpc.StreamInterceptor(
		func(_ any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
			_ = ss.SendMsg(&remote.RemoteMessage{
				MessageType: &remote.RemoteMessage_ConnectResponse{ConnectResponse: &remote.ConnectResponse{}},
			})
			<-ss.Context().Done()
			return nil
		}))
	server.RegisterService(&remote.Remoting_ServiceDesc, nil)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// muteTCP is a peer of [TCP].
func muteTCP(t testing.TB, key *tls.Config) (address string) {
	t.Helper()
	return serveRaw(t, func(conn net.Conn) {
		if key != nil {
			key := key.Clone()
			key.NextProtos = []string{tcpProtocol}
			conn = tls.Server(conn, key)
		}
		_, _, _ = readHello(conn)
		_, _ = conn.Write(appendText(greeting(), ""))
	})
}

// serveRaw does something with each connection to an address, which it keeps open.
func serveRaw(t testing.TB, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var conns []net.Conn
		defer func() {
			for _, conn := range conns {
				conn.Close()
			}
		}()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
			serve(conn)
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-ended
	})
	return listener.Addr().String()
}

// grpcGuest came by a stream of gRPC.
type grpcGuest struct {
	t      testing.TB
	to     string
	stream remote.Remoting_ReceiveClient
}

func enterGRPC(t testing.TB, d door, address string) (*grpcGuest, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	stream, err := remote.NewRemotingClient(d.connect(t)).Receive(ctx)
	if err != nil {
		return nil, err
	}
	_ = stream.Send(introduce(address)) // Recv knows the error
	_, err = stream.Recv()
	return &grpcGuest{t, d.address, stream}, err
}

func (v *grpcGuest) send(m proto.Message, id string) {
	v.t.Helper()
	if err := v.stream.Send(system(m, id)(v.to)); err != nil {
		v.t.Fatal(err)
	}
}

func (v *grpcGuest) end() error {
	if _, err := v.stream.Recv(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// tcpGuest came by a connection of TCP.
type tcpGuest struct {
	t    testing.TB
	to   string
	conn net.Conn
	e    *frameEncoder
}

// open makes a connection, in which nothing was said.
func (d door) open(t testing.TB) (net.Conn, error) {
	t.Helper()
	conn, err := net.Dial("tcp", d.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	if d.key == nil {
		return conn, nil
	}
	key := d.key.Clone()
	key.NextProtos = []string{tcpProtocol}
	secure := tls.Client(conn, key)
	return secure, secure.Handshake()
}

func enterTCP(t testing.TB, d door, address string) (*tcpGuest, error) {
	t.Helper()
	conn, err := d.open(t)
	if err != nil {
		return nil, err
	}
	_, _ = conn.Write(hello(address)) // what is read knows the error
	v := &tcpGuest{t, d.address, conn, newFrameEncoder()}
	greeted := make([]byte, greetingBytes)
	if _, err := io.ReadFull(conn, greeted); err != nil {
		return v, err
	}
	if !bytes.Equal(greeted, greeting()) {
		t.Errorf("greeted with %q", greeted)
	}
	return v, v.hear()
}

// hear returns what the node says; nil if it is the word of acceptance.
func (v *tcpGuest) hear() error {
	text, err := readText(v.conn)
	if text != "" {
		return errors.New(text)
	}
	return err
}

func (v *tcpGuest) send(m proto.Message, id string) {
	v.t.Helper()
	if err := v.e.append(&parcel{target: &actor.PID{Address: v.to, Id: id}, msg: m}); err != nil {
		v.t.Fatal(err)
	}
	v.write(v.e.data)
	v.e.packet = packet{}
}

// write sends bytes as they are. The node may hang up before the end.
func (v *tcpGuest) write(b []byte) { _, _ = v.conn.Write(b) }

func (v *tcpGuest) end() error {
	if err := v.hear(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
