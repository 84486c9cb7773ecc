package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/ring"
)

// node is one member: what actors.Node is, without the actors. Between two starts
// of its process nothing is left but the name.
type node struct {
	w     *World
	index int
	name  ring.NodeName

	life     uint64 // of the process; it grows with every start
	up       bool
	paused   bool
	backlog  []func()      // what happened while it was paused
	waking   bool          // it works the backlog off
	resumed  time.Duration // when it last went on
	offset   time.Duration
	noStore  int  // how many faults keep the store from it
	left     bool // for good
	doomed   bool // it is to stay away until it is given up
	wantsOut bool // an operator waits for it to have left, to stop it
	leaving  bool // it stops when it has left

	process
}

// process is what a crash forgets.
type process struct {
	ready      bool       // it takes requests
	ring       *ring.Ring // in use; nil until the node has joined
	registered []membership.Node
	detector   membership.Detector
	peers      []peer
	arrears    handoff.Arrears
	proxies    []*proxy
	requests   []*request
	late       []*lateCommand
	mover      mover
	claimant   claimant
	ticked     time.Time     // of the last beat, by the wall clock
	silent     time.Duration // until when no reads are answered
}

// peer is what a node knows of another one.
type peer struct {
	name    ring.NodeName
	node    *node
	epoch   ring.Epoch
	handoff bool // it has said where it takes handoffs
}

func (w *World) newNode() *node {
	n := &node{w: w, index: len(w.nodes), name: ring.NodeName(fmt.Sprintf("n%d", len(w.nodes)))}
	w.nodes = append(w.nodes, n)
	return n
}

func (n *node) member() ring.Member {
	return ring.Member{Name: n.name, Address: string(n.name) + ":1", Incarnation: n.life}
}

// now runs something at once, or when the node goes on, if it is paused.
func (n *node) now(run func()) {
	if n.paused {
		n.backlog = append(n.backlog, run)
		return
	}
	run()
}

// after runs something later, if the process still lives then.
func (n *node) after(d time.Duration, run func()) {
	life := n.life
	n.w.after(d, func() {
		if n.life != life || !n.up {
			return
		}
		n.now(func() {
			if n.life == life && n.up {
				run()
			}
		})
	})
}

// every runs something again and again. A paused process misses beats.
func (n *node) every(d time.Duration, run func()) {
	n.after(d, func() {
		run()
		n.every(d, run)
	})
}

// wall returns the node's idea of the time of day.
func (n *node) wall() time.Time { return n.w.clock().Add(n.offset) }

// start begins a new process, which joins by itself.
func (n *node) start() {
	n.begins()
	n.leaving = false
	n.tracef("start", "life %d", n.life)
	n.join()
}

// begins makes a process that knows nothing.
func (n *node) begins() {
	n.life = n.w.nextLife()
	n.up, n.process = true, process{mover: mover{agenda: handoff.NewAgenda(n.name)}}
}

// boot begins the process of a node of the first ring.
func (n *node) boot(first *ring.Ring) {
	n.registered = n.w.store.nodes()
	n.adopt(first)
	n.serve()
}

// join registers, and enters the ring.
func (n *node) join() {
	again := func() { n.after(300*time.Millisecond, n.join) }
	life := n.life
	n.call(time.Second, func() error {
		n.w.store.register(n.name, life)
		return nil
	}, func(err error) {
		if err != nil {
			again()
			return
		}
		n.change(n.enrol, func(err error) {
			if err != nil {
				again()
				return
			}
			n.serve()
		})
	})
}

// enrol returns r with this node in it, as actors/ring_keeper.go does.
func (n *node) enrol(r *ring.Ring) (*ring.Ring, error) {
	want := n.member()
	change := ring.Update(want)
	switch known, ok := r.Member(want.Name); {
	case !ok || !known.Status.MayOwn() && known.Status != ring.Joining:
		change = ring.Announce(want)
	case known.Incarnation == want.Incarnation:
		return r, nil
	}
	plan, err := r.Plan(change)
	if err != nil {
		return nil, err
	}
	return plan.Next, nil
}

// serve starts all that goes on by the clock. Requests are taken when all peers
// have answered, or after a second.
func (n *node) serve() {
	n.settle(n.w.now + membership.SuspectAfter)
	n.every(membership.HeartbeatEvery, n.beat)
	n.every(moverTick, n.wake)
	n.every(beatStore, n.beatStore)
	n.every(claimantTick, n.claim)
	n.after(n.w.between(0, time.Second), func() { n.every(beatStore, n.contend) })
	n.after(time.Millisecond, func() { n.w.store.deliver(n); n.w.store.deliverNodes(n) })
}

func (n *node) settle(deadline time.Duration) {
	for i := range n.peers {
		if !n.reachable(n.peers[i].name) && n.w.now < deadline {
			n.after(5*time.Millisecond, func() { n.settle(deadline) })
			return
		}
	}
	n.ready = true
}

func (n *node) beatStore() {
	life := n.life
	n.call(beatStore, func() error {
		if e := n.w.store.entry(n.name); e != nil && e.life == life {
			e.beat = n.w.now
		}
		return nil
	}, func(error) {})
}

// crash ends the process, with all that it had in memory.
func (n *node) crash() {
	n.w.counts[MemoryLost]++
	n.w.ledger.crashed(n)
	n.halt()
}

// halt ends the process.
func (n *node) halt() {
	n.tracef("stop", "life %d", n.life)
	requests := n.requests
	n.up, n.paused, n.waking, n.backlog = false, false, false, nil
	n.w.net.stopped(n)
	for _, r := range requests {
		r.abandon()
	}
	n.process = process{}
}

// pause stops the process for a time, as SIGSTOP does.
func (n *node) pause() { n.paused, n.waking = true, false }

// resume lets it go on, with all that has come meanwhile, in its order: what
// comes next has to wait for that.
func (n *node) resume() {
	n.waking = true
	n.resumed = n.w.now
	n.workOff(n.life)
}

func (n *node) workOff(life uint64) {
	if n.life != life || !n.up || !n.waking {
		return
	}
	if len(n.backlog) == 0 {
		n.paused, n.waking, n.resumed = false, false, n.w.now
		return
	}
	run := n.backlog[0]
	n.backlog = n.backlog[1:]
	run()
	n.w.after(n.w.between(0, 100*time.Microsecond), func() { n.workOff(life) })
}

// peer returns what is known of a member, or nil.
func (n *node) peer(name ring.NodeName) *peer {
	for i := range n.peers {
		if n.peers[i].name == name {
			return &n.peers[i]
		}
	}
	return nil
}

// reachable says whether the node would send to a member.
func (n *node) reachable(name ring.NodeName) bool {
	return name == n.name || n.detector.Liveness(string(name)) == membership.Alive
}

func (n *node) epoch() ring.Epoch {
	if n.ring == nil {
		return 0
	}
	return n.ring.Epoch()
}

// owns says whether the node owns a partition, by the ring in use.
func (n *node) owns(p ring.Partition) bool { return n.ring.Owner(p) == n.name }

// hasLeft says whether the node has nothing more to do with the cluster.
func (n *node) hasLeft() bool {
	if n.ring == nil {
		return false
	}
	return n.ring.Departed(n.name) && !slices.ContainsFunc(n.proxies, func(p *proxy) bool { return p.vnode != nil })
}

// sources returns from whom a vnode here would recover.
func sources(r *ring.Ring, p ring.Partition) []handoff.Source { return handoff.Sources(r, p, replicas) }
