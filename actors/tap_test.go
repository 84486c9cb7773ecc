package actors_test

import (
	"context"
	"io"
	"sync"
	"testing"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/handoff"
	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	"github.com/torc-io/torc/ring"
)

// tap is a transport whose streams of transfers a test looks into, and changes.
type tap struct {
	actors.Transport
	*taps
}

// taps is what all nodes' taps have in common.
type taps struct {
	// sends is asked about each frame before it is sent, and returns what goes out
	// in its place, and answers of its own; nil lets all pass.
	sends func(s *tapped, f *handoffpb.Frame) (out []*handoffpb.Frame, forged []*handoffpb.Answer)
	// hears is asked about each answer before the sender gets it; nil swallows it.
	hears func(s *tapped, a *handoffpb.Answer) *handoffpb.Answer
}

// wire is for setup.wire.
func (t *taps) wire(_ ring.NodeName, inner actors.Transport) actors.Transport { return &tap{inner, t} }

// OpenHandoff opens a stream that is looked into.
func (t *tap) OpenHandoff(ctx context.Context, to actors.HandoffPeer) (actors.HandoffOut, error) {
	ctx, hangUp := context.WithCancel(ctx)
	inner, err := t.Transport.OpenHandoff(ctx, to)
	if err != nil {
		hangUp()
		return nil, err
	}
	s := &tapped{HandoffOut: inner, taps: t.taps, ctx: ctx, hangUp: hangUp, answers: make(chan heard, 1<<12)}
	go s.pump()
	return s, nil
}

// tapped is one stream.
type tapped struct {
	actors.HandoffOut
	*taps
	ctx     context.Context
	hangUp  func() // breaks this stream alone
	hello   *handoffpb.Hello
	answers chan heard

	dropped uint64 // by a seeded bug, for the next lie
	items   uint64 // that were sent
}

type heard struct {
	answer *handoffpb.Answer
	err    error
}

// pump takes the real answers to where the forged ones are.
func (s *tapped) pump() {
	for {
		a, err := s.HandoffOut.Recv()
		if err == nil && s.hears != nil {
			if a = s.hears(s, a); a == nil {
				continue
			}
		}
		select {
		case s.answers <- heard{a, err}:
		case <-s.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// Recv returns the next answer, be it real or not.
func (s *tapped) Recv() (*handoffpb.Answer, error) {
	select {
	case h := <-s.answers:
		return h.answer, h.err
	case <-s.ctx.Done():
		return nil, io.ErrUnexpectedEOF
	}
}

// Send sends what the test makes of a frame.
func (s *tapped) Send(f *handoffpb.Frame) error {
	if f.GetHello() != nil {
		s.hello = f.GetHello()
	}
	out, forged := []*handoffpb.Frame{f}, []*handoffpb.Answer(nil)
	if s.sends != nil {
		out, forged = s.sends(s, f)
	}
	for _, f := range out {
		if err := s.HandoffOut.Send(f); err != nil {
			return err
		}
	}
	for _, a := range forged {
		s.answers <- heard{answer: a}
	}
	return nil
}

// pass lets a frame go as it is.
func pass(f *handoffpb.Frame) ([]*handoffpb.Frame, []*handoffpb.Answer) {
	return []*handoffpb.Frame{f}, nil
}

// itemsOf decodes a chunk.
func itemsOf(t testing.TB, c *handoffpb.Chunk) []handoff.Item {
	items, err := handoff.DecodeItems(c.GetItems())
	if err != nil {
		t.Errorf("a chunk does not decode: %v", err)
	}
	return items
}

// chunkOf encodes one.
func chunkOf(t testing.TB, seq uint64, items []handoff.Item) *handoffpb.Frame {
	var encoded []byte
	for _, item := range items {
		var err error
		if encoded, err = handoff.AppendItem(encoded, item); err != nil {
			t.Error(err)
		}
	}
	return &handoffpb.Frame{Kind: &handoffpb.Frame_Chunk{Chunk: &handoffpb.Chunk{
		Seq: seq, Items: encoded, Checksum: handoff.Checksum(encoded),
	}}}
}

// chunks counts what went over.
type chunks struct {
	mu    sync.Mutex
	sent  map[uint64]map[uint64]int // by the transfer's id, and the chunk's number
	seals int
}

// note counts a frame. The zero value of chunks is empty.
func (c *chunks) note(s *tapped, f *handoffpb.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.GetSeal() != nil {
		c.seals++
	}
	if f.GetChunk() == nil {
		return
	}
	if c.sent == nil {
		c.sent = map[uint64]map[uint64]int{}
	}
	if c.sent[s.hello.GetId()] == nil {
		c.sent[s.hello.GetId()] = map[uint64]int{}
	}
	c.sent[s.hello.GetId()][f.GetChunk().GetSeq()]++
}

// again returns how many chunks were sent more than once in a transfer, counting
// each time, the worst of all transfers.
func (c *chunks) again() (most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, sent := range c.sent {
		again := 0
		for _, times := range sent {
			again += times - 1
		}
		most = max(most, again)
	}
	return most
}
