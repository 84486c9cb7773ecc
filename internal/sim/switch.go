package sim

import (
	"time"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// The times are those of actors/transfer.go.
const (
	storePatience = time.Second
	sealPatience  = time.Second
	storeAgain    = 500 * time.Millisecond
)

// switchOver makes the receiver the owner, in the acts of a handoff.Switch.
func (s *sending) switchOver() {
	s.change = new(handoff.Switch)
	s.node.tracef("switch", "%v", s.Transfer)
	s.node.w.cue(SwitchBegins, s.node, s.node.w.node(s.To))
	s.act(s.change.Begin())
}

// act carries out one act, and then the next.
func (s *sending) act(a handoff.Act) {
	if a == 0 {
		s.switched()
		return
	}
	s.do(a, func(r handoff.Result) { s.act(s.change.Next(r)) })
}

// switched is what follows when there are no more acts.
func (s *sending) switched() {
	outcome := s.change.Outcome()
	s.change = nil
	switch {
	case outcome == handoff.Switched:
		s.node.w.counts[Switched]++
		s.end(nil)
	case outcome == handoff.CalledOff || s.called:
		s.end(errCalledOff)
	case s.failure != nil:
		s.end(s.failure)
	default:
		s.node.w.counts[UndoneSwitch]++
		s.node.after(storeAgain, s.look)
	}
}

func (s *sending) do(a handoff.Act, done func(handoff.Result)) {
	n := s.node
	soon := func(r handoff.Result) { n.after(n.w.between(0, 100*time.Microsecond), func() { done(r) }) }
	switch a {
	case handoff.AskStore:
		n.refresh(storePatience, func(err error) {
			if err == nil && !s.Wanted(n.ring) {
				done(handoff.Refused)
				return
			}
			done(onlyIf(err == nil))
		})
	case handoff.Suspend:
		s.proxy.suspend()
		soon(handoff.Succeeded)
	case handoff.Agree:
		s.seal(done)
	case handoff.Publish:
		if n.w.hooks.dropEarly {
			s.vnode.drop()
		}
		s.publish(done)
	case handoff.Learn:
		n.w.counts[UndecidedSwitch]++
		s.proxy.undecide()
		n.after(storeAgain, func() { s.learn(done) })
	case handoff.Resume:
		s.proxy.resume()
		soon(handoff.Succeeded)
	case handoff.TakeBack:
		s.machine.Reopen()
		s.proxy.resume()
		s.stir()
		soon(handoff.Succeeded)
	case handoff.HandOver:
		s.handOver(done)
	}
}

func onlyIf(ok bool) handoff.Result {
	if ok {
		return handoff.Succeeded
	}
	return handoff.Failed
}

// seal has both sides agree, or says that they do not.
func (s *sending) seal(done func(handoff.Result)) {
	over := false
	finish := func(ok bool) {
		if !over {
			over, s.sealing = true, nil
			s.node.after(0, func() { done(onlyIf(ok)) })
		}
	}
	s.node.after(sealPatience, func() { finish(false) })
	s.vnode.visit(func(v *vnode) {
		if over {
			return
		}
		if !s.machine.Seal(len(v.items)) {
			finish(false)
			return
		}
		s.sealing = func() {
			switch {
			case s.sealed():
				finish(true)
			case s.machine.Phase() != handoff.Sealed, s.failure != nil, s.called:
				finish(false)
			}
		}
		s.stir()
	}, func() { finish(false) })
}

// publish changes the ring by compare-and-set.
func (s *sending) publish(done func(handoff.Result)) {
	move := ring.Transfer{Partition: s.Partition, From: s.From, To: s.To}
	proposed := false
	var unwanted *ring.Ring
	s.node.change(func(r *ring.Ring) (*ring.Ring, error) {
		next, err := r.Complete(move)
		if err != nil {
			unwanted = r
		}
		proposed = proposed || err == nil
		return next, err
	}, func(err error) {
		switch {
		case err == nil:
			done(handoff.Succeeded)
		case unwanted != nil:
			done(s.overtaken(unwanted))
		case !proposed:
			done(handoff.Failed)
		default:
			done(handoff.Unknown)
		}
	})
}

// overtaken adopts a stored ring that does not ask for the transfer: because it
// was carried out, or because it was called off.
func (s *sending) overtaken(r *ring.Ring) handoff.Result {
	s.node.adopt(r)
	if s.node.ring.Owner(s.Partition) != s.To {
		return handoff.Refused
	}
	return handoff.Succeeded
}

// learn finds out whether the ring was changed, by changing it once more.
func (s *sending) learn(done func(handoff.Result)) {
	if s.called {
		done(handoff.Failed)
		return
	}
	s.publish(func(r handoff.Result) {
		if r == handoff.Failed {
			r = handoff.Unknown
		}
		done(r)
	})
}

// handOver tells the receiver that it is the owner, and has the vnode here know
// whether it serves with all.
func (s *sending) handOver(done func(handoff.Result)) {
	over := false
	finish := func(whole bool) {
		if over {
			return
		}
		over, s.flipped = true, nil
		s.vnode.post(func(v *vnode) { v.handed(whole) })
		done(handoff.Succeeded)
	}
	if s.called || s.failure != nil { // nobody will ask for the receiver's word
		finish(false)
		return
	}
	s.flip, s.flipped = s.node.epoch(), finish
	s.stir()
}
