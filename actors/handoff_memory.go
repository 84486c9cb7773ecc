package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
)

const (
	// memoryFrames is how many frames are on their way between two nodes at most,
	// and how many wait at the receiver: as many chunks of 64 KiB as the window of
	// [Remote] holds.
	memoryFrames = handoffStreamWindow / (64 << 10)

	// memoryAnswers is the same for answers. They are small, so that in practice
	// the window never closes.
	memoryAnswers = 1024
)

// memoryHandoff is the stream of a transfer over a [Network]. How it ends is told
// to both ends at once, even where messages are cut; a real network needs
// keepaliveTime and more.
type memoryHandoff struct {
	from, to string
	ctx      context.Context // done when the stream has ended, but by the handler
	cancel   context.CancelCauseFunc

	serving context.Context // done when the handler has returned, too
	served  context.CancelFunc

	frames  *flow[*handoffpb.Frame]
	answers *flow[*handoffpb.Answer]
}

// newMemoryHandoff makes a stream that nobody serves yet.
func newMemoryHandoff(ctx context.Context, n *Network, from, to string) *memoryHandoff {
	s := &memoryHandoff{from: from, to: to}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.serving, s.served = context.WithCancel(s.ctx)
	s.frames = newFlow[*handoffpb.Frame](s.serving, n, route{from, to}, memoryFrames)
	s.answers = newFlow[*handoffpb.Answer](s.ctx, n, route{to, from}, memoryAnswers)
	return s
}

// openHandoff implements [Transport].OpenHandoff.
func (m *memory) openHandoff(ctx context.Context, to HandoffPeer) (HandoffOut, error) {
	err := ErrStopping
	if m.running.Load() {
		s := newMemoryHandoff(ctx, m.network, m.name, to.Address)
		if err = m.network.begin(m, s); err == nil {
			return &memoryOut{s}, nil
		}
		s.cancel(err)
	}
	return nil, fmt.Errorf("actors: handoff to %s at %s: %w", to.Name, to.Address, err)
}

// begin has the stream served, if both nodes are there and the receiver knows the
// sender.
func (n *Network) begin(sender *memory, s *memoryHandoff) error {
	receiver := n.node(s.to)
	switch {
	case receiver == nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, errNobodyThere)
	case !receiver.accepts(s.from):
		return fmt.Errorf("%w: %w", ErrUnreachable, errClosedByPeer)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nodes[s.from] != sender || n.nodes[s.to] != receiver { // one stopped meanwhile
		return fmt.Errorf("%w: %w", ErrUnreachable, errClosedByPeer)
	}
	n.handoffs[s] = true
	receiver.handlers.Go(func() {
		defer n.forget(s)
		s.serve(receiver.policy)
	})
	return nil
}

func (n *Network) forget(s *memoryHandoff) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.handoffs, s)
}

// hangUp ends the streams between two nodes, or all of one if the other is "".
// The caller holds mu.
func (n *Network) hangUp(a, b string) {
	for s := range n.handoffs {
		if (s.from == a && (s.to == b || b == "")) || (s.to == a && (s.from == b || b == "")) {
			s.cancel(fmt.Errorf("%w: %w", ErrUnreachable, errClosedByPeer))
		}
	}
}

// serve runs the handler, and carries messages until they all arrived or the
// stream ended. A handler that panics ends the test, as it should.
func (s *memoryHandoff) serve(p Policy) {
	var carriers sync.WaitGroup
	carriers.Go(s.frames.carry)
	carriers.Go(s.answers.carry)
	err := p.Handoff(s.serving, "", &memoryIn{s})
	s.served()
	end := io.EOF
	if err != nil {
		end = errors.New(err.Error()) // a wire carries its text and no more
	}
	_ = s.answers.send(s.ctx, transit[*handoffpb.Answer]{end: end}, nil) // or the sender has gone
	carriers.Wait()
}

// flow is one direction of a stream: messages are on the wire, and then wait to
// be read.
type flow[M proto.Message] struct {
	ctx     context.Context // of the reader
	network *Network
	route   route
	wire    chan transit[M]
	arrived chan M        // closed after the last one
	ended   chan struct{} // closed with arrived, for those who only send
	end     error         // set before arrived is closed
}

// transit is a message on its way.
type transit[M proto.Message] struct {
	msg M
	due time.Time
	end error // there is no message, and will be none, for this reason
}

func newFlow[M proto.Message](ctx context.Context, n *Network, r route, window int) *flow[M] {
	return &flow[M]{
		ctx: ctx, network: n, route: r,
		wire: make(chan transit[M], window), arrived: make(chan M, window), ended: make(chan struct{}),
	}
}

// send puts a message on the wire, once there is room. It gives up with the
// sender's context, or when the other direction has ended.
func (f *flow[M]) send(ctx context.Context, t transit[M], ended <-chan struct{}) error {
	if delay := time.Duration(f.network.delay.Load()); delay > 0 {
		t.due = time.Now().Add(delay)
	}
	select {
	case <-ended:
		return io.EOF
	case <-ctx.Done():
		return context.Cause(ctx)
	default:
	}
	select {
	case f.wire <- t:
		return nil
	case <-ended:
		return io.EOF
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// carry takes messages from the wire to where they are read, until the last one.
// After one that was lost there are no others: a stream has no gaps.
func (f *flow[M]) carry() {
	for {
		select {
		case t := <-f.wire:
			if !waitUntil(f.ctx, t.due) || !f.arrive(t) {
				return
			}
		case <-f.ctx.Done():
			return
		}
	}
}

// arrive ends the way of one message; false if it was the last.
func (f *flow[M]) arrive(t transit[M]) bool {
	switch {
	case f.network.isCut(f.route.from, f.route.to):
		<-f.ctx.Done()
		return false
	case t.end != nil:
		f.end = t.end
		close(f.arrived)
		close(f.ended)
		return false
	}
	select {
	case f.arrived <- t.msg:
		return true
	case <-f.ctx.Done():
		return false
	}
}

// recv returns the next message, or what ended the stream.
func (f *flow[M]) recv() (msg M, err error) {
	select {
	case m, ok := <-f.arrived:
		if !ok {
			return msg, f.end
		}
		return m, nil
	case <-f.ctx.Done():
		return msg, context.Cause(f.ctx)
	}
}

// memoryOut is the sender's end.
type memoryOut struct{ stream *memoryHandoff }

// Send implements [HandoffOut].
func (o *memoryOut) Send(frame *handoffpb.Frame) error {
	if err := vetHandoff(o.stream.to, frame); err != nil {
		return err
	}
	t := transit[*handoffpb.Frame]{msg: proto.CloneOf(frame)}
	return o.explain(o.stream.frames.send(o.stream.ctx, t, o.stream.answers.ended))
}

// Recv implements [HandoffOut].
func (o *memoryOut) Recv() (*handoffpb.Answer, error) {
	answer, err := o.stream.answers.recv()
	return answer, o.explain(err)
}

func (o *memoryOut) explain(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return fmt.Errorf("actors: handoff to %s: %w", o.stream.to, err)
}

// memoryIn is the receiver's end.
type memoryIn struct{ stream *memoryHandoff }

// Recv implements [HandoffIn].
func (i *memoryIn) Recv() (*handoffpb.Frame, error) { return i.stream.frames.recv() }

// Send implements [HandoffIn].
func (i *memoryIn) Send(answer *handoffpb.Answer) error {
	if err := vetHandoff(i.stream.from, answer); err != nil {
		return err
	}
	return i.stream.answers.send(i.stream.serving, transit[*handoffpb.Answer]{msg: proto.CloneOf(answer)}, nil)
}
