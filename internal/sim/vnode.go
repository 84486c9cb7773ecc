package sim

import (
	"time"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// vnode drives handoff.Standing as actors/vnode.go does. It has turns: one message
// each, and what is asked of it by the framework comes before commands.
type vnode struct {
	node      *node
	proxy     *proxy
	partition ring.Partition
	standing  handoff.Standing
	items     map[string]item

	out     *sending // the transfer that wants to know of its writes
	handing *sending // has given all to the new owner, which has yet to say that it serves
	retired bool
	ended   bool

	control  []visit
	commands []*command
	closed   bool // commands are held by the proxy
	awake    bool // a turn is entered
}

// visit is something to do on the vnode's turn; failed is called if there is none
// any more, and may be nil.
type visit struct {
	run    func(*vnode)
	failed func()
}

func (v *vnode) post(run func(*vnode)) { v.visit(run, nil) }

func (v *vnode) visit(run func(*vnode), failed func()) {
	if v.ended {
		if failed != nil {
			v.node.after(0, failed)
		}
		return
	}
	v.control = append(v.control, visit{run, failed})
	v.wake()
}

// take queues a command.
func (v *vnode) take(c *command) {
	switch {
	case v.ended:
		v.refuse(c, coordinator.Refused, "stopping")
	case v.closed:
		v.proxy.hold(c)
	default:
		v.commands = append(v.commands, c)
		v.wake()
	}
}

func (v *vnode) wake() {
	if v.awake || len(v.control)+len(v.commands) == 0 {
		return
	}
	v.awake = true
	v.node.after(v.node.w.between(time.Microsecond, 200*time.Microsecond), v.turn)
}

// turn handles one message.
func (v *vnode) turn() {
	v.awake = false
	switch {
	case v.ended:
	case len(v.control) > 0:
		do := v.control[0]
		v.control = v.control[1:]
		do.run(v)
	case len(v.commands) > 0:
		c := v.commands[0]
		v.commands = v.commands[1:]
		v.execute(c)
	}
	v.wake()
}

// end stops the vnode: what waits for it is told.
func (v *vnode) end() {
	v.ended = true
	for _, c := range v.commands {
		v.refuse(c, coordinator.Refused, "stopping")
	}
	for _, do := range v.control {
		if do.failed != nil {
			v.node.after(0, do.failed)
		}
	}
	v.commands, v.control = nil, nil
}

func (v *vnode) refuse(c *command, o coordinator.Outcome, why string) { v.proxy.answer(c, o, why) }

// admissions are the answers to commands that are not executed.
var admissions = [...]coordinator.Outcome{
	handoff.Serve:      coordinator.Acked,
	handoff.NotOwner:   coordinator.Refused,
	handoff.NotFound:   coordinator.NotFound,
	handoff.Incomplete: coordinator.Recovering,
}

// admit has the standing decide on a command, as actors/vnode.go does.
func (v *vnode) admit(c *command) coordinator.Outcome {
	w := v.node.w
	switch {
	case v.retired:
		return coordinator.Refused
	case v.standing.Owner() && c.read && v.node.stopped():
		w.counts[StoppedRefused]++
		return coordinator.Recovering
	}
	a := w.hooks.admit(v.standing.Admit(c.read, []byte(c.key), c.fallback))
	if a == handoff.Incomplete {
		w.counts[RecoveringRefused]++
	}
	return admissions[a]
}

// execute runs a command, and answers unless a transfer keeps the answer.
func (v *vnode) execute(c *command) {
	if v.node.w.now >= c.deadline {
		v.refuse(c, coordinator.Shed, "expired")
		return
	}
	if o := v.admit(c); o != coordinator.Acked {
		v.refuse(c, o, "not admitted")
		return
	}
	r := &reply{request: c.request, partition: v.partition, node: v.node.name, outcome: coordinator.Acked, epoch: v.node.epoch()}
	c.deeds.executed(v, c)
	if c.read {
		r.item = v.items[c.key]
		if r.item.version == 0 {
			r.outcome = coordinator.NotFound
		}
		if v.standing.Owner() && v.proxy.behind {
			v.node.w.counts[BehindDoubted]++
			r.outcome = coordinator.Behind
		}
		v.node.reply(c, r)
		return
	}
	v.put(c.key, c.item)
	r.item = v.items[c.key]
	if v.node.w.trace != nil {
		v.node.tracef("write", "r%d %s = %v in partition %d%s", c.request, c.key, r.item, v.partition, mark(c.fallback, " as a fallback"))
	}
	if !v.wrote(c, r) {
		v.node.reply(c, r)
	}
}

func mark(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

func (v *vnode) put(key string, i item) {
	if kept := v.items[key].newer(i); kept.version > 0 {
		v.items[key] = kept
	}
}

// wrote notes what a write has changed. It returns true if a transfer keeps the
// reply until the receiver has the item.
func (v *vnode) wrote(c *command, r *reply) (kept bool) {
	if !v.standing.Owner() {
		v.node.w.counts[FallbackWrite]++
		if v.node.w.hooks.noteFallback() {
			v.standing.Wrote([]byte(c.key))
		}
		if v.standing.Own() == 1 {
			v.tell()
			v.node.wake()
		}
	}
	return v.out != nil && v.out.wrote(v, c, r)
}

func (v *vnode) tell() {
	report := v.standing.Report()
	v.proxy.report = &report
}

// assume makes the vnode what it is to the partition by r, as actors/vnode_handoff.go
// does.
func (v *vnode) assume(r *ring.Ring) {
	was, owns := v.standing.Owner(), r.Owner(v.partition) == v.node.name
	switch o := v.out; {
	case o == nil:
	case owns && o.Type == handoff.Hinted:
		v.out = nil
	case !owns && was && o.Type == handoff.Ownership:
		if o.sealed() {
			v.handing = o
		}
		v.out = nil
	}
	v.standing.Assume(r, v.node.name, v.partition, func() []handoff.Source { return sources(r, v.partition) }, v.handing != nil)
	if owns && !v.standing.Whole() {
		v.node.wake()
	}
	v.tell()
	if v.standing.Owner() != was && v.node.w.trace != nil {
		v.node.tracef("vnode", "%d is %s at epoch %d", v.partition, v.what(), r.Epoch())
	}
}

// what says in words what the vnode is to its partition.
func (v *vnode) what() string {
	switch {
	case v.standing.Whole():
		return "the owner's, with all its items"
	case v.standing.Owner():
		return "the owner's, and recovers"
	}
	return "of another owner"
}

// handed notes whether the new owner has said that it serves with all.
func (v *vnode) handed(whole bool) {
	v.handing = nil
	v.standing.Handed(whole)
	if !whole {
		v.node.w.counts[Unconfirmed]++
	}
	v.tell()
}

// merge brings items of another node in.
func (v *vnode) merge(items []handoff.Item, from ring.NodeName) {
	for _, i := range items {
		key, decoded := decode(i)
		if i.Deleted {
			delete(v.items, key)
		} else {
			v.put(key, decoded)
		}
		if v.out != nil {
			v.out.merged(i.Key, from)
		}
	}
}

// returned notes that the owner has all that the vnode owed it.
func (v *vnode) returned() {
	v.standing.Returned()
	v.tell()
	v.node.wake()
}

// drop removes all items.
func (v *vnode) drop() { v.items = map[string]item{} }

// retire drops what the vnode holds if nobody needs it.
func (v *vnode) retire() bool {
	if !v.standing.Useless() || v.out != nil {
		return false
	}
	v.drop()
	v.retired = true
	return true
}
