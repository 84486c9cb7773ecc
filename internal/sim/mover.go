package sim

import (
	"slices"
	"time"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

const (
	moverTick     = time.Second // as in actors/mover.go
	transferLimit = 4           // in each direction
)

// mover carries out what handoff.Agenda decides, as actors/mover.go does.
type mover struct {
	awake    bool
	agenda   *handoff.Agenda
	running  []*sending
	arriving []*intake
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
	for _, t := range slices.Clone(n.mover.running) {
		if t.CalledOff(n.ring) {
			t.callOff()
		}
	}
	o := n.outlook()
	for _, t := range n.mover.agenda.Begin(o, n.sends(), transferLimit) {
		n.begin(t)
	}
	n.askForRepairs(o)
	n.tidy()
}

// time returns what the agenda takes for the time.
func (w *World) time() time.Time { return time.Unix(0, 0).Add(w.now) }

// outlook returns what the node knows now.
func (n *node) outlook() handoff.Outlook {
	o := handoff.Outlook{Now: n.w.time(), Ring: n.ring, Reachable: n.reachable}
	for _, p := range n.proxies {
		if p.report != nil {
			o.Vnodes = append(o.Vnodes, handoff.Local{Report: *p.report, Partition: p.partition, Behind: p.behind})
		}
	}
	return o
}

func (n *node) sends() []handoff.Running {
	running := make([]handoff.Running, len(n.mover.running))
	for i, s := range n.mover.running {
		running[i] = handoff.Running{Transfer: s.Transfer, Stalled: s.stalled()}
	}
	return running
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
	refused, isRefusal := err.(*handoff.Refusal) //nolint:errorlint // it is never wrapped here
	switch {
	case err == nil:
		n.mover.agenda.Finished(t)
		n.tracef("transfer", "%v done", t)
		w.counts.done(t.Type, s.transferred)
	case isRefusal:
		n.mover.agenda.Refused(w.time(), t, refused)
		if refused.Reason == handoff.Broken {
			w.failf("transfer", "%v: %s", t, refused.Text)
		}
		w.counts[RefusedTransfer]++
		n.tracef("transfer", "%v is refused: %s", t, refused.Text)
	default:
		n.mover.agenda.Ended(w.time(), t, err.Error())
		n.tracef("transfer", "%v ended early: %v", t, err)
	}
	if p := n.peer(t.To); p != nil && t.Type == handoff.Hinted {
		n.ask(p.node)
	}
	n.wake()
	n.after(handoff.RefusedPause, n.wake)
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
		if p.report == nil || !p.report.Ends(epoch) || p.vnode == nil || !n.reachable(n.ring.Owner(p.partition)) {
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

// repair enters what a recovering node asks for.
func (n *node) repair(t handoff.Transfer) {
	if n.ring == nil {
		return
	}
	n.mover.agenda.Asked(n.outlook(), t)
	n.wake()
}

// askForRepairs asks the nodes that can be reached for what is lacking here.
func (n *node) askForRepairs(o handoff.Outlook) {
	arrives := func(t handoff.Transfer) bool {
		return slices.ContainsFunc(n.mover.arriving, func(a *intake) bool { return a.Transfer == t })
	}
	for _, t := range n.mover.agenda.Ask(o, arrives) {
		if p := n.peer(t.From); p != nil {
			n.w.net.send(n, p.node, message{unit: true, deliver: func(to *node) { to.repair(t) }})
		} else if t.From == n.name {
			n.after(0, func() { n.repair(t) })
		}
	}
}
