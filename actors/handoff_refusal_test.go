package actors_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/handoff"
	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	"github.com/torc-io/torc/ring"
)

// greet says hello over a stream of its own, and returns the answer.
func (w *world) greet(from, to ring.NodeName, hello *handoffpb.Hello) (*handoffpb.Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	stream, err := w.node(from).transport.OpenHandoff(ctx, actors.HandoffPeer{Name: to, Address: string(to)})
	if err != nil {
		return nil, err
	}
	if err := stream.Send(&handoffpb.Frame{Kind: &handoffpb.Frame_Hello{Hello: hello}}); err != nil {
		return nil, err
	}
	return stream.Recv()
}

// TestWrongTransfersAreRefused: whoever says hello for a transfer that the ring
// does not bear out is told why, and nothing changes.
func TestWrongTransfersAreRefused(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 1}}, "abc", func(w *world) {
		for _, key := range w.keys(2) {
			w.put("a", key, 1)
		}
		r := w.ring()
		var of ring.Partition // some partition of a
		for p := range r.Owned("a") {
			of = p
		}
		good := func(change func(*handoffpb.Hello)) *handoffpb.Hello {
			h := &handoffpb.Hello{
				Type: handoffpb.Type_TYPE_HINTED, Service: "shelf", Partition: uint32(of), Source: uint32(of), From: "b", To: "a",
				ClusterId: r.ClusterID(), RingSize: uint32(r.Size()), Epoch: uint64(r.Epoch()), Id: 1,
			}
			change(h)
			return h
		}
		ownership := func(h *handoffpb.Hello) { h.Type = handoffpb.Type_TYPE_OWNERSHIP }
		for _, c := range []struct {
			says   string
			reason handoffpb.Reason
			hello  *handoffpb.Hello
		}{
			{"to itself", handoffpb.Reason_REASON_WRONG, good(func(h *handoffpb.Hello) { h.From, h.Type = "a", handoffpb.Type_TYPE_OWNERSHIP })},
			{"a owns partition", handoffpb.Reason_REASON_WRONG, good(ownership)},
			{"is owned by a at epoch", handoffpb.Reason_REASON_WRONG, good(func(h *handoffpb.Hello) { h.To = "c" })},
			{"its ring has 12 partitions, that of b has 64", handoffpb.Reason_REASON_WRONG, good(func(h *handoffpb.Hello) { h.RingSize = 64 })},
			{"b of other", handoffpb.Reason_REASON_WRONG, good(func(h *handoffpb.Hello) { h.ClusterId = "other" })},
			{"d is no member", handoffpb.Reason_REASON_WRONG, good(func(h *handoffpb.Hello) { h.From = "d" })},
			{"does not run the service", handoffpb.Reason_REASON_WRONG, good(func(h *handoffpb.Hello) { h.Service = "book" })},
			{"it was taken for b", handoffpb.Reason_REASON_WRONG, good(func(h *handoffpb.Hello) { h.To = "b" })},
			{"there is no partition 99", handoffpb.Reason_REASON_WRONG, good(func(h *handoffpb.Hello) { h.Partition = 99 })},
			{"there is no partition 4000000000", handoffpb.Reason_REASON_WRONG, good(func(h *handoffpb.Hello) { h.Source = 4000000000 })},
			{"has yet to hear of 1000", handoffpb.Reason_REASON_NOT_NOW, good(func(h *handoffpb.Hello) { h.Epoch = 1000 })},
			{"does not lack", handoffpb.Reason_REASON_WRONG, good(func(h *handoffpb.Hello) { h.Type = handoffpb.Type_TYPE_REPAIR })},
			{"of a type that is not known", handoffpb.Reason_REASON_WRONG, good(func(h *handoffpb.Hello) { h.Type = handoffpb.Type(77) })},
		} {
			to := ring.NodeName("a")
			if c.hello.GetTo() == "c" {
				to = "c"
			}
			answer, err := w.greet("b", to, c.hello)
			if refusal := answer.GetRefusal(); refusal == nil || refusal.GetReason() != c.reason || !strings.Contains(refusal.GetText(), c.says) {
				t.Errorf("want %v, %q: got %v, %v", c.reason, c.says, answer, err)
			}
		}
		if answer, err := w.greet("b", "a", good(func(*handoffpb.Hello) {})); answer.GetWelcome().GetNext() != 1 {
			t.Errorf("one that is right: %v, %v", answer, err)
		}
		w.settle(10 * time.Second)
		for _, key := range w.keys(2) {
			w.expect("c", key, 1, actors.Call{})
		}
	})
}

// TestStrangersTransferNothing: only members open streams.
func TestStrangersTransferNothing(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 1}}, "ab", func(w *world) {
		system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
		defer system.Shutdown()
		elsewhere := w.Transport("z")
		if _, err := elsewhere.Start(system, actors.Policy{}); err != nil {
			w.t.Fatal(err)
		}
		defer func() {
			if err := elsewhere.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		if _, err := elsewhere.OpenHandoff(context.Background(), actors.HandoffPeer{Name: "a", Address: "a"}); err == nil {
			t.Error("a stranger opened a stream")
		}
	})
}

// ownershipTo finds the status of ownership transfers to a node.
func ownershipTo(to ring.NodeName) func(actors.TransferStatus) bool {
	return func(s actors.TransferStatus) bool { return s.Type == handoff.Ownership && s.To == to }
}

// waits checks that a node says, within a few seconds, why a transfer waits, and
// that since is when it began to.
func (w *world) waits(on ring.NodeName, match func(actors.TransferStatus) bool, reason string) {
	w.t.Helper()
	var first actors.TransferStatus
	w.eventually(10*time.Second, func() string {
		all := ""
		for _, s := range w.node(on).Transfers() {
			if match(s) && s.Phase == handoff.Waiting && strings.Contains(s.Reason, reason) {
				first = s
				return ""
			}
			all += s.String() + " " + s.Reason + "; "
		}
		return "no transfer waits because of " + reason + ": " + all
	})
	arose := time.Now()
	elapse(3 * time.Second)
	later, found := w.node(on).status(func(s actors.TransferStatus) bool { return s.Transfer == first.Transfer })
	switch {
	case !found || later.Phase != handoff.Waiting || !strings.Contains(later.Reason, reason):
		w.t.Errorf("then it says %v %q", later.Phase, later.Reason)
	case later.Since.After(arose) || later.Since.Before(arose.Add(-time.Minute)):
		w.t.Errorf("%q is said to be so for %v, and has been seen for %v", reason, time.Since(later.Since), time.Since(arose))
	}
}

// TestWaitingTransfersSayWhy: at a limit of either side, to a node that cannot be
// reached, and while the sender recovers.
func TestWaitingTransfersSayWhy(t *testing.T) {
	limits := func(w *world, on ring.NodeName, out, in int) {
		if err := w.node(on).SetTransferLimits(actors.TransferLimits{Out: out, In: in}); err != nil {
			t.Error(err)
		}
	}
	fill := func(w *world) {
		for _, key := range w.keys(1) {
			w.put("a", key, 1)
		}
	}
	t.Run("in", func(t *testing.T) {
		inWorld(t, setup{quorum: actors.Quorum{N: 1}}, "a", func(w *world) {
			fill(w)
			w.start("b", 1)
			limits(w, "b", 4, 0)
			known, _ := w.ring().Member("b")
			w.commit(ring.Join(known))
			w.waits("a", ownershipTo("b"), "b has 0 of 0 incoming transfers")
			limits(w, "b", 4, 4)
			w.settle(5 * time.Second)
		})
	})
	t.Run("out", func(t *testing.T) {
		inWorld(t, setup{quorum: actors.Quorum{N: 1}}, "a", func(w *world) {
			fill(w)
			limits(w, "a", 0, 4)
			w.join("b")
			w.waits("a", ownershipTo("b"), "a has 0 of 0 outgoing transfers")
			limits(w, "a", 1, 4)
			w.settle(5 * time.Second)
		})
	})
	t.Run("unreachable", func(t *testing.T) {
		inWorld(t, setup{quorum: actors.Quorum{N: 1}}, "a", func(w *world) {
			fill(w)
			limits(w, "a", 0, 4)
			w.join("b")
			w.isolate("b")
			elapse(2 * time.Second)
			limits(w, "a", 1, 4)
			w.waits("a", ownershipTo("b"), "b cannot be reached")
			w.rejoin("b")
			w.settle(10 * time.Second)
		})
	})
	t.Run("recovering", func(t *testing.T) {
		inWorld(t, setup{quorum: actors.Quorum{N: 3}}, "abc", func(w *world) {
			fill(w)
			for _, on := range []ring.NodeName{"a", "b"} {
				limits(w, on, 0, 4)
			}
			w.stop("c")
			w.start("c", 1)
			w.join("d")
			w.waits("c", ownershipTo("d"), "c is recovering partition")
			w.waits("c", func(s actors.TransferStatus) bool { return s.Type == handoff.Repair && s.To == "c" }, "asked")
			for _, on := range []ring.NodeName{"a", "b"} {
				limits(w, on, 4, 4)
			}
			w.settle(10 * time.Second)
			if said := w.unequal(); said != "" {
				t.Error(said)
			}
		})
	})
}

// TestNothingGoesToANodeThatLeft: what its ring wanted from others is not wanted
// any more, and a hello for it is refused.
func TestNothingGoesToANodeThatLeft(t *testing.T) {
	inWorld(t, setup{quorum: actors.Quorum{N: 1}}, "abc", func(w *world) {
		for _, key := range w.keys(1) {
			w.put("a", key, 1)
		}
		before := w.ring()
		w.commit(ring.Leave("c"))
		w.settle(10 * time.Second)
		for p := range before.Owned("c") {
			answer, err := w.greet("a", "c", &handoffpb.Hello{
				Type: handoffpb.Type_TYPE_HINTED, Service: "shelf", Partition: uint32(p), Source: uint32(p), From: "a", To: "c",
				ClusterId: before.ClusterID(), RingSize: uint32(before.Size()), Epoch: uint64(before.Epoch()),
			})
			if answer.GetRefusal().GetReason() != handoffpb.Reason_REASON_WRONG {
				t.Errorf("c left, and answers %v, %v", answer, err)
			}
		}
		for _, name := range w.names() {
			if s, found := w.node(name).status(func(s actors.TransferStatus) bool { return s.To == "c" }); found {
				t.Errorf("%s still has %v", name, s)
			}
		}
	})
}
