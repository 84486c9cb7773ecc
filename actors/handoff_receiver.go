package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/torc-io/torc/handoff"
	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	"github.com/torc-io/torc/ring"
)

const (
	// catchUpWithin bounds the look at the store for a ring that a sender knows.
	catchUpWithin = time.Second
	// applyWithin bounds the wait for the vnode's turn. A handler that takes longer
	// breaks the connection, and the transfer is resumed when it has returned.
	applyWithin = 30 * time.Second
)

// intake is a transfer to this node, of all services.
type intake struct {
	handoff.Transfer

	streams  int // that are open now; guarded by the mover's mu, like the rest
	since    time.Time
	progress handoff.Progress
	mu       sync.Mutex // guards progress
}

func (a *intake) add(items, bytes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.progress.Add(time.Now(), items, bytes)
}

func (a *intake) status(now time.Time) TransferStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := TransferStatus{Transfer: a.Transfer, Phase: handoff.Copying, Since: a.since}
	s.add(now, &a.progress)
	return s
}

// incoming drives handoff.Receiver: it takes what one vnode is sent over one
// connection.
type incoming struct {
	node       *Node
	hello      handoff.Hello
	proxy      *vnodeProxy
	handle     *vnodeHandle
	intake     *intake
	connection int // of the receiver: see handoff.Receiver
	next       uint64
	over       bool // the transfer has come to its end
	released   bool // its place is free again
	failure    error
}

// receiveHandoff serves a transfer to this node until it ends.
func (n *Node) receiveHandoff(ctx context.Context, peer string, in HandoffIn) error {
	frame, err := in.Recv()
	if err != nil {
		return err
	}
	if frame.GetHello() == nil {
		return fmt.Errorf("%w: a transfer begins with a hello", ErrInvalid)
	}
	i := &incoming{node: n, hello: helloFromWire(frame.GetHello())}
	if refusal := i.enter(ctx, peer); refusal != nil {
		n.logger.Debug("refused a transfer", "transfer", i.hello.Transfer.String(), "service", i.hello.Service, "reason", refusal.Text)
		return in.Send(refusalToWire(refusal))
	}
	defer i.leave()
	if err := in.Send(welcomeToWire(i.next)); err != nil {
		return err
	}
	return i.serve(ctx, in)
}

// enter decides on the hello, and finds the vnode that the items are for.
func (i *incoming) enter(ctx context.Context, peer string) *handoff.Refusal {
	if refusal := i.check(ctx, peer); refusal != nil {
		return refusal
	}
	i.proxy = i.node.proxies[i.hello.Service][i.hello.Partition]
	if refusal := i.node.mover.admit(i); refusal != nil {
		return refusal
	}
	refusal := i.present(ctx)
	if refusal != nil {
		i.node.mover.release(i)
	}
	return refusal
}

// present has the vnode decide. One that nobody needed before may be about to end;
// then there is another one as soon as it has.
func (i *incoming) present(ctx context.Context) (refusal *handoff.Refusal) {
	for {
		if i.handle = i.proxy.open(false); i.handle == nil {
			return &handoff.Refusal{Reason: handoff.NotNow, Text: fmt.Sprintf("%s is stopping, or about to move partition %d", i.node.name, i.hello.Partition)}
		}
		ends := false
		err := i.handle.visit(ctx, func(v *vnode) {
			if ends = v.retired; !ends {
				refusal = i.welcome(v)
			}
		})
		switch {
		case ends || errors.Is(err, ErrStopping):
			select {
			case <-i.handle.vnode.stopped:
				continue
			case <-ctx.Done():
				err = context.Cause(ctx)
			}
		case err == nil:
			return refusal
		}
		return &handoff.Refusal{Reason: handoff.NotNow, Text: err.Error()}
	}
}

// check compares the hello with who sent it, and with the ring.
func (i *incoming) check(ctx context.Context, peer string) *handoff.Refusal {
	wrong := func(format string, args ...any) *handoff.Refusal {
		return &handoff.Refusal{Reason: handoff.Wrong, Text: fmt.Sprintf(format, args...)}
	}
	n := i.node
	if n.view.Load() == nil || n.draining.Load() {
		return &handoff.Refusal{Reason: handoff.NotNow, Text: fmt.Sprintf("%s is starting or stopping", n.name)}
	}
	if i.hello.Epoch > n.epoch() {
		look, cancel := context.WithTimeout(ctx, catchUpWithin)
		defer cancel()
		_ = n.keeper.refresh(look) // without it the hello is refused
	}
	switch {
	case peer != "" && peer != string(i.hello.From):
		return wrong("the certificate of %s is not that of %s", peer, i.hello.From)
	case n.services[i.hello.Service] == nil:
		return wrong("%s does not run the service %.64q", n.name, i.hello.Service)
	}
	return i.hello.Check(n.name, n.Ring())
}

// welcome decides on the vnode's turn.
func (i *incoming) welcome(v *vnode) *handoff.Refusal {
	if v.state == nil {
		return &handoff.Refusal{Reason: handoff.NotNow, Text: fmt.Sprintf("the vnode of %s cannot be opened: %v", v.service.Name, v.openErr)}
	}
	r, drop, refusal := v.standing.Welcome(i.hello, v.state.Len())
	if refusal != nil {
		return refusal
	}
	if drop {
		if err := v.drop(); err != nil {
			return &handoff.Refusal{Reason: handoff.Broken, Text: err.Error()}
		}
	}
	i.connection, i.next = r.Connection(), r.Next()
	confirms := i.hello.Type == handoff.Ownership && v.standing.Owner()
	if i.next == 1 && !confirms {
		v.observe(func(w handoff.Observer) { w.HandoffStarting(handoff.Handoff{Transfer: i.hello.Transfer}) })
	}
	v.tell()
	return nil
}

// leave ends the connection's part in the transfer.
func (i *incoming) leave() {
	i.handle.post(func(v *vnode) {
		v.standing.Detach(i.hello.ID, i.connection)
		if i.over || i.failure != nil {
			v.standing.Forget(i.hello.ID)
			v.observe(func(w handoff.Observer) { w.HandoffFinished(handoff.Handoff{Transfer: i.hello.Transfer}, i.failure) })
		}
		v.tell()
		v.node.mover.wake()
	})
	i.node.mover.release(i)
}

// serve takes frames until the sender has no more, or something breaks.
func (i *incoming) serve(ctx context.Context, in HandoffIn) error {
	for {
		frame, err := in.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		answer, err := i.take(ctx, frame)
		if err == nil && i.over {
			i.node.mover.release(i) // first: with the answer the sender begins the next one
		}
		var refusal *handoff.Refusal
		switch {
		case errors.As(err, &refusal):
			return in.Send(refusalToWire(refusal))
		case err != nil:
			return err
		}
		if err := in.Send(answer); err != nil {
			return err
		}
	}
}

func (i *incoming) take(ctx context.Context, frame *handoffpb.Frame) (*handoffpb.Answer, error) {
	switch f := frame.GetKind().(type) {
	case *handoffpb.Frame_Chunk:
		return i.chunk(ctx, f.Chunk)
	case *handoffpb.Frame_Seal:
		return i.seal(ctx, handoff.Claim{Chunks: f.Seal.GetChunks(), Items: f.Seal.GetItems(), Held: f.Seal.GetHeld()})
	case *handoffpb.Frame_Flip:
		return i.flip(ctx, ring.Epoch(f.Flip.GetEpoch()))
	}
	return nil, fmt.Errorf("%w: a frame of an unknown kind", ErrInvalid)
}

// turn runs do on the vnode's turn, if this connection still counts there.
func (i *incoming) turn(ctx context.Context, do func(*vnode, *handoff.Receiver) error) error {
	ctx, cancel := context.WithTimeout(ctx, applyWithin)
	defer cancel()
	var done error
	err := i.handle.visit(ctx, func(v *vnode) {
		r := v.standing.Receiver(i.hello.ID)
		if r == nil || r.Connection() != i.connection {
			done = fmt.Errorf("%w: the transfer goes on elsewhere", ErrStopping)
			return
		}
		done = do(v, r)
	})
	return errors.Join(err, done)
}

// chunk merges items, and acknowledges them only then.
func (i *incoming) chunk(ctx context.Context, c *handoffpb.Chunk) (*handoffpb.Answer, error) {
	if sum := handoff.Checksum(c.GetItems()); sum != c.GetChecksum() {
		return nil, i.broken(fmt.Errorf("chunk %d was damaged on its way: its checksum is %08x, and was %08x", c.GetSeq(), sum, c.GetChecksum()))
	}
	items, err := handoff.DecodeItems(c.GetItems())
	if err != nil {
		return nil, i.broken(err)
	}
	fresh := false
	err = i.turn(ctx, func(v *vnode, r *handoff.Receiver) (err error) {
		if fresh, err = r.Accept(c.GetSeq()); err != nil || !fresh {
			return err
		}
		if v.outgoing != nil && v.outgoing.isFrozen() {
			return &handoff.Refusal{Reason: handoff.NotNow, Text: fmt.Sprintf("%s is giving partition %d away", v.node.name, v.partition)}
		}
		if err := v.merge(items, i.hello.From); err != nil {
			return i.broken(err)
		}
		r.Merged(len(items))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if fresh {
		i.intake.add(len(items), len(c.GetItems()))
		i.node.metrics.receivedItems.Add(float64(len(items)))
		i.node.metrics.receivedBytes.Add(float64(len(c.GetItems())))
	}
	return ackToWire(c.GetSeq()), nil
}

// seal compares what has come with what was sent. A vnode that recovers has
// heard from one more source by that.
func (i *incoming) seal(ctx context.Context, claim handoff.Claim) (*handoffpb.Answer, error) {
	var count handoff.Count
	err := i.turn(ctx, func(v *vnode, r *handoff.Receiver) (err error) {
		if count, err = r.Seal(claim, v.state.Len(), v.standing.Own()); err != nil {
			return i.broken(err)
		}
		if r.Sealed() && i.hello.Type == handoff.Repair {
			i.recovered(v)
		}
		i.over = r.Sealed() && i.hello.Type != handoff.Ownership
		return nil
	})
	if err != nil {
		return nil, err
	}
	return sealedToWire(count), nil
}

func (i *incoming) recovered(v *vnode) {
	whole := v.standing.Heard(handoff.Source{Partition: i.hello.Source, Node: i.hello.From})
	v.tell()
	if whole {
		v.node.logger.Info("recovered", "service", v.service.Name, "partition", v.partition, "items", v.state.Len())
		v.node.mover.wake()
	}
}

// flip has the node take the ring over that makes it the owner, and says whether
// the vnode serves with all that it was handed.
func (i *incoming) flip(ctx context.Context, epoch ring.Epoch) (*handoffpb.Answer, error) {
	if i.node.epoch() < epoch {
		look, cancel := context.WithTimeout(ctx, catchUpWithin)
		defer cancel()
		if err := i.node.keeper.refresh(look); err != nil {
			return nil, err
		}
	}
	whole := false
	ctx, cancel := context.WithTimeout(ctx, applyWithin)
	defer cancel()
	err := i.handle.visit(ctx, func(v *vnode) {
		whole = v.standing.Confirm(i.hello.ID)
		v.tell()
	})
	i.over = true
	return flippedToWire(whole), err
}

// broken is an error that no other connection mends.
func (i *incoming) broken(err error) error {
	i.failure = err
	i.node.logger.Error("a transfer to this node failed", "transfer", i.hello.Transfer.String(), "service", i.hello.Service, "error", err)
	return &handoff.Refusal{Reason: handoff.Broken, Text: fmt.Sprintf("%s: %v", i.node.name, err)}
}

// admit gives an incoming transfer one of the places there are.
func (m *mover) admit(i *incoming) *handoff.Refusal {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.arriving[i.hello.Transfer]
	if limit := m.node.TransferLimits().In; a == nil && len(m.arriving) >= limit {
		return &handoff.Refusal{Reason: handoff.Busy, Text: fmt.Sprintf("%s has %d of %d incoming transfers", m.node.name, len(m.arriving), limit)}
	}
	if a == nil {
		now := time.Now()
		a = &intake{Transfer: i.hello.Transfer, since: now, progress: handoff.NewProgress(now, 0)}
		m.arriving[i.hello.Transfer] = a
	}
	a.streams++
	a.mu.Lock()
	a.progress.TotalItems += int64(i.hello.Items)
	a.mu.Unlock()
	i.intake = a
	return nil
}

// release gives the place back, once, when the last stream of the transfer has
// nothing more to take.
func (m *mover) release(i *incoming) {
	if i.released {
		return
	}
	i.released = true
	m.mu.Lock()
	defer m.mu.Unlock()
	i.intake.streams--
	if i.intake.streams == 0 {
		delete(m.arriving, i.hello.Transfer)
	}
}
