package actors

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

// inVirtualTime runs a test with a network in a bubble of its own.
func inVirtualTime(t *testing.T, test func(t *testing.T, n *Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, NewNetwork()) })
}

// newNode starts a node on the network.
func (n *Network) newNode(t *testing.T, name string) *wireNode {
	return newWireNode(t, n.Transport(name), anyone)
}

// passRedialPause lets the time pass in which a peer is left alone.
func passRedialPause() {
	time.Sleep(redialPause)
	synctest.Wait()
}

// beat sends a numbered message to the inbox of another node.
func (n *wireNode) beat(to *wireNode, number uint64) {
	n.t.Helper()
	if err := n.Send(to.pid(inboxID, 0), nil, &transportpb.Heartbeat{Sequence: number}); err != nil {
		n.t.Fatal(err)
	}
}

// wantBeats fails unless these and no other messages arrived.
func (n *wireNode) wantBeats(numbers ...uint64) {
	n.t.Helper()
	synctest.Wait()
	for _, number := range numbers {
		select {
		case a := <-n.inbox:
			if got := a.msg.(*transportpb.Heartbeat).GetSequence(); got != number {
				n.t.Errorf("got message %d, want %d", got, number)
			}
		default:
			n.t.Errorf("message %d did not arrive", number)
		}
	}
	if len(n.inbox) > 0 {
		n.t.Errorf("got %d more messages", len(n.inbox))
	}
}

// wantBroken fails unless the connections to these and no others broke.
func (n *wireNode) wantBroken(addresses ...string) {
	n.t.Helper()
	synctest.Wait()
	for _, address := range addresses {
		select {
		case got := <-n.broken:
			if got != address {
				n.t.Errorf("%s: connection to %s broke, want %s", n.address, got, address)
			}
		default:
			n.t.Errorf("%s: connection to %s did not break", n.address, address)
		}
	}
	if len(n.broken) > 0 {
		n.t.Errorf("%s: %d more connections broke", n.address, len(n.broken))
	}
}

func TestTransportMemoryRequestReply(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b := n.newNode(t, "a"), n.newNode(t, "b")
		command := &transportpb.Command{Method: "Store", Payload: []byte("x")}
		if err := a.Send(b.pid(inboxID, 5), a.pid(inboxID, 7), command); err != nil {
			t.Fatal(err)
		}
		got := b.next()
		if got.msg == proto.Message(command) || !proto.Equal(got.msg.(proto.Message), command) {
			t.Errorf("got %v, want a copy of %v", got.msg, command)
		}
		if !got.target.Equal(b.pid(inboxID, 5)) || !got.sender.Equal(a.pid(inboxID, 7)) {
			t.Errorf("to %v from %v", got.target, got.sender)
		}
		b.system.Root.Send(got.sender, &transportpb.Reply{Node: "b"}) // Proto.Actor's own way
		if answer := a.next(); answer.target.GetRequestId() != 7 {
			t.Errorf("got %v", answer)
		}
		a.ask(b)
		a.ask(a)
	})
}

func TestTransportMemoryKeepsOrderUnderDelay(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b := n.newNode(t, "a"), n.newNode(t, "b")
		n.SetDelay(time.Hour)
		a.beat(b, 1)
		n.SetDelay(time.Minute)
		a.beat(b, 2)
		time.Sleep(time.Hour - 1)
		b.wantBeats()
		time.Sleep(time.Nanosecond)
		b.wantBeats(1, 2)
		n.SetDelay(0)
		a.beat(b, 3)
		b.wantBeats(3)
	})
}

func TestTransportMemoryCutIsSilentAndOneWay(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b := n.newNode(t, "a"), n.newNode(t, "b")
		n.Cut("a", "b")
		a.beat(b, 1)
		b.beat(a, 2)
		b.wantBeats()
		a.wantBeats(2)
		n.Heal("a", "b")
		a.beat(b, 3)
		b.wantBeats(3)
		a.wantBroken()
		b.wantBroken()
	})
}

func TestTransportMemoryBreakTellsBothSides(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b, c := n.newNode(t, "a"), n.newNode(t, "b"), n.newNode(t, "c")
		a.beat(b, 1) // b has sent nothing
		a.beat(c, 1)
		b.wantBeats(1)
		n.Break("b", "a")
		a.wantBroken("b")
		b.wantBroken("a")
		c.wantBroken()
		if err := a.Send(b.pid(inboxID, 0), nil, &transportpb.Heartbeat{}); !errors.Is(err, ErrUnreachable) {
			t.Errorf("right after it broke: %v", err)
		}
		passRedialPause()
		a.beat(b, 2)
		b.wantBeats(2)
	})
}

func TestTransportMemoryDisconnectDropsWhatIsQueued(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b := n.newNode(t, "a"), n.newNode(t, "b")
		n.SetDelay(time.Second)
		a.beat(b, 1)
		a.Disconnect("b")
		a.Disconnect("nobody")
		a.wantBroken("b")
		time.Sleep(time.Minute)
		b.wantBeats()
	})
}

func TestTransportMemoryQueueIsBounded(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b := n.newNode(t, "a"), n.newNode(t, "b")
		n.SetDelay(time.Second)
		to, command := b.pid(inboxID, 0), &transportpb.Command{}
		for range maxQueuedMessages {
			if err := a.Send(to, nil, command); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Send(to, nil, command); !errors.Is(err, ErrOverloaded) {
			t.Errorf("one more: %v", err)
		}
		for i := range controlRoom { // a peer with a full queue is not a dead one
			a.beat(b, uint64(i))
		}
		if err := a.Send(to, nil, &transportpb.Heartbeat{}); !errors.Is(err, ErrOverloaded) {
			t.Errorf("one heartbeat more: %v", err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(b.inbox) != maxQueuedMessages+controlRoom {
			t.Errorf("%d arrived", len(b.inbox))
		}
		a.beat(b, 1)
		large := &transportpb.Command{Payload: make([]byte, MaxMessageBytes)}
		var err error
		for err == nil {
			err = a.Send(b.pid(inboxID, 0), nil, large)
		}
		if !errors.Is(err, ErrOverloaded) {
			t.Errorf("too many bytes: %v", err)
		}
	})
}

func TestTransportMemoryRestart(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b := n.newNode(t, "a"), n.newNode(t, "b")
		if _, err := n.Transport("b").Start(quietSystem(), Policy{}); err == nil {
			t.Error("two nodes of one name")
		}
		a.beat(b, 1)
		b.wantBeats(1)
		if err := b.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		a.wantBroken("b")
		passRedialPause()
		_ = a.Send(b.pid(inboxID, 0), nil, &transportpb.Heartbeat{}) // nobody listens there
		a.wantBroken("b")
		passRedialPause()
		again := n.newNode(t, "b")
		a.beat(again, 3)
		again.wantBeats(3)
		b.wantBeats()
		if err := b.Send(a.pid(inboxID, 0), nil, &transportpb.Heartbeat{}); !errors.Is(err, ErrStopping) {
			t.Errorf("send by a stopped node: %v", err)
		}
	})
}

func TestTransportMemoryObeysThePolicy(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		knows := func(address string) bool { return address == "friend" }
		victim := newWireNode(t, n.Transport("victim"), knows)
		friend, stranger := n.newNode(t, "friend"), n.newNode(t, "stranger")
		beat := &transportpb.Heartbeat{}
		_ = stranger.Send(victim.pid(inboxID, 0), nil, beat)
		stranger.wantBroken("victim")
		_ = friend.Send(victim.pid(secretID, 0), nil, beat)
		_ = friend.Send(victim.pid("ghost", 0), nil, beat)
		_ = friend.Send(victim.pid(inboxID, 0), stranger.pid(inboxID, 0), beat)
		_ = friend.Send(victim.pid(inboxID, 0), victim.pid(secretID, 0), beat)
		victim.wantBeats()
		for _, want := range []string{reasonStranger, reasonTarget, reasonNoProcess, reasonSender, reasonSender} {
			if got := await(t, victim.rejected, "a refusal"); got != want {
				t.Errorf("refused for %q, want %q", got, want)
			}
		}
		friend.ask(victim)
	})
}

// TestTransportVetsMessages sends what would fail while it is encoded, where the
// sender would not hear of it.
func TestTransportVetsMessages(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b := n.newNode(t, "a"), n.newNode(t, "b")
		inbox := b.pid(inboxID, 0)
		orphan := b.pid(inboxID, 0)
		orphan.Address = unstarted
		tests := map[string]error{
			"nil":           a.Send(inbox, nil, nil),
			"typed nil":     a.Send(inbox, nil, (*transportpb.Reply)(nil)),
			"a foreign one": a.Send(inbox, nil, a.pid("x", 0)),
			"to nobody":     a.Send(nil, nil, &transportpb.Reply{}),
			"to an orphan":  a.Send(orphan, nil, &transportpb.Reply{}),
			"by an orphan":  a.Send(inbox, orphan, &transportpb.Reply{}),
		}
		for name, err := range tests {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, messageType := range wireTypes {
			for fields, i := messageType.Descriptor().Fields(), 0; i < fields.Len(); i++ {
				if fields.Get(i).Kind() != protoreflect.StringKind {
					continue
				}
				m := messageType.New()
				m.Set(fields.Get(i), protoreflect.ValueOfString("\xff"))
				if err := a.Send(inbox, nil, m.Interface()); !errors.Is(err, ErrInvalid) {
					t.Errorf("%s with %s that is not UTF-8: %v; teach encodable", name, fields.Get(i).Name(), err)
				}
			}
		}
	})
}

// TestTransportMemoryUnderFire stops and breaks whatever there is while all send.
func TestTransportMemoryUnderFire(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		nodes := []*wireNode{n.newNode(t, "a"), n.newNode(t, "b"), n.newNode(t, "c")}
		var arrived atomic.Int64
		var senders sync.WaitGroup
		for _, from := range nodes {
			for _, to := range nodes {
				senders.Go(func() {
					for {
						err := from.Send(to.pid(inboxID, 0), from.pid(secretID, 1), &transportpb.Command{})
						if errors.Is(err, ErrStopping) {
							return
						}
						if err == nil {
							arrived.Add(1)
						}
						time.Sleep(time.Millisecond)
					}
				})
			}
		}
		for i := range 20 {
			time.Sleep(50 * time.Millisecond)
			n.Break(nodes[i%3].address, nodes[(i+1)%3].address)
			n.SetDelay(time.Duration(i) * time.Millisecond)
		}
		for _, node := range nodes {
			if err := node.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
		senders.Wait()
		if arrived.Load() < 1000 {
			t.Errorf("%d messages", arrived.Load())
		}
	})
}
