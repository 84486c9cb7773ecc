package sim

import (
	"slices"
	"time"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/internal/history"
	"github.com/torc-io/torc/ring"
)

// requestTimeout is the deadline of a client's request.
const requestTimeout = 1200 * time.Millisecond

// deadlineSlack is how late an answer may be: there is one event for it.
const deadlineSlack = time.Millisecond

// request drives coordinator.Request as actors/coordinator.go does.
type request struct {
	n        *node
	id       uint64
	ring     *ring.Ring
	key      string
	item     item
	kind     coordinator.Kind
	quorum   coordinator.Quorum
	machine  *coordinator.Request // nil once the request is over
	deadline time.Duration
	replies  []*reply // by position, of those that counted
	told     bool     // the client
	counted  int
	deeds    *deeds
	done     func(result)
}

// result is what a client is told.
type result struct {
	outcome history.Outcome
	item    item
	why     string
	whole   bool // all replicas answered with the same
}

// request begins one. Done is called once, unless the process ends.
func (n *node) request(kind coordinator.Kind, key string, i item, q coordinator.Quorum, done func(result)) *request {
	w := n.w
	r := &request{n: n, id: w.id(), ring: n.ring, key: key, item: i, kind: kind, quorum: q, deadline: w.now + requestTimeout, done: done}
	r.deeds = &deeds{w: w, request: r.id}
	r.machine = w.machine()
	r.replies = make([]*reply, q.N)
	err := r.machine.Init(coordinator.Config{Ring: n.ring, Partition: n.ring.Partition([]byte(key)), Kind: kind, Quorum: q, Reachable: n.reachable})
	if err != nil {
		w.failf("coordinator", "r%d: %v", r.id, err)
		return r
	}
	n.requests = append(n.requests, r)
	n.after(requestTimeout, func() {
		if r.machine != nil {
			r.apply(r.machine.Expire())
		}
	})
	r.apply(r.machine.Start())
	return r
}

func (w *World) machine() *coordinator.Request {
	if last := len(w.machines) - 1; last >= 0 {
		m := w.machines[last]
		w.machines = w.machines[:last]
		return m
	}
	return new(coordinator.Request)
}

// onReply takes a reply to the request that waits for it.
func (n *node) onReply(a *reply) {
	for _, r := range n.requests {
		if r.id == a.request {
			r.onReply(a)
			return
		}
	}
}

// nodeDown tells all requests that a node will not answer.
func (n *node) nodeDown(name ring.NodeName) {
	for _, r := range slices.Clone(n.requests) {
		if r.machine != nil {
			r.apply(r.machine.NodeDown(name))
		}
	}
}

func (r *request) onReply(a *reply) {
	if r.machine == nil {
		return
	}
	from := ring.Target{Partition: a.partition, Node: a.node}
	position, counted, step := r.machine.Reply(from, a.outcome)
	if position < 0 && r.n.w.hooks.countTwice != nil {
		position, counted, step = r.n.w.hooks.countTwice(r, a)
	}
	if position >= 0 {
		r.replies[position] = a
	}
	if counted {
		r.counted++
	}
	r.apply(step)
}

// apply carries out what the machine decided.
func (r *request) apply(step coordinator.Step) {
	var failed []*reply
	for _, s := range step.Sends {
		if !r.send(s) {
			failed = append(failed, &reply{partition: s.Partition, node: s.Node, outcome: coordinator.Refused, why: "unreachable"})
		}
	}
	r.conclude(step)
	if step.Closed {
		r.end()
	}
	for _, a := range failed {
		if r.machine != nil {
			r.onReply(a)
		}
	}
}

// send sends the command to one vnode, and says whether it could.
func (r *request) send(s coordinator.Send) bool {
	n := r.n
	c := &command{
		request: r.id, from: n, life: n.life, read: r.kind == coordinator.Read, key: r.key, item: r.item, home: s.Partition,
		fallback: s.Fallback, epoch: r.ring.Epoch(), deadline: r.deadline, deeds: r.deeds,
	}
	if s.Node == n.name {
		n.proxies[s.Partition].accept(c)
		return true
	}
	if !n.reachable(s.Node) {
		return false
	}
	to := n.peer(s.Node)
	if to == nil {
		return false
	}
	n.sendCommand(to.node, c)
	return true
}

// conclude tells the client, once the machine knows what.
func (r *request) conclude(step coordinator.Step) {
	switch step.Answer {
	case coordinator.None:
	case coordinator.Met:
		r.n.w.ledger.met(r)
		r.tell(result{outcome: history.OK, item: r.resolve(), whole: r.same()})
	case coordinator.Expired, coordinator.Impossible:
		err := r.machine.Error(nil)
		outcome := history.Failed
		if err.Outcome == coordinator.Unknown || r.deeds.twice { // the copy may be executed where the first was refused
			outcome = history.Unknown
		}
		r.tell(result{outcome: outcome, why: err.Error()})
	}
}

func (r *request) tell(a result) {
	n := r.n
	if r.told {
		n.w.failf("one answer", "r%d is answered twice", r.id)
		return
	}
	r.told = true
	if late := n.w.now - r.deadline; late > deadlineSlack && r.deadline > n.resumed && !n.waking {
		n.w.failf("deadline", "r%d is answered %v after its deadline", r.id, late)
	}
	done := r.done
	r.done = nil
	done(a)
}

// same says whether all replicas gave the same answer.
func (r *request) same() bool {
	for _, a := range r.replies {
		if a == nil || a.item != r.replies[0].item {
			return false
		}
	}
	return true
}

// resolve makes one item of the replies.
func (r *request) resolve() (newest item) {
	for _, a := range r.replies {
		if a != nil && (a.outcome == coordinator.Acked || a.outcome == coordinator.Behind) {
			newest = newest.newer(a.item)
		}
	}
	return newest
}

// end repairs what a read found stale, and lets go of the machine.
func (r *request) end() {
	w := r.n.w
	if winner := r.resolve(); r.kind == coordinator.Read && winner.version > 0 {
		for _, s := range r.machine.Repairs(func(i int) bool { return r.replies[i] != nil && r.replies[i].item == winner }) {
			w.counts[ReadRepair]++
			r.repair(s, winner)
		}
	}
	if r.kind == coordinator.Write && r.counted < r.quorum.N {
		w.ledger.excuse(r.key, "a write of it did not reach all")
	}
	r.close()
}

// repair writes a newer item to one replica; nobody waits for an answer.
func (r *request) repair(s coordinator.Send, winner item) {
	n := r.n
	c := &command{
		from: n, life: n.life, key: r.key, item: winner, home: s.Partition, fallback: s.Fallback,
		epoch: r.ring.Epoch(), deadline: n.w.now + requestTimeout, deeds: &deeds{w: n.w},
	}
	switch to := n.peer(s.Node); {
	case s.Node == n.name:
		n.proxies[s.Partition].accept(c)
	case to != nil && n.reachable(s.Node):
		n.sendCommand(to.node, c)
	}
}

func (r *request) close() {
	n := r.n
	n.w.machines = append(n.w.machines, r.machine)
	r.machine = nil
	n.requests = slices.DeleteFunc(n.requests, func(other *request) bool { return other == r })
}

// abandon is what becomes of a request whose coordinator's process ends.
func (r *request) abandon() {
	if r.machine == nil {
		return
	}
	r.n.w.machines = append(r.n.w.machines, r.machine)
	r.machine = nil
	if r.kind == coordinator.Write {
		r.n.w.ledger.excuse(r.key, "a coordinator of it ended early")
	}
	if done := r.done; done != nil {
		r.done = nil
		r.n.w.after(r.n.w.between(time.Millisecond, 50*time.Millisecond), func() {
			done(result{outcome: history.Unknown, why: "the coordinator has ended"})
		})
	}
}
