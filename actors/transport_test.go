package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// arrival is a message as the process that it was for got it.
type arrival struct {
	target, sender *actor.PID
	msg            any
}

// inbox is a process that keeps what it gets.
type inbox chan arrival

func (b inbox) SendUserMessage(pid *actor.PID, message any) {
	_, msg, sender := actor.UnwrapEnvelope(message)
	offer(b, arrival{pid, sender, msg})
}

func (b inbox) SendSystemMessage(pid *actor.PID, message any) {
	b <- arrival{target: pid, msg: message}
}
func (b inbox) Stop(pid *actor.PID) { offer(b, arrival{target: pid, msg: "stop"}) }

// echo is a process that answers each command with its payload.
type echo struct{ transport Transport }

func (e echo) SendUserMessage(pid *actor.PID, message any) {
	_, msg, sender := actor.UnwrapEnvelope(message)
	if c, ok := msg.(*transportpb.Command); ok {
		_ = e.transport.Send(sender, pid, &transportpb.Reply{Payload: c.GetPayload()})
	}
}
func (echo) SendSystemMessage(*actor.PID, any) {}
func (echo) Stop(*actor.PID)                   {}

// wireNode is a node that is nothing but its transport, an inbox and an echo.
type wireNode struct {
	Transport

	t        testing.TB
	system   *actor.ActorSystem
	address  string
	inbox    inbox
	broken   chan string
	rejected chan string
	handoff  atomic.Pointer[handoffHandler] // nil refuses
}

// handoffHandler is a [Policy].Handoff.
type handoffHandler func(ctx context.Context, peer string, in HandoffIn) error

// The processes of a wireNode. Peers may address the first two.
const (
	inboxID  = "inbox"
	echoID   = "echo"
	secretID = "secret"
)

func quietSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
}

// newWireNode starts a node on a transport; knows says which addresses are peers'.
func newWireNode(t testing.TB, transport Transport, knows func(string) bool) *wireNode {
	t.Helper()
	return newNodeAmong(t, transport, func(address string) (string, bool) { return "", knows(address) })
}

// newNodeAmong does the same for a node that knows its peers' names.
func newNodeAmong(t testing.TB, transport Transport, peer func(string) (string, bool)) *wireNode {
	t.Helper()
	n := &wireNode{
		Transport: transport,
		t:         t,
		system:    quietSystem(),
		inbox:     make(inbox, 8192),
		broken:    make(chan string, 1024),
		rejected:  make(chan string, 8192),
	}
	address, err := transport.Start(n.system, Policy{
		Target:   func(id string) bool { return id == inboxID || id == echoID || id == "ghost" || id == "bomb" },
		Peer:     peer,
		Broken:   func(address string) { offer(n.broken, address) },
		Rejected: func(reason string) { offer(n.rejected, reason) },
		Handoff: func(ctx context.Context, peer string, in HandoffIn) error {
			if handler := n.handoff.Load(); handler != nil {
				return (*handler)(ctx, peer, in)
			}
			return errors.New("no handler")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	n.address = address
	n.system.ProcessRegistry.Add(n.inbox, inboxID)
	n.system.ProcessRegistry.Add(n.inbox, secretID)
	n.system.ProcessRegistry.Add(echo{transport}, echoID)
	t.Cleanup(func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return n
}

// offer sends to a channel that somebody may read.
func offer[T any](to chan<- T, v T) {
	select {
	case to <- v:
	default:
	}
}

func anyone(string) bool { return true }

// newRemoteNode starts a node on a loopback port, for what does not depend on the
// transport.
func newRemoteNode(t testing.TB) *wireNode { return overGRPC.node(t, "127.0.0.1:0") }

// noLeaks fails the test if a goroutine that it started outlives its cleanup.
func noLeaks(t testing.TB) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

func (n *wireNode) pid(id string, request uint32) *actor.PID {
	return &actor.PID{Address: n.address, Id: id, RequestId: request}
}

// next returns the next message of the inbox.
func (n *wireNode) next() arrival {
	n.t.Helper()
	return await(n.t, n.inbox, "a message")
}

// await returns the next value from a channel.
func await[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("unreachable")
	}
}

// until tries something again and again until it is so.
func until(t testing.TB, what string, try func() bool) {
	t.Helper()
	end := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for !try() {
		select {
		case <-again.C:
		case <-end:
			t.Fatalf("waited %v until %s", patience, what)
		}
	}
}

// ask sends a command to the echo of another node and checks the answer. It
// retries while the connection is being made again: ours, or that of the answer,
// about which we hear nothing.
func (n *wireNode) ask(to *wireNode) {
	n.t.Helper()
	payload := fmt.Sprint(time.Now().UnixNano())
	until(n.t, "the echo answers", func() bool {
		if n.Send(to.pid(echoID, 0), n.pid(inboxID, 7), &transportpb.Command{Payload: []byte(payload)}) != nil {
			return false
		}
		select {
		case a := <-n.inbox:
			return string(a.msg.(*transportpb.Reply).GetPayload()) == payload
		case <-n.broken:
			return false
		case <-time.After(patience / 20):
			return false
		}
	})
}
