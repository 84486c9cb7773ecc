package actors

import (
	"fmt"
	"time"

	"github.com/torc-io/torc/handoff"
	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
)

// What the sender of a transfer does with the receiver's answers.

// listen takes what the receiver says until the stream ends.
func (o *outgoing) listen(stream HandoffOut) error {
	for {
		answer, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("the stream ended: %w", err)
		}
		if err := o.hear(answer); err != nil {
			return err
		}
		o.stir()
	}
}

func (o *outgoing) hear(answer *handoffpb.Answer) error {
	switch a := answer.GetKind().(type) {
	case *handoffpb.Answer_Ack:
		return o.acked(a.Ack.GetSeq())
	case *handoffpb.Answer_Sealed:
		return o.agree(handoff.Count{Items: a.Sealed.GetItems(), Held: a.Sealed.GetHeld(), Own: a.Sealed.GetOwn()})
	case *handoffpb.Answer_Flipped:
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.flipped != nil {
			o.flipped <- a.Flipped.GetWhole()
			o.flipped = nil
		}
		return nil
	case *handoffpb.Answer_Refusal:
		return refusalFromWire(a.Refusal)
	}
	return fmt.Errorf("%w: an answer of an unknown kind", ErrInvalid)
}

// acked notes what went over, and lets go of the replies that waited for it.
func (o *outgoing) acked(seq uint64) error {
	o.mu.Lock()
	done, err := o.machine.Acked(seq)
	for _, c := range done {
		o.progress.Add(time.Now(), c.Count, len(c.Items))
		o.node.metrics.sentItems.Add(float64(c.Count))
		o.node.metrics.sentBytes.Add(float64(len(c.Items)))
		o.buffers.put(c.Items)
	}
	n := 0
	for n < len(o.held) && o.held[n].seq <= seq {
		n++
	}
	free := o.held[:n:n]
	o.held = o.held[n:]
	o.mu.Unlock()
	for _, r := range free {
		o.node.reply(r.to, &r.reply)
	}
	return err
}

// agree compares the counts. That they differ is the worst news there can be.
func (o *outgoing) agree(c handoff.Count) error {
	o.mu.Lock()
	err := o.machine.Agree(c)
	o.mu.Unlock()
	if err == nil {
		return nil
	}
	return o.fail(err)
}
