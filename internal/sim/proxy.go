package sim

import (
	"slices"
	"time"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// latePatience is how long a command waits for a ring, as in actors/moving.go.
const latePatience = 500 * time.Millisecond

// command is what a vnode is asked to do.
type command struct {
	request  uint64
	from     *node
	life     uint64 // of the process that asked
	read     bool
	key      string
	item     item // of a write
	home     ring.Partition
	fallback bool
	passedOn bool
	epoch    ring.Epoch
	deadline time.Duration
	deeds    *deeds // what the ledger knows of the request
}

// reply is what a vnode says, or a proxy for it.
type reply struct {
	request   uint64
	partition ring.Partition
	node      ring.NodeName
	outcome   coordinator.Outcome
	item      item
	epoch     ring.Epoch
	why       string
}

// proxy stands under a vnode's address on every node, as actors/vnode_proxy.go.
type proxy struct {
	node      *node
	partition ring.Partition
	vnode     *vnode
	moving    *moving
	report    *handoff.Report
	assuming  int  // how many rings the vnode has yet to hear of
	behind    bool // a fallback holds writes that the vnode does not have
}

// moving is a proxy's state while its partition is about to change its owner.
type moving struct {
	held      []*command
	undecided bool
}

// accept passes a command to the vnode, or does what else handoff.Call says.
func (p *proxy) accept(c *command) {
	n := p.node
	if n.ring == nil {
		p.answer(c, coordinator.Refused, "starting")
		return
	}
	place := handoff.Place{
		Owned: n.owns(p.partition), Epoch: n.epoch(), Vnode: p.vnode != nil,
		Moving: p.moving != nil, Undecided: p.moving != nil && p.moving.undecided,
	}
	call := handoff.Call{Read: c.read, Fallback: c.fallback, Forwarded: c.passedOn, Epoch: c.epoch}
	switch n.w.hooks.route(call.At(place), call, place) {
	case handoff.Deliver:
		if v := p.open(false); v != nil {
			v.take(c)
			return
		}
		p.hold(c)
	case handoff.Hold:
		p.hold(c)
	case handoff.CatchUp:
		n.w.counts[CatchUp]++
		n.late = append(n.late, n.newLate(c, p))
	case handoff.PassOn:
		p.passOn(c)
	case handoff.Nothing:
		p.answer(c, coordinator.NotFound, "no vnode")
	case handoff.Refuse:
		if place.Undecided {
			n.w.counts[UndecidedRefusal]++
		} else {
			n.w.counts[EpochRefusal]++
		}
		p.answer(c, coordinator.Refused, "not here")
	}
}

// hold keeps a command while the partition is moving.
func (p *proxy) hold(c *command) {
	switch {
	case p.moving == nil:
		p.answer(c, coordinator.Refused, "stopping")
	case p.moving.undecided:
		p.answer(c, coordinator.Refused, "undecided")
	default:
		p.node.w.counts[HeldCommand]++
		p.moving.held = append(p.moving.held, c)
	}
}

// open returns the vnode, and makes one if there is none; nil while the partition
// is moving, or on a node that has departed.
func (p *proxy) open(founding bool) *vnode {
	if p.moving != nil {
		return nil
	}
	if p.vnode == nil {
		if p.node.ring.Departed(p.node.name) {
			return nil
		}
		v := &vnode{node: p.node, proxy: p, partition: p.partition, items: map[string]item{}}
		if founding {
			v.standing.Found()
		}
		p.vnode = v
		v.assume(p.node.ring)
	}
	return p.vnode
}

// suspend stops the vnode from executing commands.
func (p *proxy) suspend() {
	p.moving = &moving{}
	if v := p.vnode; v != nil {
		v.closed = true
		waiting := v.commands
		v.commands = nil
		for _, c := range waiting {
			p.accept(c)
		}
	}
}

// undecide refuses the commands that wait, and those that come.
func (p *proxy) undecide() {
	held := p.moving.held
	p.moving.held, p.moving.undecided = nil, true
	for _, c := range held {
		p.answer(c, coordinator.Refused, "undecided")
	}
}

// resume lets commands through again.
func (p *proxy) resume() {
	if p.moving == nil {
		return
	}
	held := p.moving.held
	p.moving = nil
	if p.vnode != nil {
		p.vnode.closed = false
	}
	for _, c := range held {
		p.accept(c)
	}
}

// passOn sends a command to the owner, with the address of whoever asked.
func (p *proxy) passOn(c *command) {
	n := p.node
	owner := n.ring.Owner(p.partition)
	to := n.peer(owner)
	if to == nil || !n.reachable(owner) {
		p.answer(c, coordinator.Refused, "not the owner")
		return
	}
	n.w.counts[Forwarded]++
	forward := *c
	forward.passedOn, forward.epoch = true, n.epoch()
	n.tracef("pass on", "r%d partition %d to %s", c.request, p.partition, owner)
	n.sendCommand(to.node, &forward)
}

// sendCommand puts a command on its way. Its deadline travels as what is left.
func (n *node) sendCommand(to *node, c *command) {
	left := c.deadline - n.w.now
	n.w.net.send(n, to, message{unit: true, twice: c.deeds.doubled, deliver: func(to *node) {
		arrived := *c
		arrived.deadline = to.w.now + left
		to.command(&arrived)
	}})
}

// command takes one that came from another node.
func (n *node) command(c *command) {
	if n.ring == nil {
		return // its proxies are not there yet
	}
	n.proxies[c.home].accept(c)
}

// answer tells whoever asked why a command was not executed.
func (p *proxy) answer(c *command, o coordinator.Outcome, why string) {
	p.node.reply(c, &reply{request: c.request, partition: p.partition, node: p.node.name, outcome: o, why: why, epoch: p.node.epoch()})
}

// reply takes an answer to whoever asked.
func (n *node) reply(c *command, r *reply) {
	deliver := func(to *node) {
		if to.life == c.life {
			to.onReply(r)
		}
	}
	switch {
	case c.request == 0:
	case c.from == n:
		n.after(n.w.between(0, 50*time.Microsecond), func() { deliver(n) })
	default:
		n.w.net.send(n, c.from, message{unit: true, deliver: deliver})
	}
}

// lateCommand waits for the ring that its coordinator knows already.
type lateCommand struct {
	command *command
	proxy   *proxy
}

func (n *node) newLate(c *command, p *proxy) *lateCommand {
	late := &lateCommand{c, p}
	n.after(latePatience, func() {
		i := slices.Index(n.late, late)
		if i < 0 {
			return
		}
		n.late = slices.Delete(n.late, i, i+1)
		late.retry()
	})
	return late
}

func (l *lateCommand) retry() {
	if l.command.epoch > l.proxy.node.epoch() {
		l.proxy.node.w.counts[EpochRefusal]++
		l.proxy.answer(l.command, coordinator.Refused, "the ring did not come in time")
		return
	}
	l.proxy.accept(l.command)
}

// lateArrived lets the commands go on that waited for a ring up to epoch.
func (n *node) lateArrived(epoch ring.Epoch) {
	var ready, rest []*lateCommand
	for _, l := range n.late {
		if l.command.epoch <= epoch {
			ready = append(ready, l)
		} else {
			rest = append(rest, l)
		}
	}
	n.late = rest
	for _, l := range ready {
		l.retry()
	}
}
