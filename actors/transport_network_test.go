package actors

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

func TestTransportRequestReply(t *testing.T) { overEach(t, requestReply) }

func requestReply(t *testing.T, over network) {
	noLeaks(t)
	a, b := over.node(t, "127.0.0.1:0"), over.node(t, "127.0.0.1:0")
	if a.address != a.system.Address() || !strings.HasPrefix(a.address, "127.0.0.1:") {
		t.Fatalf("address %q, system %q", a.address, a.system.Address())
	}
	command := &transportpb.Command{Method: "Store", Payload: []byte("x"), Epoch: 3}
	if err := a.Send(b.pid(inboxID, 5), a.pid(inboxID, 7), command); err != nil {
		t.Fatal(err)
	}
	got := b.next()
	if !proto.Equal(got.msg.(proto.Message), command) {
		t.Errorf("got %v", got.msg)
	}
	if !got.target.Equal(b.pid(inboxID, 5)) || !got.sender.Equal(a.pid(inboxID, 7)) {
		t.Errorf("to %v from %v", got.target, got.sender)
	}
	if err := b.Send(got.sender, nil, &transportpb.Reply{Node: "b"}); err != nil {
		t.Fatal(err)
	}
	answer := a.next()
	if answer.target.GetRequestId() != 7 || answer.sender != nil || answer.msg.(*transportpb.Reply).GetNode() != "b" {
		t.Errorf("got %v", answer)
	}
}

func TestTransportToItself(t *testing.T) { overEach(t, toItself) }

func toItself(t *testing.T, over network) {
	noLeaks(t)
	a := over.node(t, "127.0.0.1:0")
	if err := a.Send(a.pid(inboxID, 1), nil, &transportpb.Heartbeat{Node: "a"}); err != nil {
		t.Fatal(err)
	}
	if got := a.next(); got.target.GetRequestId() != 1 {
		t.Errorf("got %v", got)
	}
	err := a.Send(a.pid("nobody", 0), nil, &transportpb.Heartbeat{})
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("to nobody: %v", err)
	}
}

func TestTransportLargestMessage(t *testing.T) { overEach(t, largestMessage) }

func largestMessage(t *testing.T, over network) {
	noLeaks(t)
	a, b := over.node(t, "127.0.0.1:0"), over.node(t, "127.0.0.1:0")
	largest := &transportpb.Command{Payload: make([]byte, maxWireBytes-4)}
	if size := proto.Size(largest); size != maxWireBytes {
		t.Fatalf("the message has %d bytes, want %d", size, maxWireBytes)
	}
	tooLarge := &transportpb.Command{Payload: make([]byte, maxWireBytes-3)}
	if err := a.Send(b.pid(inboxID, 0), nil, tooLarge); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one byte more: %v", err)
	}
	for range 40 { // more than gRPC would take in one frame by default
		if err := a.Send(b.pid(inboxID, 0), nil, largest); err != nil {
			t.Fatal(err)
		}
	}
	for range 40 {
		if got := b.next(); !proto.Equal(got.msg.(proto.Message), largest) {
			t.Fatal("got another message")
		}
	}
}

func TestTransportBurstArrivesInOrder(t *testing.T) { overEach(t, burstArrivesInOrder) }

func burstArrivesInOrder(t *testing.T, over network) {
	noLeaks(t)
	a, b := over.node(t, "127.0.0.1:0"), over.node(t, "127.0.0.1:0")
	const burst = 2000
	for i := range burst {
		message := &transportpb.Command{Epoch: uint64(i), Payload: make([]byte, 8<<10)}
		if err := a.Send(b.pid(inboxID, 0), nil, message); err != nil {
			t.Fatal(err)
		}
	}
	for i := range burst {
		if got := b.next().msg.(*transportpb.Command).GetEpoch(); got != uint64(i) {
			t.Fatalf("message %d came as number %d", got, i)
		}
	}
	l, _ := portsOf(a.Transport).lanes.to(b.address)
	until(t, "nothing is queued", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.messages == 0 && l.bytes == 0
	})
}

// tryMany sends many messages to a peer that does not take them, and returns the
// errors. It fails if that takes long: no Send may wait for the peer.
func (n *wireNode) tryMany(to *actor.PID, size int) error {
	n.t.Helper()
	var errs []error
	began := time.Now()
	for range 3 * maxQueuedMessages {
		errs = append(errs, n.Send(to, nil, &transportpb.Command{Payload: make([]byte, size)}))
	}
	if took := time.Since(began); took > patience/2 {
		n.t.Errorf("sends to a dead peer took %v", took)
	}
	return errors.Join(errs...)
}

func TestTransportPeerStops(t *testing.T) { overEach(t, peerStops) }

func peerStops(t *testing.T, over network) {
	noLeaks(t)
	a, b := over.node(t, "127.0.0.1:0"), over.node(t, "127.0.0.1:0")
	a.ask(b)
	if err := b.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := await(t, a.broken, "Broken"); got != b.address {
		t.Errorf("broken: %s", got)
	}
	if err := a.tryMany(b.pid(inboxID, 0), 10); !errors.Is(err, ErrUnreachable) {
		t.Errorf("sends to a stopped peer: %v", err)
	}
}

func TestTransportPeerWasNeverThere(t *testing.T) { overEach(t, peerWasNeverThere) }

func peerWasNeverThere(t *testing.T, over network) {
	noLeaks(t)
	a := over.node(t, "127.0.0.1:0")
	nobody := freeAddress(t)
	_ = a.Send(actor.NewPID(nobody, inboxID), nil, &transportpb.Command{}) // it may know already
	if got := await(t, a.broken, "Broken"); got != nobody {
		t.Errorf("broken: %s", got)
	}
	err := a.Send(actor.NewPID(nobody, inboxID), nil, &transportpb.Command{})
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("right after: %v", err)
	}
}

// freeAddress returns an address where nobody listens.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestTransportPeerRestarts(t *testing.T) { overEach(t, peerRestarts) }

func peerRestarts(t *testing.T, over network) {
	noLeaks(t)
	a, b := over.node(t, "127.0.0.1:0"), over.node(t, "127.0.0.1:0")
	for range 3 {
		a.ask(b)
		if err := b.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		await(t, a.broken, "Broken")
		began := time.Now()
		b = over.node(t, b.address)
		a.ask(b)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("contact after %v", took)
		}
	}
}

func TestTransportPeerHangs(t *testing.T) { overEach(t, peerHangs) }

func peerHangs(t *testing.T, over network) {
	for name, size := range map[string]int{"many messages": 10, "many bytes": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			hung := over.mute(t, nil)
			a := over.node(t, "127.0.0.1:0")
			var err error
			for range 100 * maxQueuedMessages { // the kernel takes some megabytes
				if err = a.Send(actor.NewPID(hung, inboxID), nil, &transportpb.Command{Payload: make([]byte, size)}); err != nil {
					break
				}
			}
			if !errors.Is(err, ErrOverloaded) {
				t.Errorf("sends to a hung peer: %v", err)
			}
			a.Disconnect(hung)
			if got := await(t, a.broken, "Broken"); got != hung {
				t.Errorf("broken: %s", got)
			}
		})
	}
}

// silent is a peer whose machine takes the connection and whose process says nothing.
func silent(t testing.TB) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

func TestTransportPeerNeverAnswers(t *testing.T) { overEach(t, peerNeverAnswers) }

func peerNeverAnswers(t *testing.T, over network) {
	noLeaks(t)
	a := over.node(t, "127.0.0.1:0")
	address := silent(t)
	began := time.Now()
	if err := a.Send(actor.NewPID(address, inboxID), nil, &transportpb.Command{}); err != nil {
		t.Fatal(err)
	}
	await(t, a.broken, "Broken")
	if took := time.Since(began); took > 2*connectTimeout {
		t.Errorf("noticed after %v", took)
	}
}

func TestTransportStopsWhileConnecting(t *testing.T) { overEach(t, stopsWhileConnecting) }

func stopsWhileConnecting(t *testing.T, over network) {
	noLeaks(t)
	a := over.node(t, "127.0.0.1:0")
	for _, address := range []string{silent(t), over.mute(t, nil), freeAddress(t)} {
		_ = a.Send(actor.NewPID(address, inboxID), nil, &transportpb.Command{})
	}
	if err := a.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	err := a.Send(actor.NewPID(freeAddress(t), inboxID), nil, &transportpb.Command{})
	if !errors.Is(err, ErrStopping) {
		t.Errorf("send after stop: %v", err)
	}
}

// TestTransportStopUnderFire stops nodes while all of them send and
// connections are cut.
func TestTransportStopUnderFire(t *testing.T) { overEach(t, stopUnderFire) }

func stopUnderFire(t *testing.T, over network) {
	noLeaks(t)
	nodes := []*wireNode{over.node(t, "127.0.0.1:0"), over.node(t, "127.0.0.1:0"), over.node(t, "127.0.0.1:0")}
	var senders sync.WaitGroup
	var sent atomic.Int64
	for _, from := range nodes {
		for _, to := range nodes {
			senders.Go(func() {
				for i := 0; ; i++ {
					err := from.Send(to.pid(echoID, 0), to.pid(secretID, 1), &transportpb.Command{})
					if errors.Is(err, ErrStopping) {
						return
					}
					sent.Add(1)
					if i%100 == 0 {
						from.Disconnect(to.address)
					}
				}
			})
		}
	}
	until(t, "enough was sent", func() bool { return sent.Load() > 5000 })
	for _, n := range nodes {
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
	senders.Wait()
}

func TestTransportContactAfterDisconnects(t *testing.T) { overEach(t, contactAfterDisconnects) }

func contactAfterDisconnects(t *testing.T, over network) {
	noLeaks(t)
	a, b := over.node(t, "127.0.0.1:0"), over.node(t, "127.0.0.1:0")
	for range 5 {
		a.ask(b)
		a.Disconnect(b.address)
		await(t, a.broken, "Broken")
	}
	a.ask(b)
}

func TestTransportRefusesToListen(t *testing.T) { overEach(t, refusesToListen) }

func refusesToListen(t *testing.T, over network) {
	noLeaks(t)
	taken := over.node(t, "127.0.0.1:0").address
	tests := []struct {
		name, want string
		config     RemoteConfig
	}{
		{"port in use", "address already in use; stop what uses it", RemoteConfig{Listen: taken}},
		{
			"off loopback", "actors: listen on 10.0.0.1:7000: refused off loopback without TLS, since whoever reaches the port would be taken for a member: " +
				"set TLS (--tls-ca, --tls-cert and --tls-key), or Insecure (--insecure) where all who reach it are trusted",
			RemoteConfig{Listen: "10.0.0.1:7000"},
		},
		{"all interfaces", "refused off loopback", RemoteConfig{Listen: ":7000"}},
		{"all interfaces, IPv6", "refused off loopback", RemoteConfig{Listen: "[::]:7000"}},
		{"a name", "refused off loopback", RemoteConfig{Listen: "example.com:7000"}},
		{"no port", "use host:port", RemoteConfig{Listen: "127.0.0.1"}},
		{"port out of range", "choose another port", RemoteConfig{Listen: "127.0.0.1:70000"}},
		{"advertise nonsense", "not an address", RemoteConfig{Listen: "127.0.0.1:7000", Advertise: "x"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := over.transport(test.config).Start(quietSystem(), Policy{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestTransportStartsOnce(t *testing.T) { overEach(t, startsOnce) }

func startsOnce(t *testing.T, over network) {
	noLeaks(t)
	a := over.node(t, "127.0.0.1:0")
	if _, err := a.Start(a.system, Policy{}); err == nil {
		t.Error("started twice")
	}
	unstarted := over.transport(RemoteConfig{Listen: "127.0.0.1:0"})
	if err := unstarted.Send(a.pid(inboxID, 0), nil, &transportpb.Command{}); !errors.Is(err, ErrStopping) {
		t.Errorf("send before start: %v", err)
	}
	unstarted.Disconnect(a.address)
	if err := unstarted.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := unstarted.Start(quietSystem(), Policy{}); err == nil {
		t.Error("started after it was stopped")
	}
}

func TestTransportIPv6(t *testing.T) { overEach(t, iPv6) }

func iPv6(t *testing.T, over network) {
	if listener, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip("no IPv6 here: ", err)
	} else {
		listener.Close()
	}
	noLeaks(t)
	a, b := over.node(t, "[::1]:0"), over.node(t, "localhost:0")
	a.ask(b)
	b.ask(a)
}

func TestTransportAdvertise(t *testing.T) { overEach(t, advertise) }

func advertise(t *testing.T, over network) {
	noLeaks(t)
	listen := freeAddress(t)
	_, port, _ := net.SplitHostPort(listen)
	a := over.node(t, "127.0.0.1:0")
	b := newWireNode(t, over.transport(RemoteConfig{Listen: listen, Advertise: "localhost:" + port}), anyone)
	if b.address != "localhost:"+port {
		t.Errorf("address %s", b.address)
	}
	a.ask(b)
	b.ask(a)
}

// TestTransportCarriesActors lets actors talk by Proto.Actor's own means.
func TestTransportCarriesActors(t *testing.T) { overEach(t, carriesActors) }

func carriesActors(t *testing.T, over network) {
	a, b := over.node(t, "127.0.0.1:0"), over.node(t, "127.0.0.1:0")
	_, err := b.system.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		if command, ok := c.Message().(*transportpb.Command); ok {
			c.Respond(&transportpb.Reply{Payload: command.GetPayload()})
		}
	}), "ghost")
	if err != nil {
		t.Fatal(err)
	}
	a.system.Root.RequestWithCustomSender(b.pid("ghost", 0), &transportpb.Command{Payload: []byte("hi")}, a.pid(inboxID, 9))
	got := a.next()
	if got.target.GetRequestId() != 9 || string(got.msg.(*transportpb.Reply).GetPayload()) != "hi" {
		t.Errorf("got %v", got)
	}
	a.system.Root.RequestWithCustomSender(b.pid(inboxID, 0), &actor.Touch{}, a.pid(inboxID, 0))
	if got := a.next(); fmt.Sprintf("%T", got.msg) != "*actor.DeadLetterResponse" {
		t.Errorf("a message that does not cross the wire: got %v", got)
	}
	a.system.Root.Stop(b.pid("ghost", 0))
	watch := a.system.Root.StopFuture(b.pid("ghost", 0))
	if err := watch.Wait(); err != nil {
		t.Errorf("a watch on another node: %v", err)
	}
	a.ask(b)
	a.system.Root.RequestWithCustomSender(b.pid("ghost", 0), &transportpb.Command{}, a.pid(inboxID, 9))
	if got := a.next(); got.target.GetRequestId() != 9 {
		t.Errorf("the actor did not survive: %v", got)
	}
}

func BenchmarkTransport(b *testing.B) {
	for _, over := range networks {
		for _, concurrency := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("%s/plain/c=%d", over.name, concurrency), func(b *testing.B) {
				benchmarkRequests(b, concurrency, over.node(b, "127.0.0.1:0"), over.node(b, "127.0.0.1:0"))
			})
			b.Run(fmt.Sprintf("%s/TLS/c=%d", over.name, concurrency), func(b *testing.B) {
				c := newSecureCluster(b, over)
				benchmarkRequests(b, concurrency, c.node("a"), c.node("b"))
			})
		}
	}
}

// benchmarkRequests measures requests of 100 bytes from one node to another.
func benchmarkRequests(b *testing.B, concurrency int, client, server *wireNode) {
	waiting := make(waiters, concurrency+1)
	for i := range waiting {
		waiting[i] = make(chan struct{}, 1)
	}
	client.system.ProcessRegistry.Add(waiting, "bomb")
	payload, target := make([]byte, 100), server.pid(echoID, 0)
	client.ask(server)
	var left atomic.Int64
	left.Store(int64(b.N))
	var clients sync.WaitGroup
	b.ResetTimer()
	for i := range concurrency {
		clients.Go(func() {
			sender := client.pid("bomb", uint32(i+1))
			for left.Add(-1) >= 0 {
				if err := client.Send(target, sender, &transportpb.Command{Payload: payload}); err != nil {
					b.Error(err)
					return
				}
				<-waiting[i+1]
			}
		})
	}
	clients.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// waiters is a process that wakes whoever waits under the request id.
type waiters []chan struct{}

func (w waiters) SendUserMessage(pid *actor.PID, _ any) { w[pid.GetRequestId()] <- struct{}{} }
func (waiters) SendSystemMessage(*actor.PID, any)       {}
func (waiters) Stop(*actor.PID)                         {}
