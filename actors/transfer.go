package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

const (
	// storePatience bounds each step of the compare-and-set while commands wait for
	// it: less than a request's default deadline, and the other replicas answer
	// meanwhile.
	storePatience = time.Second
	// sealPatience bounds how long commands wait for both sides to agree. What is
	// left to send then is what was on its way.
	sealPatience = time.Second
	// storeAgain is the pause before a store that did not answer is asked again.
	storeAgain = 500 * time.Millisecond
)

// errCalledOff ends a transfer that the ring does not ask for any more.
var errCalledOff = errors.New("called off")

// transfer carries out one transfer, of all services: an outgoing for each.
type transfer struct {
	handoff.Transfer

	node   *Node
	cancel context.CancelCauseFunc
	kick   chan struct{} // holds a token while a part may have got on
	began  time.Time

	parts []*outgoing // by the names of their services

	mu     sync.Mutex
	since  time.Time // when the phase was last seen to change
	phase  handoff.Phase
	reason string // what it waits for, beside its peer
}

func newTransfer(n *Node, t handoff.Transfer) *transfer {
	run := &transfer{Transfer: t, node: n, kick: make(chan struct{}, 1), began: time.Now(), since: time.Now()}
	for _, name := range slices.Sorted(maps.Keys(n.proxies)) {
		if p := n.proxies[name][t.Source]; run.concerns(p) {
			run.parts = append(run.parts, &outgoing{
				node: n, transfer: t, proxy: p, id: rand.Uint64(), kick: run.look, wake: make(chan struct{}, 1),
			})
		}
	}
	return run
}

// concerns says whether the vnode behind a proxy has a part in the transfer.
func (t *transfer) concerns(p *vnodeProxy) bool {
	if p.service.Stateless {
		return false
	}
	switch t.Type {
	case handoff.Hinted:
		report := p.report.Load()
		return report != nil && report.Owes
	case handoff.Repair:
		size := t.node.Ring().Size()
		n := p.service.Quorum.N
		return handoff.Holds(t.Partition, t.Source, n, size) || handoff.Holds(t.Source, t.Partition, n, size)
	case handoff.Ownership:
	}
	return true
}

// look makes the transfer look at its parts.
func (t *transfer) look() {
	select {
	case t.kick <- struct{}{}:
	default:
	}
}

// run carries the transfer out. It returns nil when it has done what it is for.
func (t *transfer) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	ended := make(chan error, len(t.parts))
	for _, o := range t.parts {
		parts.Go(func() { ended <- o.run(ctx) })
	}
	t.look() // there may be no parts: then nothing keeps the partition
	for left := len(t.parts); left > 0 || t.Type == handoff.Ownership; {
		select {
		case err := <-ended:
			left--
			if err != nil && !t.mayMiss(err) {
				return err
			}
		case <-t.kick:
			if t.Type != handoff.Ownership || !t.all(handoff.Ready) {
				continue
			}
			if over, err := t.switchOver(ctx); over || err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// mayMiss says whether the transfer is done without a part: a vnode that has
// recovered already does not want another repair.
func (t *transfer) mayMiss(err error) bool {
	var refusal *handoff.Refusal
	return t.Type == handoff.Repair && errors.As(err, &refusal) && refusal.Reason == handoff.Wrong
}

// all says whether all parts are at a step.
func (t *transfer) all(step handoff.Step) bool {
	for _, o := range t.parts {
		o.mu.Lock()
		at := o.machine != nil && o.failure == nil && o.machine.Next() == step
		o.mu.Unlock()
		if !at {
			return false
		}
	}
	return true
}

// switchOver makes the receiver the owner, in the acts of a handoff.Switch. It
// returns how that ended, and whether the transfer may try again.
func (t *transfer) switchOver(ctx context.Context) (over bool, err error) {
	var s handoff.Switch
	for act := s.Begin(); act != 0; {
		act = s.Next(t.do(ctx, act))
	}
	switch s.Outcome() {
	case handoff.Switched:
		return true, nil
	case handoff.CalledOff:
		return false, errCalledOff
	case handoff.Undone:
	}
	pause(ctx, storeAgain)
	t.look()
	return false, context.Cause(ctx)
}

// do carries out one act.
func (t *transfer) do(ctx context.Context, act handoff.Act) handoff.Result {
	switch act {
	case handoff.AskStore:
		return t.askStore(ctx)
	case handoff.Suspend:
		t.each((*vnodeProxy).suspend)
	case handoff.Agree:
		return t.agree(ctx)
	case handoff.Publish:
		return t.publish(ctx)
	case handoff.Learn:
		t.node.logger.Warn("the store did not say whether it took the ring that moves a partition", "transfer", t.String())
		t.each((*vnodeProxy).undecide)
		pause(ctx, storeAgain)
		return t.learn(ctx)
	case handoff.TakeBack:
		for _, o := range t.parts {
			o.reopen()
		}
		t.each((*vnodeProxy).resume)
	case handoff.Resume:
		t.each((*vnodeProxy).resume)
		t.node.logger.Info("gave a partition away", "partition", t.Partition, "to", t.To, "epoch", t.node.epoch())
	case handoff.HandOver:
		t.handOver(ctx)
	}
	return handoff.Succeeded
}

func (t *transfer) each(do func(*vnodeProxy)) {
	for _, o := range t.parts {
		do(o.proxy)
	}
}

// askStore finds out whether the membership store answers, and still wants the
// transfer: a ring that came meanwhile may have made the receiver the owner.
func (t *transfer) askStore(ctx context.Context) handoff.Result {
	look, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	if t.node.keeper.refresh(look) != nil {
		t.setReason("the membership store does not answer")
		return handoff.Failed
	}
	t.setReason("")
	if !t.Wanted(t.node.Ring()) {
		return handoff.Refused
	}
	return handoff.Succeeded
}

// agree has all parts agree with the receiver.
func (t *transfer) agree(ctx context.Context) handoff.Result {
	if !t.seal(ctx) {
		t.node.logger.Warn("the receiver did not confirm in time that it has everything", "transfer", t.String())
		return handoff.Failed
	}
	return handoff.Succeeded
}

// seal has all parts agree with the receiver, and says whether they do.
func (t *transfer) seal(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, sealPatience)
	defer cancel()
	for _, o := range t.parts {
		h, sealed := o.proxy.current(), false
		if h == nil || h.visit(ctx, func(v *vnode) { sealed = o.seal(v) }) != nil || !sealed {
			return false
		}
	}
	for {
		switch agreed, possible := t.agreed(); {
		case agreed:
			return true
		case !possible:
			return false
		}
		select {
		case <-t.kick:
		case <-ctx.Done():
			return false
		}
	}
}

// agreed says whether all parts agree, or still may.
func (t *transfer) agreed() (agreed, possible bool) {
	agreed, possible = true, true
	for _, o := range t.parts {
		phase, does := o.sealed()
		agreed = agreed && does
		possible = possible && phase == handoff.Sealed && o.failed() == nil
	}
	return agreed, possible
}

// publish changes the ring by compare-and-set. Without an answer nobody knows
// whether it has: the request may be carried out long after nobody waits for it.
func (t *transfer) publish(ctx context.Context) handoff.Result {
	publish, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	move := ring.Transfer{Partition: t.Partition, From: t.From, To: t.To}
	proposed := false
	var unwanted *ring.Ring
	err := t.node.keeper.change(publish, func(r *ring.Ring) (*ring.Ring, error) {
		next, err := r.Complete(move)
		if err != nil {
			unwanted = r
		}
		proposed = proposed || err == nil
		return next, err
	})
	switch {
	case err == nil:
		return handoff.Succeeded
	case unwanted != nil:
		return t.overtaken(unwanted)
	case !proposed:
		return handoff.Failed
	}
	return handoff.Unknown
}

// overtaken adopts a stored ring that does not ask for the transfer: because it
// was carried out, or because it was called off.
func (t *transfer) overtaken(r *ring.Ring) handoff.Result {
	if err := t.node.keeper.adopt(r); err != nil || t.node.Ring().Owner(t.Partition) != t.To {
		return handoff.Refused
	}
	return handoff.Succeeded
}

// learn finds out whether the ring was changed, by changing it once more.
func (t *transfer) learn(ctx context.Context) handoff.Result {
	if ctx.Err() != nil {
		// A ring that calls the transfer off shows that this one has not come to be,
		// and a node that stops serves nothing any more.
		return handoff.Failed
	}
	if r := t.publish(ctx); r != handoff.Failed {
		return r
	}
	return handoff.Unknown // the store was not even read
}

// handOver tells the receiver that it is the owner, and has the vnodes here know
// whether it serves with all that they had. It waits for as long as the receiver
// may be there with what it was given; one that has restarted says that it has not,
// or does not know the transfer, and is sent the items again.
func (t *transfer) handOver(ctx context.Context) {
	answers := make([]<-chan bool, len(t.parts))
	for i, o := range t.parts {
		answers[i] = o.tell(t.node.epoch())
	}
	for i, o := range t.parts {
		whole := false
		select {
		case whole = <-answers[i]:
		case <-ctx.Done():
		}
		if !whole {
			t.node.logger.Warn("the new owner of a partition did not confirm; keeping the items", "transfer", t.String(), "service", o.proxy.service.Name)
		}
		if h := o.proxy.current(); h != nil {
			h.post(func(v *vnode) { v.handed(whole) })
		}
		o.conclude(whole)
	}
}

// disconnect ends the transfer's connections, to be made again.
func (t *transfer) disconnect() {
	for _, o := range t.parts {
		o.disconnect()
	}
}

// stalled says whether a part has been without a connection for some time. Such
// a transfer does not take one of the places that others could use.
func (t *transfer) stalled(now time.Time) bool {
	for _, o := range t.parts {
		o.mu.Lock()
		stalled := !o.over && o.hangUp == nil && !o.lonely.IsZero() && now.Sub(o.lonely) > time.Second
		o.mu.Unlock()
		if stalled {
			return true
		}
	}
	return false
}

// status sums the parts up.
func (t *transfer) status(now time.Time) TransferStatus {
	s := TransferStatus{Transfer: t.Transfer, Phase: handoff.Done}
	for _, o := range t.parts {
		o.mu.Lock()
		phase := handoff.Waiting
		if o.machine != nil && o.hangUp != nil {
			phase = o.machine.Phase()
		}
		s.Phase = min(s.Phase, phase)
		s.add(now, &o.progress)
		o.mu.Unlock()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.Phase != t.phase {
		t.phase, t.since = s.Phase, now
	}
	s.Since = t.since
	switch {
	case t.reason != "":
		s.Phase, s.Reason = handoff.Waiting, t.reason
	case s.Phase == handoff.Waiting:
		s.Reason = t.obstacle()
	}
	return s
}

func (t *transfer) setReason(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reason = reason
}

// obstacle says what a transfer without a connection waits for.
func (t *transfer) obstacle() string {
	if !t.node.Reachable(t.To) {
		return handoff.Unreachable(t.To)
	}
	return fmt.Sprintf("connecting to %s", t.To)
}

// add puts the measurements of one part into the sum.
func (s *TransferStatus) add(now time.Time, p *handoff.Progress) {
	s.Items += p.Items
	s.TotalItems += max(p.Items, p.TotalItems)
	s.Bytes += p.Bytes
	s.TotalBytes += p.TotalBytes()
	s.Rate += p.Rate(now)
	s.ETA = max(s.ETA, p.ETA(now))
}
