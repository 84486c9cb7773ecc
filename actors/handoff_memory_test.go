package actors

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// read is a handler that notes the chunks it gets, and what ended the stream.
func read(seqs chan uint64, ended chan error) handoffHandler {
	return func(_ context.Context, _ string, in HandoffIn) error {
		for {
			frame, err := in.Recv()
			if err != nil {
				ended <- err
				return err
			}
			seqs <- frame.GetChunk().GetSeq()
		}
	}
}

// wantChunks fails unless these and no others have arrived.
func wantChunks(t *testing.T, seqs chan uint64, want ...uint64) {
	t.Helper()
	synctest.Wait()
	for _, seq := range want {
		select {
		case got := <-seqs:
			if got != seq {
				t.Errorf("got chunk %d, want %d", got, seq)
			}
		default:
			t.Errorf("chunk %d did not arrive", seq)
		}
	}
	if len(seqs) > 0 {
		t.Errorf("%d more chunks arrived", len(seqs))
	}
}

func sendChunks(t *testing.T, out HandoffOut, seqs ...uint64) {
	t.Helper()
	for _, seq := range seqs {
		if err := out.Send(chunk(seq, nil)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHandoffMemoryDelays(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b := n.newNode(t, "a"), n.newNode(t, "b")
		b.handle(acknowledge)
		n.SetDelay(time.Second)
		out, _ := a.transfer(b)
		began := time.Now()
		sendChunks(t, out, 1, 2, 3)
		n.SetDelay(0)
		sendChunks(t, out, 4) // comes last all the same
		for seq := uint64(1); seq <= 4; seq++ {
			if answer, err := out.Recv(); err != nil || answer.GetAck().GetSeq() != seq {
				t.Errorf("answer %d: %v, %v", seq, answer, err)
			}
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("four chunks took %v", took)
		}
	})
}

// TestHandoffMemoryDelaysTheEnd: nobody knows it sooner than a network could tell.
func TestHandoffMemoryDelaysTheEnd(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b := n.newNode(t, "a"), n.newNode(t, "b")
		b.handle(func(context.Context, string, HandoffIn) error { return nil })
		n.SetDelay(time.Second)
		out, _ := a.transfer(b)
		synctest.Wait()
		sendChunks(t, out, 1)
		began := time.Now()
		if _, err := out.Recv(); !errors.Is(err, io.EOF) || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if err := out.Send(chunk(2, nil)); !errors.Is(err, io.EOF) {
			t.Errorf("send after the end: %v", err)
		}
	})
}

// TestHandoffMemoryCutLeavesNoGap: what follows a lost chunk is lost, too.
func TestHandoffMemoryCutLeavesNoGap(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b := n.newNode(t, "a"), n.newNode(t, "b")
		seqs, ended := make(chan uint64, 10), make(chan error, 1)
		b.handle(read(seqs, ended))
		out, cancel := a.transfer(b)
		sendChunks(t, out, 1)
		wantChunks(t, seqs, 1)
		n.Cut("a", "b")
		sendChunks(t, out, 2)
		wantChunks(t, seqs)
		n.Heal("a", "b")
		sendChunks(t, out, 3)
		wantChunks(t, seqs)

		other, _ := a.transfer(b) // a new stream has lost nothing
		sendChunks(t, other, 7)
		wantChunks(t, seqs, 7)
		cancel()
		if err := await(t, ended, "the end"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// TestHandoffMemoryCutIsOneWay, and takes what is under way.
func TestHandoffMemoryCutIsOneWay(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b := n.newNode(t, "a"), n.newNode(t, "b")
		seqs := make(chan uint64, 10)
		b.handle(func(_ context.Context, _ string, in HandoffIn) error {
			frame, err := in.Recv()
			if err != nil {
				return err
			}
			seqs <- frame.GetChunk().GetSeq()
			_ = in.Send(ack(1))
			return errors.New("over")
		})
		n.SetDelay(time.Second)
		out, cancel := a.transfer(b)
		sendChunks(t, out, 1)
		time.Sleep(1500 * time.Millisecond)
		wantChunks(t, seqs, 1)
		n.Cut("b", "a") // the answer is on its way, and the end of the stream
		time.AfterFunc(10*time.Second, cancel)
		began := time.Now()
		for seq := uint64(2); out.Send(chunk(seq, nil)) == nil; seq++ { // blocks in the end
			if seq > 10*memoryFrames {
				t.Fatal("Send does not block")
			}
		}
		if answer, err := out.Recv(); !errors.Is(err, context.Canceled) || time.Since(began) != 10*time.Second {
			t.Errorf("got %v, %v after %v", answer, err, time.Since(began))
		}
	})
}

func TestHandoffMemoryBreakEndsBothEnds(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		a, b, c := n.newNode(t, "a"), n.newNode(t, "b"), n.newNode(t, "c")
		seqs, ended := make(chan uint64, 10), make(chan error, 2)
		b.handle(read(seqs, ended))
		out, _ := a.transfer(b)
		other, _ := c.transfer(b)
		n.Break("b", "a")
		if err := await(t, ended, "the end"); !errors.Is(err, ErrUnreachable) {
			t.Errorf("the receiver got %v", err)
		}
		if _, err := out.Recv(); !errors.Is(err, ErrUnreachable) {
			t.Errorf("the sender got %v", err)
		}
		if err := out.Send(chunk(1, nil)); !errors.Is(err, ErrUnreachable) {
			t.Errorf("send: %v", err)
		}
		sendChunks(t, other, 5)
		wantChunks(t, seqs, 5)
		out, _ = a.transfer(b) // they may connect again
		sendChunks(t, out, 6)
		wantChunks(t, seqs, 6)
	})
}

func TestHandoffMemoryObeysThePolicy(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, n *Network) {
		victim := newWireNode(t, n.Transport("victim"), func(string) bool { return false })
		a := n.newNode(t, "a")
		if _, err := a.OpenHandoff(t.Context(), HandoffPeer{Name: "victim", Address: "victim"}); !errors.Is(err, ErrUnreachable) {
			t.Errorf("got %v", err)
		}
		victim.wantReason(t, reasonStranger)
	})
}
