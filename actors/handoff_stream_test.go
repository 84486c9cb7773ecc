package actors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
)

// handle sets how the node serves transfers.
func (n *wireNode) handle(handler handoffHandler) { n.handoff.Store(&handler) }

// transfer opens a stream to the node b, which ends with the returned function or
// the test.
func (n *wireNode) transfer(b *wireNode) (HandoffOut, context.CancelFunc) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	n.t.Cleanup(cancel)
	out, err := n.OpenHandoff(ctx, HandoffPeer{Name: "b", Address: b.HandoffAddress()})
	if err != nil {
		n.t.Fatal(err)
	}
	return out, cancel
}

func chunk(seq uint64, items []byte) *handoffpb.Frame {
	return &handoffpb.Frame{Kind: &handoffpb.Frame_Chunk{Chunk: &handoffpb.Chunk{Seq: seq, Items: items}}}
}

func ack(seq uint64) *handoffpb.Answer {
	return &handoffpb.Answer{Kind: &handoffpb.Answer_Ack{Ack: &handoffpb.Ack{Seq: seq}}}
}

// acknowledge is a handler that acknowledges each chunk, until the stream ends.
func acknowledge(_ context.Context, _ string, in HandoffIn) error {
	for {
		frame, err := in.Recv()
		if err != nil {
			return err
		}
		if err := in.Send(ack(frame.GetChunk().GetSeq())); err != nil {
			return err
		}
	}
}

// onEachTransport runs a test with a sender and a receiver of each kind.
func onEachTransport(t *testing.T, test func(t *testing.T, a, b *wireNode)) {
	t.Helper()
	t.Run("Remote", func(t *testing.T) {
		noLeaks(t)
		test(t, newRemoteNode(t), newRemoteNode(t))
	})
	t.Run("Memory", func(t *testing.T) {
		noLeaks(t)
		n := NewNetwork()
		test(t, n.newNode(t, "a"), n.newNode(t, "b"))
	})
	t.Run("TLS", func(t *testing.T) {
		noLeaks(t)
		c := newSecureCluster(t, overGRPC)
		test(t, c.node("a"), c.node("b"))
	})
}

// TestHandoffCarriesItems: eight megabytes, in order, while answers come back.
func TestHandoffCarriesItems(t *testing.T) {
	onEachTransport(t, func(t *testing.T, a, b *wireNode) {
		const chunks, size = 128, 64 << 10
		b.handle(func(_ context.Context, _ string, in HandoffIn) error {
			for seq := uint64(1); seq <= chunks; seq++ {
				frame, err := in.Recv()
				if err != nil {
					return err
				}
				if !bytes.Equal(frame.GetChunk().GetItems(), bytes.Repeat([]byte{byte(seq)}, size)) {
					return fmt.Errorf("chunk %d: got another one", seq)
				}
				if err := in.Send(ack(seq)); err != nil {
					return err
				}
			}
			return nil
		})
		out, _ := a.transfer(b)
		var sending sync.WaitGroup
		defer sending.Wait()
		sending.Go(func() {
			items := make([]byte, size)
			for seq := uint64(1); seq <= chunks; seq++ {
				copy(items, bytes.Repeat([]byte{byte(seq)}, size)) // a frame is free again after Send
				if err := out.Send(chunk(seq, items)); err != nil {
					t.Errorf("chunk %d: %v", seq, err)
					return
				}
			}
		})
		for seq := uint64(1); seq <= chunks; seq++ {
			answer, err := out.Recv()
			if err != nil || answer.GetAck().GetSeq() != seq {
				t.Fatalf("answer %d: %v, %v", seq, answer, err)
			}
		}
		if _, err := out.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("in the end: %v", err)
		}
	})
}

// TestHandoffWaitsForTheReceiver: a receiver that does not read makes Send block.
func TestHandoffWaitsForTheReceiver(t *testing.T) {
	onEachTransport(t, func(t *testing.T, a, b *wireNode) {
		const chunks = 1024
		read := make(chan struct{})
		b.handle(func(ctx context.Context, peer string, in HandoffIn) error {
			<-read
			return acknowledge(ctx, peer, in)
		})
		out, _ := a.transfer(b)
		var sent atomic.Int64
		var sending sync.WaitGroup
		defer sending.Wait()
		sending.Go(func() {
			for seq := uint64(1); seq <= chunks; seq++ {
				if err := out.Send(chunk(seq, make([]byte, 64<<10))); err != nil {
					t.Errorf("chunk %d: %v", seq, err)
				}
				sent.Add(1)
			}
		})
		last, still := int64(0), 0 // a slow sender looks blocked, too, but none that is not looks so
		until(t, "the sender is blocked, or done", func() bool {
			if n := sent.Load(); n != last || n == 0 {
				last, still = n, 0
			} else {
				still++
			}
			return still > 20
		})
		if last > chunks/8 {
			t.Errorf("%d chunks were sent that nobody reads", last)
		}
		close(read)
		for seq := uint64(1); seq <= chunks; seq++ {
			if answer, err := out.Recv(); err != nil || answer.GetAck().GetSeq() != seq {
				t.Fatalf("answer %d: %v, %v", seq, answer, err)
			}
		}
	})
}

// TestHandoffTellsWhyTheHandlerEnded, after what it answered before; and Send
// does not block for ever on one that is gone.
func TestHandoffTellsWhyTheHandlerEnded(t *testing.T) {
	onEachTransport(t, func(t *testing.T, a, b *wireNode) {
		b.handle(func(_ context.Context, _ string, in HandoffIn) error {
			_ = in.Send(ack(1))
			return fmt.Errorf("item 7 of b: %w", ErrUnavailable)
		})
		out, _ := a.transfer(b)
		until(t, "Send fails", func() bool { return out.Send(chunk(1, make([]byte, 64<<10))) != nil })
		if answer, err := out.Recv(); err != nil || answer.GetAck().GetSeq() != 1 {
			t.Errorf("the answer before the end: %v, %v", answer, err)
		}
		for range 2 {
			_, err := out.Recv()
			if err == nil || !strings.Contains(err.Error(), "item 7 of b: vnode unavailable") || errors.Is(err, ErrUnreachable) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// TestHandoffEndsWithItsContext, at both ends.
func TestHandoffEndsWithItsContext(t *testing.T) {
	onEachTransport(t, func(t *testing.T, a, b *wireNode) {
		ended := make(chan error, 3)
		b.handle(func(ctx context.Context, _ string, in HandoffIn) error {
			_ = in.Send(ack(0))
			_, err := in.Recv()
			<-ctx.Done()
			ended <- err
			ended <- in.Send(ack(1))
			return err
		})
		out, cancel := a.transfer(b)
		if _, err := out.Recv(); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := await(t, ended, "the handler to end"); !errors.Is(err, context.Canceled) {
			t.Errorf("the receiver got %v", err)
		}
		if await(t, ended, "the handler to answer") == nil {
			t.Error("the receiver could still answer")
		}
		if _, err := out.Recv(); !errors.Is(err, context.Canceled) {
			t.Errorf("the sender got %v", err)
		}
		if out.Send(chunk(1, nil)) == nil {
			t.Error("the sender could still send")
		}
	})
}

// TestHandoffEndsWithEitherNode: Stop waits for handlers, and no stream outlives it.
func TestHandoffEndsWithEitherNode(t *testing.T) {
	for _, stops := range []string{"sender", "receiver"} {
		t.Run(stops, func(t *testing.T) {
			onEachTransport(t, func(t *testing.T, a, b *wireNode) {
				var handlers atomic.Int64
				b.handle(func(ctx context.Context, _ string, in HandoffIn) error {
					handlers.Add(1)
					defer handlers.Add(-1)
					_ = in.Send(ack(0))
					<-ctx.Done()
					return ctx.Err()
				})
				var outs []HandoffOut
				for range 5 {
					out, _ := a.transfer(b)
					if _, err := out.Recv(); err != nil {
						t.Fatal(err)
					}
					outs = append(outs, out)
				}
				stopped := map[string]*wireNode{"sender": a, "receiver": b}[stops]
				if err := stopped.Stop(context.Background()); err != nil {
					t.Error(err)
				}
				if n := handlers.Load(); stops == "receiver" && n != 0 {
					t.Errorf("%d handlers outlived Stop", n)
				}
				for _, out := range outs {
					if _, err := out.Recv(); !errors.Is(err, ErrUnreachable) {
						t.Errorf("got %v", err)
					}
				}
				until(t, "the handlers end", func() bool { return handlers.Load() == 0 })
				_, err := stopped.OpenHandoff(context.Background(), HandoffPeer{Name: "x", Address: a.HandoffAddress()})
				if !errors.Is(err, ErrStopping) {
					t.Errorf("open after stop: %v", err)
				}
			})
		})
	}
}

// TestHandoffRefusesWhatIsTooLarge, and the stream goes on.
func TestHandoffRefusesWhatIsTooLarge(t *testing.T) {
	onEachTransport(t, func(t *testing.T, a, b *wireNode) {
		b.handle(func(_ context.Context, _ string, in HandoffIn) error {
			text := &handoffpb.Refusal{Text: strings.Repeat("x", maxHandoffFrameBytes)}
			large := &handoffpb.Answer{Kind: &handoffpb.Answer_Refusal{Refusal: text}}
			if err := in.Send(large); !errors.Is(err, ErrTooLarge) {
				return fmt.Errorf("a large answer: %w", err)
			}
			return acknowledge(context.Background(), "", in)
		})
		out, _ := a.transfer(b)
		if err := out.Send(chunk(1, make([]byte, maxHandoffFrameBytes))); !errors.Is(err, ErrTooLarge) {
			t.Errorf("got %v", err)
		}
		if err := out.Send(chunk(2, make([]byte, maxHandoffFrameBytes-32))); err != nil {
			t.Fatal(err)
		}
		if answer, err := out.Recv(); err != nil || answer.GetAck().GetSeq() != 2 {
			t.Errorf("got %v, %v", answer, err)
		}
	})
}

// TestHandoffToNobody fails at once.
func TestHandoffToNobody(t *testing.T) {
	onEachTransport(t, func(t *testing.T, a, b *wireNode) {
		to := HandoffPeer{Name: "b", Address: b.HandoffAddress()}
		if err := b.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range 3 {
			if _, err := a.OpenHandoff(context.Background(), to); !errors.Is(err, ErrUnreachable) {
				t.Errorf("got %v", err)
			}
		}
		if took := time.Since(began); took > patience/2 {
			t.Errorf("took %v", took)
		}
	})
}

// TestHandoffUnderFire stops nodes while transfers begin, run and end.
func TestHandoffUnderFire(t *testing.T) {
	onEachTransport(t, func(t *testing.T, a, b *wireNode) {
		var done atomic.Int64
		var senders sync.WaitGroup
		for _, pair := range [][2]*wireNode{{a, b}, {b, a}, {a, b}, {b, a}} {
			from, to := pair[0], HandoffPeer{Name: "a", Address: pair[1].HandoffAddress()}
			if pair[1] == b {
				to.Name = "b"
			}
			from.handle(acknowledge)
			senders.Go(func() {
				for {
					ctx, cancel := context.WithCancel(context.Background())
					out, err := from.OpenHandoff(ctx, to)
					for seq := uint64(1); err == nil && seq <= 10; seq++ {
						if err = out.Send(chunk(seq, make([]byte, 1000))); err == nil {
							_, err = out.Recv()
						}
					}
					cancel()
					if errors.Is(err, ErrStopping) {
						return
					}
					done.Add(1)
				}
			})
		}
		until(t, "some transfers are done", func() bool { return done.Load() > 200 })
		for _, n := range []*wireNode{a, b} {
			if err := n.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
		senders.Wait()
	})
}

func BenchmarkHandoff(b *testing.B) {
	b.Run("Remote", func(b *testing.B) {
		benchmarkHandoff(b, newRemoteNode(b), newRemoteNode(b))
	})
	b.Run("TLS", func(b *testing.B) {
		c := newSecureCluster(b, overGRPC)
		benchmarkHandoff(b, c.node("a"), c.node("b"))
	})
}

// benchmarkHandoff measures one transfer in chunks of 64 KiB, each acknowledged.
func benchmarkHandoff(b *testing.B, from, to *wireNode) {
	const size, window = 64 << 10, 16
	to.handle(acknowledge)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, err := from.OpenHandoff(ctx, HandoffPeer{Name: "b", Address: to.HandoffAddress()})
	if err != nil {
		b.Fatal(err)
	}
	items := make([]byte, size)
	room := make(chan struct{}, window)
	b.SetBytes(size)
	b.ReportAllocs()
	b.ResetTimer()
	go func() {
		for seq := range uint64(b.N) {
			room <- struct{}{}
			if out.Send(chunk(seq, items)) != nil {
				return // Recv knows why
			}
		}
	}()
	for range b.N {
		if _, err := out.Recv(); err != nil {
			b.Fatal(err)
		}
		<-room
	}
}
