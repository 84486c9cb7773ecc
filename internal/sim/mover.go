package sim

import (
	"slices"
	"time"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// The times are those of actors/mover.go and actors/recovery.go.
const (
	moverTick     = time.Second
	refusedPause  = 50 * time.Millisecond
	brokenPause   = 10 * time.Second
	askAgain      = 2 * time.Second
	forgetAsked   = 4 * askAgain
	transferLimit = 4 // in each direction
)

// mover decides which transfers a node begins, and when vnodes end.
type mover struct {
	awake    bool
	running  []*sending
	asked    []asked   // repairs that others want of this node
	refused  []refusal // transfers that wait for something which nobody tells of
	arriving []*intake
	told     []asked // repairs that this node wants of others
}

type asked struct {
	handoff.Transfer
	at time.Duration
}

type refusal struct {
	handoff.Transfer
	until  time.Duration
	reason string
}

// intake is a transfer to this node.
type intake struct {
	handoff.Transfer
	streams int
}

// wake has the mover look again.
func (n *node) wake() {
	if n.mover.awake {
		return
	}
	n.mover.awake = true
	n.after(n.w.between(10*time.Microsecond, time.Millisecond), func() {
		n.mover.awake = false
		n.pass()
	})
}

// pass looks at everything once.
func (n *node) pass() {
	if n.ring == nil {
		return
	}
	n.callOff()
	for _, t := range n.schedule() {
		n.begin(t)
	}
	n.askForRepairs()
	n.tidy()
}

// callOff ends the transfers that the ring does not ask for any more.
func (n *node) callOff() {
	for _, t := range slices.Clone(n.mover.running) {
		if !wanted(n.ring, t.Transfer) && n.ring.Owner(t.Partition) != t.To {
			t.callOff()
		}
	}
}

// wanted says whether the ring agrees with a transfer.
func wanted(r *ring.Ring, t handoff.Transfer) bool {
	if t.Type == handoff.Ownership {
		move, pending := r.Transfer(t.Partition)
		return pending && move.From == t.From && move.To == t.To
	}
	return r.Owner(t.Partition) == t.To
}

func (n *node) schedule() []handoff.Transfer {
	var running []handoff.Transfer
	for _, t := range n.mover.running {
		if !t.stalled() {
			running = append(running, t.Transfer)
		}
	}
	want := slices.DeleteFunc(n.candidates(), func(c handoff.Candidate) bool { return n.sending(c.Transfer) != nil })
	begin, _ := handoff.Schedule(n.name, want, running, transferLimit)
	return begin
}

func (n *node) sending(t handoff.Transfer) *sending {
	for _, s := range n.mover.running {
		if s.Transfer == t {
			return s
		}
	}
	return nil
}

// candidates returns all transfers that this node should send.
func (n *node) candidates() (all []handoff.Candidate) {
	for _, t := range n.ring.Transfers() {
		if t.From == n.name {
			all = append(all, n.candidate(handoff.Transfer{Type: handoff.Ownership, Partition: t.Partition, Source: t.Partition, From: t.From, To: t.To}))
		}
	}
	for _, p := range n.proxies {
		owner := n.ring.Owner(p.partition)
		if owner != n.name && owner != "" && p.report != nil && p.report.owes {
			all = append(all, n.candidate(handoff.Transfer{Type: handoff.Hinted, Partition: p.partition, Source: p.partition, From: n.name, To: owner}))
		}
	}
	n.mover.asked = slices.DeleteFunc(n.mover.asked, func(a asked) bool {
		return n.w.now-a.at > forgetAsked || !wanted(n.ring, a.Transfer)
	})
	for _, a := range n.mover.asked {
		all = append(all, n.candidate(a.Transfer))
	}
	n.mover.refused = slices.DeleteFunc(n.mover.refused, func(r refusal) bool {
		return !slices.ContainsFunc(all, func(c handoff.Candidate) bool { return c.Transfer == r.Transfer })
	})
	return all
}

func (n *node) candidate(t handoff.Transfer) handoff.Candidate {
	c := handoff.Candidate{Transfer: t}
	p := n.proxies[t.Partition]
	i := slices.IndexFunc(n.mover.refused, func(r refusal) bool { return r.Transfer == t })
	switch {
	case !n.reachable(t.To):
		c.Obstacle = "cannot be reached"
	case t.Type == handoff.Ownership && p.report != nil && len(p.report.needs) > 0:
		c.Obstacle = "recovering"
	case t.Type == handoff.Ownership && p.behind:
		c.Obstacle = "writes are still on their way here"
	case i >= 0 && n.w.now < n.mover.refused[i].until:
		c.Obstacle = n.mover.refused[i].reason
	}
	return c
}

// begin starts a transfer.
func (n *node) begin(t handoff.Transfer) {
	s := &sending{Transfer: t, node: n, id: n.w.id(), proxy: n.proxies[t.Source]}
	n.mover.running = append(n.mover.running, s)
	n.tracef("transfer", "%v begins", t)
	n.w.cue(TransferBegins, n, n.w.node(t.To))
	s.start()
}

// finish takes note of how a transfer has ended.
func (n *node) finish(s *sending, err error) {
	n.mover.running = slices.DeleteFunc(n.mover.running, func(other *sending) bool { return other == s })
	t, w := s.Transfer, n.w
	n.mover.refused = slices.DeleteFunc(n.mover.refused, func(r refusal) bool { return r.Transfer == t })
	refused, isRefusal := err.(*handoff.Refusal) //nolint:errorlint // it is never wrapped here
	switch {
	case err == nil:
		n.mover.asked = slices.DeleteFunc(n.mover.asked, func(a asked) bool { return a.Transfer == t })
		n.tracef("transfer", "%v done", t)
		w.counts.done(t.Type, s.transferred)
	case isRefusal:
		wait := refusedPause
		if refused.Reason == handoff.Broken {
			wait = brokenPause
			w.failf("transfer", "%v: %s", t, refused.Text)
		}
		if refused.Reason == handoff.Wrong && t.Type == handoff.Repair {
			n.mover.asked = slices.DeleteFunc(n.mover.asked, func(a asked) bool { return a.Transfer == t })
		}
		n.mover.refused = append(n.mover.refused, refusal{t, w.now + wait, refused.Text})
		w.counts[RefusedTransfer]++
		n.tracef("transfer", "%v is refused: %s", t, refused.Text)
	default:
		n.mover.refused = append(n.mover.refused, refusal{t, w.now + refusedPause, err.Error()})
		n.tracef("transfer", "%v ended early: %v", t, err)
	}
	if p := n.peer(t.To); p != nil && t.Type == handoff.Hinted {
		n.ask(p.node)
	}
	n.wake()
	n.after(refusedPause, n.wake)
}

// disconnect has the transfers to a node that fell silent wait for it.
func (n *node) disconnect(name ring.NodeName) {
	for _, s := range slices.Clone(n.mover.running) {
		if s.To == name {
			s.lost("its peer fell silent")
		}
	}
}

// tidy ends the vnodes that nobody needs, once each member that can be reached
// knows that their partition has moved away.
func (n *node) tidy() {
	epoch := n.seenByAll()
	for _, p := range n.proxies {
		if p.report == nil || !p.report.useless || p.report.since > epoch || p.vnode == nil {
			continue
		}
		v := p.vnode
		v.post(func(v *vnode) {
			if !v.retire() {
				return
			}
			n.after(0, func() { // the mover hears of it, and then ends the vnode
				if p.vnode == v {
					p.vnode, p.report = nil, nil
				}
				v.end()
			})
		})
	}
}

// repairRequest is what a recovering node asks of another.
type repairRequest struct {
	node      ring.NodeName
	partition ring.Partition
	source    ring.Partition
}

// repair enters what a recovering node asks for, if the ring bears it out.
func (n *node) repair(r repairRequest) {
	if n.ring == nil {
		return
	}
	t := handoff.Transfer{Type: handoff.Repair, Partition: r.partition, Source: r.source, From: n.name, To: r.node}
	if wanted(n.ring, t) && n.owns(t.Source) {
		i := slices.IndexFunc(n.mover.asked, func(a asked) bool { return a.Transfer == t })
		if i < 0 {
			n.mover.asked = append(n.mover.asked, asked{t, n.w.now})
		} else {
			n.mover.asked[i].at = n.w.now
		}
	}
	n.wake()
}

// lacks returns the transfers that would make the vnodes here whole.
func (n *node) lacks() (all []handoff.Transfer) {
	for _, p := range n.proxies {
		if p.report == nil {
			continue
		}
		for _, source := range p.report.needs {
			all = append(all, handoff.Transfer{
				Type: handoff.Repair, Partition: p.partition, Source: source.Partition, From: source.Node, To: n.name,
			})
		}
	}
	return all
}

// askForRepairs asks the nodes that can be reached for what is lacking here.
func (n *node) askForRepairs() {
	lacks := n.lacks()
	n.mover.told = slices.DeleteFunc(n.mover.told, func(a asked) bool { return !slices.Contains(lacks, a.Transfer) })
	for _, t := range lacks {
		i := slices.IndexFunc(n.mover.told, func(a asked) bool { return a.Transfer == t })
		arriving := slices.ContainsFunc(n.mover.arriving, func(a *intake) bool { return a.Transfer == t })
		if arriving || i >= 0 && n.w.now-n.mover.told[i].at < askAgain || !n.reachable(t.From) {
			continue
		}
		if i >= 0 {
			n.mover.told[i].at = n.w.now
		} else {
			n.mover.told = append(n.mover.told, asked{t, n.w.now})
		}
		request := repairRequest{node: n.name, partition: t.Partition, source: t.Source}
		if p := n.peer(t.From); p != nil {
			n.w.net.send(n, p.node, message{unit: true, deliver: func(to *node) { to.repair(request) }})
		} else if t.From == n.name {
			n.after(0, func() { n.repair(request) })
		}
	}
}
