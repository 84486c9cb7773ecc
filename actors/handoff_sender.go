package actors

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/torc-io/torc/handoff"
	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	"github.com/torc-io/torc/ring"
)

const (
	// reconnectAfter is the pause before a transfer whose connection broke tries
	// again: short beside the time that a transfer takes, and long enough not to
	// be a load on a peer that has just come back.
	reconnectAfter = 250 * time.Millisecond
	// welcomeWithin bounds opening a stream: a peer that does not answer for as
	// long is down.
	welcomeWithin = 3 * time.Second
	// abandonAfter ends a transfer that has had no connection for as long. It
	// begins anew some day, and until then its snapshot keeps no memory.
	abandonAfter = time.Minute
)

// errAnew says that a transfer cannot go on, and may begin anew at once.
var errAnew = errors.New("it begins anew")

// outgoing drives handoff.Sender: it sends what one vnode has in a transfer. A
// goroutine of its own sends, another one listens to the receiver, and the vnode
// tells of its writes on its own turn; mu keeps them apart.
type outgoing struct {
	node     *Node
	transfer handoff.Transfer
	proxy    *vnodeProxy // of the vnode whose items go over
	id       uint64
	items    uint64 // at the vnode when it began
	kick     func() // the transfer looks at this again

	wake chan struct{} // a token while there may be something to send

	mu       sync.Mutex
	machine  *handoff.Sender
	held     []heldReply // by the chunks that they wait for
	progress handoff.Progress
	failure  error              // why it cannot go on
	over     bool               // it has come to its end
	given    bool               // the receiver is the owner, and has all
	hangUp   context.CancelFunc // ends the present connection; nil if there is none
	lonely   time.Time          // since when there is no connection
	flip     ring.Epoch         // to tell the receiver; 0 if there is none
	told     bool               // on this connection
	flipped  chan bool          // gets the receiver's answer
	buffers  chunkBuffers

	// next yields the snapshot, and stop ends it. The sending goroutine owns them.
	next func() (handoff.Item, error, bool)
	stop func()
}

// heldReply is a reply that waits for a chunk to be acknowledged.
type heldReply struct {
	seq   uint64
	to    *actor.PID
	reply Reply
}

// run sends until the transfer has come to its end, or cannot go on. What it
// returns then is nil, a [handoff.Refusal], or something worse.
func (o *outgoing) run(ctx context.Context) (err error) {
	h := o.proxy.current()
	if h == nil {
		return fmt.Errorf("%w: the vnode of partition %d is not here", errAnew, o.transfer.Source)
	}
	defer func() { o.end(h, err) }()
	if err := o.begin(ctx, h); err != nil {
		return err
	}
	for {
		err := o.connect(ctx)
		if err == nil || ctx.Err() != nil || o.isFinal(err) {
			return err
		}
		o.node.logger.Debug("a transfer lost its connection", "transfer", o.transfer.String(), "service", o.proxy.service.Name, "error", err)
		if err := o.await(ctx); err != nil {
			return err
		}
	}
}

// isFinal says whether no other connection could help.
func (o *outgoing) isFinal(err error) bool {
	var refusal *handoff.Refusal
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failure != nil || errors.Is(err, errAnew) || errors.As(err, &refusal)
}

// await returns when it is time for another connection.
func (o *outgoing) await(ctx context.Context) error {
	for {
		pause(ctx, reconnectAfter)
		o.mu.Lock()
		alone, flipped := time.Since(o.lonely), o.flipped != nil
		o.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case alone > abandonAfter && !flipped:
			return fmt.Errorf("%w: %s could not be reached for %v", errAnew, o.transfer.To, abandonAfter)
		case o.node.Reachable(o.transfer.To):
			return nil
		}
	}
}

// begin takes the snapshot and has the vnode report its writes, on one turn: a
// write is in the one or in the other.
func (o *outgoing) begin(ctx context.Context, h *vnodeHandle) error {
	var began error
	err := h.visit(ctx, func(v *vnode) { began = o.enter(v) })
	return errors.Join(err, began)
}

func (o *outgoing) enter(v *vnode) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &handoff.Refusal{Reason: handoff.Broken, Text: fmt.Sprintf("the vnode panicked: %v", r)}
		}
	}()
	switch {
	case v.state == nil:
		return &handoff.Refusal{Reason: handoff.NotNow, Text: fmt.Sprintf("the vnode of %s cannot be opened: %v", v.service.Name, v.openErr)}
	case v.outgoing != nil && o.transfer.Type != handoff.Repair:
		return &handoff.Refusal{Reason: handoff.NotNow, Text: "another transfer of this vnode is ending"}
	}
	machine, refusal := v.standing.Give(o.transfer)
	if refusal != nil {
		return refusal
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.over {
		return errCalledOff
	}
	items := v.state.Len()
	if !machine.Snapshot() {
		items = v.standing.Own()
	}
	o.items = uint64(items)
	o.machine = machine
	o.progress = handoff.NewProgress(time.Now(), int64(items))
	o.lonely = time.Now()
	if machine.Snapshot() {
		o.next, o.stop = iter.Pull2(v.state.Snapshot())
	}
	if o.transfer.Type != handoff.Repair {
		v.outgoing = o
	}
	v.observe(func(w handoff.Observer) { w.HandoffStarting(handoff.Handoff{Transfer: o.transfer, Sending: true}) })
	return nil
}

// conclude notes whether the receiver serves with all that was here. What ends an
// ownership transfer then is that nobody needs it any more.
func (o *outgoing) conclude(whole bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.given = whole
}

// end has the vnode go on without the transfer. The snapshot ends here, for a
// vnode that has ended has no more turns. A beginning that still waits for its own
// finds that it is over.
func (o *outgoing) end(h *vnodeHandle, err error) {
	o.lost()
	o.mu.Lock()
	o.over = true
	began, stop := o.machine != nil, o.stop
	if o.flipped != nil {
		close(o.flipped) // the receiver did not say that it serves
		o.flipped = nil
	}
	if o.given {
		err = nil
	}
	o.mu.Unlock()
	if stop != nil {
		stop()
	}
	if !began {
		return
	}
	h.post(func(v *vnode) {
		if v.outgoing == o {
			v.outgoing = nil
		}
		if v.giving == o { // nobody waits for the new owner's word any more
			v.handed(false)
		}
		v.observe(func(w handoff.Observer) { w.HandoffFinished(handoff.Handoff{Transfer: o.transfer, Sending: true}, err) })
	})
}

// connect opens a stream and sends over it. It returns nil when the transfer has
// come to its end.
func (o *outgoing) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	peer, ok := o.node.handoffPeer(o.transfer.To)
	if !ok {
		return fmt.Errorf("%w: %s has not said where it takes handoffs", ErrUnreachable, o.transfer.To)
	}
	stream, next, err := o.greet(ctx, cancel, peer)
	if err != nil {
		return err
	}
	o.mu.Lock()
	err = o.machine.Welcome(next)
	o.hangUp = cancel
	o.mu.Unlock()
	defer o.lost()
	if err != nil {
		return fmt.Errorf("%w: %w", errAnew, err)
	}
	ended := make(chan error, 1)
	var listening sync.WaitGroup
	listening.Go(func() { ended <- o.listen(stream) })
	defer listening.Wait() // nothing of this connection is heard on the next one
	defer cancel()
	return o.send(ctx, stream, ended)
}

// greet says hello, and returns which chunk the receiver wants first.
func (o *outgoing) greet(ctx context.Context, cancel func(), peer HandoffPeer) (stream HandoffOut, next uint64, err error) {
	timer := time.AfterFunc(welcomeWithin, cancel)
	defer timer.Stop()
	if stream, err = o.node.transport.OpenHandoff(ctx, peer); err != nil {
		return nil, 0, err
	}
	if err := stream.Send(helloToWire(o.hello())); err != nil {
		return nil, 0, err
	}
	answer, err := stream.Recv()
	switch {
	case err != nil:
		return nil, 0, err
	case answer.GetRefusal() != nil:
		return nil, 0, refusalFromWire(answer.GetRefusal())
	case answer.GetWelcome() == nil:
		return nil, 0, fmt.Errorf("%w: no answer to a hello", ErrInvalid)
	}
	return stream, answer.GetWelcome().GetNext(), nil
}

func (o *outgoing) hello() handoff.Hello {
	r := o.node.Ring()
	return handoff.Hello{
		Transfer: o.transfer, Service: o.proxy.service.Name, ID: o.id,
		ClusterID: r.ClusterID(), RingSize: r.Size(), Epoch: r.Epoch(), Items: o.items,
	}
}

// lost has the machine go on without a connection, and lets go of the replies
// that waited for one: this node is the owner, and has executed them.
func (o *outgoing) lost() {
	o.mu.Lock()
	if o.hangUp != nil {
		o.lonely = time.Now()
	}
	o.hangUp, o.told = nil, false
	if o.machine != nil {
		o.machine.Lost()
	}
	free := o.held
	o.held = nil
	o.mu.Unlock()
	for _, r := range free {
		o.node.reply(r.to, &r.reply)
	}
	o.kick()
}

// disconnect ends the connection if there is one.
func (o *outgoing) disconnect() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hangUp != nil {
		o.hangUp()
	}
}

// send does what the machine says until the transfer or the connection ends.
func (o *outgoing) send(ctx context.Context, stream HandoffOut, ended <-chan error) error {
	for {
		step := o.step()
		frame, err := o.act(ctx, step)
		switch {
		case err != nil:
			return err
		case step == handoff.Finished && o.transfer.Type != handoff.Ownership:
			return nil
		case frame != nil:
			if stream.Send(frame) != nil {
				return <-ended // which knows the cause
			}
			continue
		case step != handoff.Wait && step != handoff.Ready && step != handoff.Finished:
			continue
		}
		o.kick()
		select {
		case <-o.wake:
		case err := <-ended:
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// step asks the machine.
func (o *outgoing) step() handoff.Step {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.machine.Next()
}

// act does one step, and returns a frame if it leads to one.
func (o *outgoing) act(ctx context.Context, step handoff.Step) (*handoffpb.Frame, error) {
	if err := o.failed(); err != nil {
		return nil, err
	}
	switch step {
	case handoff.Send:
		o.mu.Lock()
		chunk, phase := o.machine.Outgoing(), o.machine.Phase()
		o.mu.Unlock()
		return chunkToWire(chunk), o.node.mover.pace.throttle(ctx, phase, len(chunk.Items))
	case handoff.Read:
		return nil, o.read()
	case handoff.Collect:
		return nil, o.collect(ctx)
	case handoff.SendSeal:
		o.mu.Lock()
		defer o.mu.Unlock()
		return sealToWire(o.machine.Claim()), nil
	case handoff.Wait, handoff.Ready, handoff.Finished:
	}
	return o.flipFrame(), nil
}

// flipFrame returns the news of the flip, once a connection.
func (o *outgoing) flipFrame() *handoffpb.Frame {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.flip == 0 || o.told {
		return nil
	}
	o.told = true
	return flipToWire(o.flip)
}

// wrote takes a write that the vnode has executed, on its turn, and says whether
// it keeps the reply.
func (o *outgoing) wrote(v *vnode, key []byte, r heldReply) (kept bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.machine.Wrote(key) {
		o.stir()
		return false
	}
	item, err := v.item(key)
	var encoded []byte
	if err == nil {
		encoded, err = handoff.AppendItem(nil, item)
	}
	if err != nil {
		o.failure = &handoff.Refusal{Reason: handoff.Broken, Text: err.Error()}
		o.stir()
		return false
	}
	r.seq = o.machine.Pass(encoded)
	o.held = append(o.held, r)
	o.stir()
	return true
}

// merged takes a key whose item came from another node, on the vnode's turn.
func (o *outgoing) merged(key []byte, from ring.NodeName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.machine.Merged(key, from)
	o.stir()
}

// seal says that the vnode writes nothing any more, on its turn.
func (o *outgoing) seal(v *vnode) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.stir()
	return o.machine.Seal(v.length())
}

// isFrozen says whether nothing may change at the vnode, since both sides are
// about to agree.
func (o *outgoing) isFrozen() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.transfer.Type == handoff.Ownership && o.machine.Phase() == handoff.Sealed
}

// sealed returns how far the transfer is, and whether both sides agree.
func (o *outgoing) sealed() (phase handoff.Phase, agreed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.machine.Phase(), o.machine.Agreed() && o.machine.Next() == handoff.Finished
}

// reopen takes the seal back.
func (o *outgoing) reopen() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.machine.Reopen()
	o.stir()
}

// tell sends the news of the flip, as often as it takes, and returns the channel of
// the answer, which is closed if there will be none.
func (o *outgoing) tell(epoch ring.Epoch) <-chan bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	answer := make(chan bool, 1)
	if o.over {
		close(answer)
		return answer
	}
	o.flip, o.told, o.flipped = epoch, false, answer
	o.stir()
	return answer
}

// stir makes the sending goroutine look again.
func (o *outgoing) stir() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outgoing) fail(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, refused := errors.AsType[*handoff.Refusal](err); !refused {
		err = &handoff.Refusal{Reason: handoff.Broken, Text: err.Error()}
	}
	o.failure = err
	return err
}

func (o *outgoing) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failure
}
