package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

const (
	// maxQueuedMessages bounds what waits for one peer. At the 100,000 messages
	// a second that a connection carries it is 40 ms of work: a longer queue
	// would only add to the delay that made it long.
	maxQueuedMessages = 4096

	// maxQueuedBytes bounds the same in bytes: 60 messages of the largest size,
	// a third of a second of a gigabit link. No frame can be larger than what
	// was queued, so it is also what a frame is bounded by.
	maxQueuedBytes = 32 << 20

	// controlRoom is for messages that are not traffic, beyond the bounds of that:
	// a peer with a full queue must not be taken for a dead one.
	controlRoom = 256

	// redialPause is how long a peer is left alone after its lane ended. It
	// keeps senders that retry at once from dialling in a tight loop, and is
	// shorter than the time between two heartbeats.
	redialPause = 200 * time.Millisecond
)

// The reasons for which a lane ends that are not errors of the network.
var (
	errDisconnected = errors.New("disconnected")
	errClosedByPeer = errors.New("closed by the peer")
)

// parcel is a message on its way.
type parcel struct {
	target, sender *actor.PID
	msg            proto.Message
	size           int       // of msg, encoded
	due            time.Time // when it may arrive, on a network that delays; zero is at once
}

// lane is what goes from this node to one peer over one connection: a bounded
// queue, and a goroutine that empties it. It ends when the connection does, and
// drops what it holds; the next message to that peer makes another.
type lane struct {
	address string
	ctx     context.Context // done when the lane has ended; its cause says why
	cancel  context.CancelCauseFunc
	wake    chan struct{} // holds a token while there is something to take, or the lane has ended

	mu       sync.Mutex
	waiting  []parcel
	frames   *frameEncoder // if not nil, what waits is there, and encoded
	messages int           // queued, and taken but not yet sent
	bytes    int           // of these messages

	taken []parcel // used by the lane's goroutine alone
}

func newLane(address string) *lane {
	l := &lane{address: address, wake: make(chan struct{}, 1)}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// fail ends the lane. The first cause counts.
func (l *lane) fail(cause error) {
	l.cancel(cause)
	l.rouse()
}

// rouse has the lane's goroutine look what there is to do.
func (l *lane) rouse() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// push queues a message, or says why it will not arrive.
func (l *lane) push(p *parcel) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return fmt.Errorf("actors: send to %s: %w: %w; send elsewhere", l.address, ErrUnreachable, context.Cause(l.ctx))
	}
	if !l.hasRoom(p) {
		return fmt.Errorf("actors: send to %s: %w: %d messages of %d bytes wait for it; send later or elsewhere",
			l.address, ErrOverloaded, l.messages, l.bytes)
	}
	if l.frames == nil {
		l.waiting = append(l.waiting, *p)
	} else if err := l.frames.append(p); err != nil {
		return err
	}
	l.messages++
	l.bytes += p.size
	l.rouse()
	return nil
}

// hasRoom says whether a message may be queued.
func (l *lane) hasRoom(p *parcel) bool {
	switch p.msg.(type) {
	case *transportpb.Command, *transportpb.Reply, *transportpb.Push:
		return l.messages < maxQueuedMessages && l.bytes+p.size <= maxQueuedBytes
	}
	return l.messages < maxQueuedMessages+controlRoom
}

// await returns when there may be something to take, with the lane locked; false
// if it has ended.
func (l *lane) await() bool {
	<-l.wake
	if l.ctx.Err() != nil {
		return false
	}
	runtime.Gosched() // whoever sends now shares the frame
	l.mu.Lock()
	return true
}

// next waits for messages and returns up to n of them, or none if the lane has
// ended. They count as queued until sent is called with them.
func (l *lane) next(n int) []parcel {
	for len(l.taken) == 0 {
		if !l.await() {
			return nil
		}
		l.taken, l.waiting = l.waiting, nil
		l.mu.Unlock()
	}
	batch := l.taken[:min(n, len(l.taken))]
	l.taken = l.taken[len(batch):]
	return batch
}

// sent makes room for as many messages as have been sent.
func (l *lane) sent(batch []parcel) {
	bytes := 0
	for _, p := range batch {
		bytes += p.size
	}
	l.makeRoom(len(batch), bytes)
}

func (l *lane) makeRoom(messages, bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.messages -= messages
	l.bytes -= bytes
}

// nextPacket is next for a lane whose messages are encoded. It takes back a packet
// that has been sent.
func (l *lane) nextPacket(sent packet) (next packet, ok bool) {
	l.makeRoom(sent.messages, sent.bytes)
	for {
		if !l.await() {
			return packet{}, false
		}
		next, more := l.frames.take(sent)
		l.mu.Unlock()
		if more {
			l.rouse()
		}
		if len(next.data) > 0 {
			return next, true
		}
	}
}

// lanes are the lanes of one node.
type lanes struct {
	policy Policy
	// carry connects to the peer and sends what is queued to it, until the lane
	// ends. It calls fail if it ends the lane itself.
	carry func(*lane)
	// encodes says that messages are encoded when they are queued.
	encodes bool

	running sync.WaitGroup // one for each lane

	mu        sync.Mutex
	closed    bool
	byAddress map[string]*lane
}

func newLanes(p Policy, carry func(*lane)) *lanes {
	return &lanes{policy: p, carry: carry, byAddress: make(map[string]*lane)}
}

// to returns the lane to a peer, a new one if there is none.
func (s *lanes) to(address string) (*lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("actors: send to %s: %w", address, ErrStopping)
	}
	l, ok := s.byAddress[address]
	if !ok {
		l = newLane(address)
		if s.encodes {
			l.frames = newFrameEncoder()
		}
		s.byAddress[address] = l
		s.running.Go(func() { s.run(l) })
	}
	return l, nil
}

// run is the life of a lane. While its peer is left alone it stays in its place,
// and refuses what is sent.
func (s *lanes) run(l *lane) {
	s.carry(l)
	cause := context.Cause(l.ctx)
	if errors.Is(cause, ErrStopping) {
		return
	}
	s.policy.Logger.Info("connection to a peer ended",
		slog.String("peer", l.address), slog.String("cause", cause.Error()))
	s.policy.Broken(l.address) // before there can be another lane
	time.AfterFunc(redialPause, func() { s.forget(l) })
}

func (s *lanes) forget(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byAddress, l.address)
}

// fail ends the lane to a peer; false if there is none.
func (s *lanes) fail(address string, cause error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, ok := s.byAddress[address]
	if ok {
		l.fail(cause)
	}
	return ok
}

// close ends all lanes for good, and waits until their goroutines have ended.
func (s *lanes) close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.byAddress {
		l.fail(ErrStopping)
	}
	s.mu.Unlock()
	return finish(ctx, s.running.Wait)
}

// finish waits until wait returns, but no longer than ctx lives.
func finish(ctx context.Context, wait func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("actors: stop the transport: a message is still being delivered: %w", ctx.Err())
	}
}

// life is what the transports have in common: they start, send and stop once.
type life struct {
	mu      sync.Mutex
	used    bool        // guarded by mu: it was started or stopped
	running atomic.Bool // between Start and Stop

	// These are set before running is, and constant from then on.
	system  *actor.ActorSystem
	policy  Policy
	address string
	lanes   *lanes
}

// begin runs start, unless there was one before.
func (t *life) begin(start func() error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used {
		return errors.New("actors: the transport was started before; make a new one")
	}
	t.used = true
	if err := start(); err != nil {
		return err
	}
	t.running.Store(true)
	return nil
}

// end says whether there is something to stop. It does so once.
func (t *life) end() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used = true
	return t.running.Swap(false)
}

// send delivers or queues a message, whose size it sets.
func (t *life) send(p parcel) (err error) {
	if !t.running.Load() {
		return fmt.Errorf("actors: send to %s: %w", p.target.GetAddress(), ErrStopping)
	}
	if p.size, err = vet(p.target, p.sender, p.msg); err != nil {
		return err
	}
	if p.target.GetAddress() == t.address {
		return deliverHere(t.system, p.target, p.sender, p.msg)
	}
	l, err := t.lanes.to(p.target.GetAddress())
	if err != nil {
		return err
	}
	return l.push(&p)
}

// Disconnect implements [Transport].
func (t *life) Disconnect(address string) {
	if t.running.Load() {
		t.lanes.fail(address, errDisconnected)
	}
}
