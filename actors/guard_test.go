package actors

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

const (
	friend   = "10.1.1.1:7000" // the only peer of a victim, who lives elsewhere
	stranger = "10.6.6.6:6666"
)

// attack is a frame that must do no harm.
type attack struct {
	name   string
	reason string // for which it is refused
	ends   bool   // the stream
	// kills says that a stock Proto.Actor process does not survive it.
	kills bool
	// alien says not to introduce oneself as friend first.
	alien bool
	frame func(victim string) *remote.RemoteMessage
}

// sound returns a batch with one harmless message to the victim's secret inbox,
// or rather one that would be if it were allowed to go there.
func sound(victim string) *remote.MessageBatch {
	return &remote.MessageBatch{
		TypeNames: []string{"torc.transport.v1.Heartbeat"},
		Targets:   []*actor.PID{{Address: victim, Id: inboxID}},
		Envelopes: []*remote.MessageEnvelope{{}},
	}
}

// batch returns a frame with a sound batch that was changed.
func batch(change func(*remote.MessageBatch)) func(string) *remote.RemoteMessage {
	return func(victim string) *remote.RemoteMessage {
		b := sound(victim)
		change(b)
		return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}
	}
}

// message does the same for the one message in it.
func message(change func(*remote.MessageEnvelope)) func(string) *remote.RemoteMessage {
	return batch(func(b *remote.MessageBatch) { change(b.Envelopes[0]) })
}

// system returns a frame with a message of Proto.Actor's own.
func system(m proto.Message, id string) func(string) *remote.RemoteMessage {
	return batch(func(b *remote.MessageBatch) {
		b.TypeNames[0] = string(proto.MessageName(m))
		b.Targets[0].Id = id
		b.Envelopes[0].MessageData, _ = proto.Marshal(m)
	})
}

// sentBy returns a frame with a message from that sender.
func sentBy(address, id string) func(string) *remote.RemoteMessage {
	return func(victim string) *remote.RemoteMessage {
		return batch(func(b *remote.MessageBatch) {
			b.Senders = []*actor.PID{{Address: strings.ReplaceAll(address, "victim", victim), Id: id}}
			b.Envelopes[0].Sender = 1
		})(victim)
	}
}

func connectRequest(c *remote.ConnectRequest) *remote.RemoteMessage {
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: c}}
}

func introduce(address string) *remote.RemoteMessage {
	server := &remote.ServerConnection{SystemId: "x", Address: address}
	return connectRequest(&remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ServerConnection{ServerConnection: server}})
}

// always returns a frame that is the same for all victims.
func always(m *remote.RemoteMessage) func(string) *remote.RemoteMessage {
	return func(string) *remote.RemoteMessage { return m }
}

// repeat makes n of a value.
func repeat[T any](n int, v T) []T {
	values := make([]T, n)
	for i := range values {
		values[i] = v
	}
	return values
}

var attacks = []attack{
	// Frames.
	{name: "no frame at all", reason: reasonFrame, ends: true, frame: always(&remote.RemoteMessage{})},
	{
		name: "connect response", reason: reasonFrame, ends: true,
		frame: always(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectResponse{ConnectResponse: &remote.ConnectResponse{}}}),
	},
	{
		name: "disconnect request", reason: reasonFrame, ends: true,
		frame: always(&remote.RemoteMessage{MessageType: &remote.RemoteMessage_DisconnectRequest{DisconnectRequest: &remote.DisconnectRequest{}}}),
	},
	{name: "batch before connect", reason: reasonUnconnected, ends: true, alien: true, frame: batch(func(*remote.MessageBatch) {})},
	{name: "connect twice", reason: reasonConnect, ends: true, frame: always(introduce(friend))},
	{name: "connect as a stranger", reason: reasonStranger, ends: true, alien: true, frame: always(introduce(stranger))},
	{name: "connect as the victim", reason: reasonStranger, ends: true, alien: true, frame: introduce},
	{name: "connect as nobody", reason: reasonConnect, ends: true, alien: true, frame: always(connectRequest(nil))},
	{
		name: "connect as a client", reason: reasonConnect, ends: true, alien: true,
		frame: always(connectRequest(&remote.ConnectRequest{ConnectionType: &remote.ConnectRequest_ClientConnection{}})),
	},

	// Numbers that point nowhere.
	{name: "type index", reason: reasonIndex, ends: true, kills: true, frame: message(func(e *remote.MessageEnvelope) { e.TypeId = 7 })},
	{name: "type index below 0", reason: reasonIndex, ends: true, kills: true, frame: message(func(e *remote.MessageEnvelope) { e.TypeId = -1 })},
	{name: "target index", reason: reasonIndex, ends: true, kills: true, frame: message(func(e *remote.MessageEnvelope) { e.Target = 1 })},
	{name: "target index below 0", reason: reasonIndex, ends: true, kills: true, frame: message(func(e *remote.MessageEnvelope) { e.Target = -1 })},
	{name: "sender index", reason: reasonIndex, ends: true, kills: true, frame: message(func(e *remote.MessageEnvelope) { e.Sender = 1 })},
	{name: "sender index below 0", reason: reasonIndex, ends: true, kills: true, frame: message(func(e *remote.MessageEnvelope) { e.Sender = -1 })},
	{name: "serializer", reason: reasonSerializer, ends: true, kills: true, frame: message(func(e *remote.MessageEnvelope) { e.SerializerId = 9 })},
	{name: "serializer below 0", reason: reasonSerializer, ends: true, kills: true, frame: message(func(e *remote.MessageEnvelope) { e.SerializerId = -1 })},
	{name: "JSON", reason: reasonSerializer, ends: true, frame: message(func(e *remote.MessageEnvelope) {
		e.SerializerId, e.MessageData = 1, []byte("{}")
	})},
	{name: "no types", reason: reasonIndex, ends: true, kills: true, frame: batch(func(b *remote.MessageBatch) { b.TypeNames = nil })},
	{name: "no targets", reason: reasonIndex, ends: true, kills: true, frame: batch(func(b *remote.MessageBatch) { b.Targets = nil })},

	// Too much.
	{name: "too many messages", reason: reasonEntries, ends: true, frame: batch(func(b *remote.MessageBatch) {
		b.Envelopes = repeat(maxEntries, b.Envelopes[0])
	})},
	{name: "too many targets", reason: reasonEntries, ends: true, frame: batch(func(b *remote.MessageBatch) {
		b.Targets = repeat(maxEntries, b.Targets[0])
	})},
	{name: "too many types", reason: reasonEntries, ends: true, frame: batch(func(b *remote.MessageBatch) {
		b.TypeNames = repeat(1<<20, "")
	})},
	{name: "giant message", reason: reasonTooLarge, ends: true, frame: message(func(e *remote.MessageEnvelope) {
		e.MessageData = make([]byte, maxWireBytes+1)
	})},
	{name: "giant frame", ends: true, frame: message(func(e *remote.MessageEnvelope) {
		e.MessageData = make([]byte, maxFrameBytes)
	})},
	{name: "header", reason: reasonHeader, ends: true, frame: message(func(e *remote.MessageEnvelope) {
		e.MessageHeader = &remote.MessageHeader{HeaderData: map[string]string{"a": "b"}}
	})},

	// Messages that nobody may send.
	{name: "unknown type", reason: reasonType, kills: true, frame: batch(func(b *remote.MessageBatch) { b.TypeNames[0] = "no.such.Type" })},
	{name: "empty type", reason: reasonType, kills: true, frame: batch(func(b *remote.MessageBatch) { b.TypeNames[0] = "" })},
	{name: "type of another package", reason: reasonType, frame: batch(func(b *remote.MessageBatch) { b.TypeNames[0] = "actor.PID" })},
	{name: "stop", reason: reasonType, frame: system(&actor.Stop{}, inboxID)},
	{name: "poison pill", reason: reasonType, frame: system(&actor.PoisonPill{}, inboxID)},
	{name: "watch", reason: reasonType, frame: system(&actor.Watch{Watcher: actor.NewPID(friend, "x")}, inboxID)},
	{name: "watch by nobody", reason: reasonTarget, kills: true, frame: system(&actor.Watch{}, "nobody")},
	{name: "watch by nobody of a target", reason: reasonType, frame: system(&actor.Watch{}, inboxID)},
	{name: "unwatch", reason: reasonType, frame: system(&actor.Unwatch{}, inboxID)},
	{name: "terminated", reason: reasonType, frame: system(&actor.Terminated{Who: actor.NewPID(friend, "x")}, inboxID)},
	{name: "terminated nobody", reason: reasonType, kills: true, frame: system(&actor.Terminated{}, inboxID)},
	{name: "touch", reason: reasonType, frame: system(&actor.Touch{}, inboxID)},
	{name: "dead letter", reason: reasonType, frame: system(&actor.DeadLetterResponse{}, inboxID)},
	{name: "spawn", reason: reasonTarget, frame: system(&remote.ActorPidRequest{Kind: "x"}, "activator")},
	{name: "stop the activator", reason: reasonTarget, frame: system(&actor.Stop{}, "activator")},
	{name: "malformed", reason: reasonPayload, frame: message(func(e *remote.MessageEnvelope) { e.MessageData = []byte{0xff, 0xff} })},
	{name: "malformed text", reason: reasonPayload, frame: message(func(e *remote.MessageEnvelope) {
		e.MessageData = protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "\xff")
	})},

	// Targets and senders that are not to be named.
	{name: "another process", reason: reasonTarget, frame: batch(func(b *remote.MessageBatch) { b.Targets[0].Id = secretID })},
	{name: "no process", reason: reasonTarget, frame: batch(func(b *remote.MessageBatch) { b.Targets[0].Id = "" })},
	{name: "guardian", reason: reasonTarget, kills: true, frame: batch(func(b *remote.MessageBatch) { b.Targets[0].Id = "guardian$1" })},
	{name: "event stream", reason: reasonTarget, frame: batch(func(b *remote.MessageBatch) { b.Targets[0].Id = "eventstream" })},
	{name: "a process that is gone", reason: reasonNoProcess, frame: batch(func(b *remote.MessageBatch) { b.Targets[0].Id = "ghost" })},
	{name: "a process that panics", reason: reasonPanic, frame: batch(func(b *remote.MessageBatch) { b.Targets[0].Id = "bomb" })},
	{name: "relay", reason: reasonTargetAddress, frame: batch(func(b *remote.MessageBatch) { b.Targets[0].Address = stranger })},
	{name: "relay to a friend", reason: reasonTargetAddress, frame: batch(func(b *remote.MessageBatch) { b.Targets[0].Address = friend })},
	{name: "nonhost", reason: reasonTargetAddress, frame: batch(func(b *remote.MessageBatch) { b.Targets[0].Address = unstarted })},
	{name: "sent by a stranger", reason: reasonSender, frame: sentBy(stranger, inboxID)},
	{name: "sent by no address", reason: reasonSender, frame: sentBy("", inboxID)},
	{name: "sent by nonhost", reason: reasonSender, frame: sentBy(unstarted, "guardian$1")},
	{name: "sent by a secret of the victim", reason: reasonSender, frame: sentBy("victim", secretID)},
	{name: "sent by a guardian of the victim", reason: reasonSender, frame: sentBy("victim", "guardian$1")},
}

// bomb is a process that panics in the goroutine that sends to it.
type bomb struct{ inbox }

func (bomb) SendUserMessage(*actor.PID, any) { panic("bomb") }

// victim is a node that is attacked, as friend, who is its peer.
type victim struct {
	*wireNode

	door    door
	witness *wireNode // another peer, to see how it is
}

// door is how an attacker gets at a node.
type door struct {
	address string
	key     *tls.Config // nil without TLS
}

func unlocked(address string) door { return door{address, nil} }

// credentials are the key as gRPC takes it.
func (d door) credentials() credentials.TransportCredentials {
	if d.key == nil {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(d.key)
}

// newVictim starts a victim without TLS.
func newVictim(t testing.TB, over network) *victim {
	v := &victim{witness: over.node(t, "127.0.0.1:0")}
	knows := func(address string) bool { return address == friend || address == v.witness.address }
	return v.born(newWireNode(t, over.transport(RemoteConfig{Listen: "127.0.0.1:0"}), knows), nil)
}

// newSecureVictim starts one with TLS, and gives the attacker friend's certificate.
func newSecureVictim(t testing.TB, over network) *victim {
	c := newSecureCluster(t, over)
	v := &victim{witness: c.node("witness")}
	c.live(friend, "friend")
	return v.born(c.node("victim"), c.key("friend", "victim"))
}

func (v *victim) born(n *wireNode, key *tls.Config) *victim {
	v.wireNode, v.door = n, door{n.address, key}
	n.system.ProcessRegistry.Add(bomb{n.inbox}, "bomb")
	return v
}

// onEachVictim runs a test against both.
func onEachVictim(t *testing.T, over network, test func(*testing.T, *victim)) {
	for name, start := range map[string]func(testing.TB, network) *victim{"plain": newVictim, "TLS": newSecureVictim} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			test(t, start(t, over))
		})
	}
}

// connect prepares a connection, as an attacker does.
func (d door) connect(t testing.TB) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+d.address, grpc.WithTransportCredentials(d.credentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// dial opens a stream.
func dial(t testing.TB, d door) (remote.RemotingClient, remote.Remoting_ReceiveClient) {
	t.Helper()
	conn := d.connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	client := remote.NewRemotingClient(conn)
	stream, err := client.Receive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return client, stream
}

// launch sends an attack.
func (a attack) launch(t testing.TB, d door) remote.Remoting_ReceiveClient {
	t.Helper()
	_, stream := dial(t, d)
	if !a.alien {
		if err := stream.Send(introduce(friend)); err != nil {
			t.Fatal(err)
		}
		if answer, err := stream.Recv(); err != nil || answer.GetConnectResponse() == nil {
			t.Fatalf("connect: %v, %v", answer, err)
		}
	}
	if err := stream.Send(a.frame(d.address)); err != nil {
		t.Fatal(err)
	}
	return stream
}

// unharmed fails unless the victim answers its friend and nothing else happened.
func (v *victim) unharmed(t *testing.T) {
	t.Helper()
	v.witness.ask(v.wireNode)
	if n := len(v.inbox); n > 0 {
		t.Errorf("%d messages got through: %v", n, <-v.inbox)
	}
}

// wantReason fails unless that is what the node counted next.
func (n *wireNode) wantReason(t *testing.T, reason string) {
	t.Helper()
	if got := await(t, n.rejected, "a refusal"); got != reason {
		t.Errorf("refused for %q, want %q", got, reason)
	}
}

func TestGuardSurvives(t *testing.T) {
	onEachVictim(t, overGRPC, func(t *testing.T, v *victim) {
		for _, a := range attacks {
			t.Run(a.name, func(t *testing.T) { v.survives(t, a) })
		}
	})
}

// survives fails unless an attack is refused, and no more than that happens.
func (v *victim) survives(t *testing.T, a attack) {
	stream := a.launch(t, v.door)
	if a.reason != "" {
		v.wantReason(t, a.reason)
	}
	if a.ends {
		if _, err := stream.Recv(); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("the stream ended with %v", err)
		}
	} else { // the next message gets through
		if err := stream.Send(batch(func(*remote.MessageBatch) {})(v.address)); err != nil {
			t.Fatal(err)
		}
		if got := v.next(); fmt.Sprintf("%T", got.msg) != "*transportpb.Heartbeat" {
			t.Errorf("got %v", got)
		}
	}
	v.unharmed(t)
}

// TestGuardIsNeeded launches the same attacks at a process with Proto.Actor's
// remote as it is: if it survived one of them, the test above would prove little.
func TestGuardIsNeeded(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a process for each attack")
	}
	for _, a := range attacks {
		if a.kills {
			t.Run(a.name, func(t *testing.T) {
				stock := startStock(t)
				a.launch(t, unlocked(stock.address))
				await(t, stock.died, "the end of the process")
			})
		}
	}
	t.Run("ListProcesses", func(t *testing.T) {
		stock := startStock(t)
		client, stream := dial(t, unlocked(stock.address))
		_, err := client.ListProcesses(stream.Context(), &remote.ListProcessesRequest{})
		await(t, stock.died, "the end of the process")
		if err == nil {
			t.Error("got an answer")
		}
	})
}

// TestTransportRemoteSpeaksToProtoActor exchanges messages with a process that
// has Proto.Actor's remote as it is.
func TestTransportRemoteSpeaksToProtoActor(t *testing.T) {
	noLeaks(t)
	stock := startStock(t)
	a := newRemoteNode(t)
	command := &transportpb.Command{Payload: []byte("hi")}
	if err := a.Send(actor.NewPID(stock.address, inboxID), a.pid(inboxID, 7), command); err != nil {
		t.Fatal(err)
	}
	got := a.next()
	if got.target.GetRequestId() != 7 || string(got.msg.(*transportpb.Reply).GetPayload()) != "hi" {
		t.Errorf("got %v", got)
	}
}

// stockProcess is a process with Proto.Actor's own remote.
type stockProcess struct {
	address string
	died    chan struct{}
}

// stockVariable tells this test binary to be a stockProcess.
const stockVariable = "TORC_TEST_STOCK_REMOTE"

func startStock(t *testing.T) *stockProcess {
	t.Helper()
	command := exec.Command(os.Args[0], "-test.run=^TestGuardStockProcess$", "-test.timeout=1m")
	command.Env = append(os.Environ(), stockVariable+"=1")
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	s := &stockProcess{died: make(chan struct{})}
	t.Cleanup(func() {
		command.Process.Kill()
		<-s.died
	})
	lines := bufio.NewReader(output)
	s.address, err = lines.ReadString('\n')
	s.address = strings.TrimSpace(s.address)
	go func() {
		defer close(s.died)
		io.Copy(io.Discard, lines)
		command.Wait()
	}()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestGuardStockProcess is the life of a stockProcess: an actor that answers.
func TestGuardStockProcess(t *testing.T) {
	if os.Getenv(stockVariable) == "" {
		t.Skip("only as a process of its own")
	}
	s := quietSystem()
	remote.NewRemote(s, remote.Configure("127.0.0.1", 0)).Start()
	_, err := s.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		if command, ok := c.Message().(*transportpb.Command); ok {
			c.Respond(&transportpb.Reply{Payload: command.GetPayload()})
		}
	}), inboxID)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(os.Stdout, s.Address())
	select {}
}

func TestGuardRefusesUnaryCalls(t *testing.T) { onEachVictim(t, overGRPC, refusesUnaryCalls) }

func refusesUnaryCalls(t *testing.T, v *victim) {
	client, stream := dial(t, v.door)
	ctx := stream.Context()
	calls := map[string]func() error{
		"ListProcesses": func() error {
			_, err := client.ListProcesses(ctx, &remote.ListProcessesRequest{})
			return err
		},
		"GetProcessDiagnostics": func() error {
			_, err := client.GetProcessDiagnostics(ctx, &remote.GetProcessDiagnosticsRequest{})
			return err
		},
	}
	for name, call := range calls {
		if err := call(); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", name, err)
		}
		v.wantReason(t, reasonUnary)
	}
	v.unharmed(t)
}

func TestGuardRefusesUnknownMethods(t *testing.T) { onEachVictim(t, overGRPC, refusesUnknownMethods) }

func refusesUnknownMethods(t *testing.T, v *victim) {
	conn := v.door.connect(t)
	for _, method := range []string{"/remote.Remoting/NoSuchMethod", "/no.such.Service/Method", "/", "nonsense"} {
		err := conn.Invoke(context.Background(), method, &remote.ListProcessesRequest{}, &remote.ListProcessesResponse{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%s: %v", method, err)
		}
	}
	v.unharmed(t)
}

// TestGuardSurvivesNoise writes to the port what is not gRPC.
func TestGuardSurvivesNoise(t *testing.T) {
	overEach(t, func(t *testing.T, over network) { onEachVictim(t, over, survivesNoise) })
}

func survivesNoise(t *testing.T, v *victim) {
	noise := map[string]string{
		"random bytes": "\x00\xff\x13\x37 nonsense \x00\x00\x00\x01",
		"HTTP/1":       "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"HTTP/2 and then random bytes": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
			"\x00\xff\x13\x37\x00\xff\x13\x37\x00\xff\x13\x37\x00\xff\x13\x37\x00\xff\x13\x37",
		"TLS, cut short":            "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"TLS, a hello of nonsense":  "\x16\x03\x01\x00\x10\x01\x00\x00\x0c" + strings.Repeat("\xff", 12),
		"TLS, a record of 64 KB":    "\x16\x03\x01\xff\xff" + strings.Repeat("\xff", 1<<16),
		"TLS, data before anything": "\x17\x03\x03\x00\x04\x00\x00\x00\x00",
	}
	for name, bytes := range noise {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", v.address)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, bytes) // the victim may hang up before the end
			v.unharmed(t)
			conn.Close()
			if v.door.key != nil {
				v.wantReason(t, reasonHandshake)
			}
		})
	}
}

func TestGuardSurvivesIdleConnections(t *testing.T) {
	overEach(t, func(t *testing.T, over network) { onEachVictim(t, over, survivesIdleConnections) })
}

func survivesIdleConnections(t *testing.T, v *victim) {
	for range 1000 {
		conn, err := net.Dial("tcp", v.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	v.unharmed(t)
}

// TestGuardBoundsSessions opens more streams than a cluster has nodes.
func TestGuardBoundsSessions(t *testing.T) {
	noLeaks(t)
	v := newVictim(t, overGRPC)
	g := &remoteGuard{guard: newGuard(v.system, v.policy(), nil)}
	g.sessions.Store(maxSessions)
	err := g.Receive(nil)
	if status.Code(err) != codes.PermissionDenied || g.sessions.Load() != maxSessions {
		t.Errorf("%v, %d sessions", err, g.sessions.Load())
	}
	v.wantReason(t, reasonSessions)
}

// policy returns what the node let the guard do.
func (n *wireNode) policy() Policy { return n.Transport.(*Remote).policy }

// TestGuardScansBeforeDecoding gives the codec frames whose decoding would be
// costly, or that are none.
func TestGuardScansBeforeDecoding(t *testing.T) {
	v := newVictim(t, overGRPC)
	codec := &frameCodec{encoding.GetCodecV2(grpcproto.Name), newGuard(v.system, v.policy(), nil)}
	field := func(number protowire.Number, contents []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), contents)
	}
	tests := []struct {
		name, reason string
		frame        []byte
	}{
		{"millions of messages", reasonEntries, field(fieldBatch, bytes.Repeat(field(fieldEnvelopes, nil), 1<<20))},
		{"spread over batches", reasonEntries, bytes.Repeat(field(fieldBatch, field(fieldEnvelopes, nil)), 1<<20)},
		{"unknown fields", reasonEntries, field(fieldBatch, bytes.Repeat(field(99, nil), 1<<20))},
		{"headers", reasonHeader, field(fieldBatch, field(fieldEnvelopes, bytes.Repeat(field(fieldHeader, nil), 1<<20)))},
		{"truncated", reasonUndecoded, []byte{0x0a, 0x05, 0x01}},
		{"truncated inside", reasonUndecoded, field(fieldBatch, []byte{0x1a, 0x05})},
		{"not UTF-8", reasonUndecoded, field(fieldBatch, field(1, []byte{0xff}))},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var frame remote.RemoteMessage
			if codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(test.frame)}, &frame) == nil {
				t.Error("was decoded")
			}
			v.wantReason(t, test.reason)
		})
	}
}

func TestGuardLogsEachReasonOnceInAWhile(t *testing.T) {
	g := newGuard(nil, Policy{}, nil)
	if !g.shouldWarn(reasonType) || g.shouldWarn(reasonType) || !g.shouldWarn(reasonSender) {
		t.Error("wrong reasons were logged")
	}
	g.warned[reasonType] = time.Now().Add(-warnEvery)
	if !g.shouldWarn(reasonType) {
		t.Error("nothing was logged after a while")
	}
}
