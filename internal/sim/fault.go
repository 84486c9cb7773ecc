package sim

import (
	"slices"
	"time"

	"github.com/torc-io/torc/ring"
)

const (
	faultAgain = 250 * time.Millisecond // until a fault that may not be now
	faultWaits = 40                     // times, and then it is skipped
)

// plague enters all faults.
func (w *World) plague() {
	for _, f := range w.scenario.Faults {
		w.at(f.At, func() {
			if f.Cue == AtOnce {
				w.strike(f, faultWaits)
				return
			}
			w.cued = append(w.cued, f)
			w.after(cueWaits, func() { w.miss(f) })
		})
	}
}

// cueWaits is how long a fault waits for its cue.
const cueWaits = 6 * time.Second

// cue has the faults happen that wait for it, a moment later, to the two nodes.
func (w *World) cue(c Cue, a, b *node) {
	i := slices.IndexFunc(w.cued, func(f Fault) bool { return f.Cue == c })
	if i < 0 || a == b {
		return
	}
	f := w.cued[i]
	w.cued = slices.Delete(w.cued, i, i+1)
	if f.Flag {
		a, b = b, a
	}
	w.after(w.between(0, 15*time.Millisecond), func() {
		f.Cue = AtOnce
		switch {
		case w.healing == nil && !w.calm && a.up && !a.paused && a.ring != nil && w.happenTo(f, a, b):
			w.struck(f)
		default:
			w.strike(f, faultWaits)
		}
	})
}

// miss has a fault happen without its cue.
func (w *World) miss(f Fault) {
	if i := slices.Index(w.cued, f); i >= 0 {
		w.cued = slices.Delete(w.cued, i, i+1)
		w.strike(f, faultWaits)
	}
}

// strike makes a fault happen, when it may.
func (w *World) strike(f Fault, left int) {
	done := w.healing == nil && !w.calm && w.happen(f)
	switch {
	case done:
		w.struck(f)
	case left == 0 || w.calm:
		w.counts[Skipped]++
		w.tracef("-", "skipped", "%v", f)
	default:
		w.after(faultAgain, func() { w.strike(f, left-1) })
	}
}

func (w *World) struck(f Fault) {
	w.counts[Faults]++
	if f.Kind >= Join {
		w.counts[Changes]++
	}
}

// happen makes a fault happen, and says whether it did.
func (w *World) happen(f Fault) bool {
	ups := w.running()
	if len(ups) < 2 {
		return false
	}
	return w.happenTo(f, ups[f.A%len(ups)], ups[(f.A+1+f.B%(len(ups)-1))%len(ups)])
}

func (w *World) happenTo(f Fault, a, b *node) bool {
	switch f.Kind {
	case Crash:
		return w.crashes(f, a)
	case Pause:
		w.pauses(f, a)
	case PauseClaimant:
		holder := w.store.lock.holder
		if holder == nil || !holder.up || holder.paused || holder.leaving {
			return false
		}
		f.For = healthyFor + f.For/10
		w.pauses(f, holder)
	case Cut:
		w.cuts(f, []*node{a}, []*node{b})
	case Isolate:
		w.isolates(f, a)
	case Lossy:
		w.lasting(f.For, func() { w.net.loss, w.net.twice = 30, 20 }, func() { w.net.loss, w.net.twice = 0, 0 })
	case BreakLanes:
		w.breaks(a)
	case BreakStream:
		w.tracef("-", "fault", "streams break")
		w.net.fragile += 3
	case NoStore, StoreAway, StoreSlow:
		w.troubles(f, a)
	case ClockStep:
		a.steps(f)
	default:
		return w.operate(f, a)
	}
	return true
}

// isolates cuts a node off from all others, and perhaps from the store.
func (w *World) isolates(f Fault, a *node) {
	long := !w.scenario.Strict && f.B%4 == 0
	if long { // for so long that it is given up
		f.For, f.Flag = f.For+evictAfter+2*time.Second, false
	}
	w.cuts(f, []*node{a}, w.nodes)
	if long || f.B%2 == 0 {
		w.lasting(f.For, func() { a.noStore++ }, func() { a.noStore-- })
	}
}

// breaks breaks the connections of a node, but those of its transfers.
func (w *World) breaks(a *node) {
	a.tracef("fault", "loses its connections")
	for _, other := range w.nodes {
		if other != a && other.up {
			w.net.breakLane(a, other)
			w.net.breakLane(other, a)
			w.net.notice(a, other)
			w.net.notice(other, a)
		}
	}
}

// troubles keeps the store from one node or from all, or makes it slow.
func (w *World) troubles(f Fault, a *node) {
	where, what, count := "+", "away", &w.store.away
	switch f.Kind {
	case NoStore:
		where, what, count = string(a.name), "without the store", &a.noStore
	case StoreSlow:
		what, count = "slow", &w.store.slow
	default:
	}
	w.tracef(where, "fault", "%s for %v", what, f.For)
	w.lasting(f.For, func() { *count++ }, func() { *count-- })
}

// steps sets the clock of a node.
func (n *node) steps(f Fault) {
	step := f.For
	if f.B%2 == 0 {
		step *= 1000 // as when a clock is set for the first time
	}
	if f.Flag {
		step = -step
	}
	n.tracef("fault", "clock steps by %v", step)
	n.offset += step
}

// running returns the nodes that are there, and well.
func (w *World) running() (all []*node) {
	for _, n := range w.nodes {
		if n.up && !n.paused && n.ring != nil && !n.leaving {
			all = append(all, n)
		}
	}
	return all
}

// lasting does something for a time, or until everything is mended.
func (w *World) lasting(d time.Duration, begin, end func()) {
	begin()
	over := false
	undo := func() {
		if !over {
			over = true
			end()
		}
	}
	w.after(d, undo)
	w.remedies = append(w.remedies, undo)
}

// pauses stops a process, and not for so long that it would be given up.
func (w *World) pauses(f Fault, a *node) {
	if f.For > evictAfter/2 {
		f.For = evictAfter / 2
	}
	w.tracef(string(a.name), "fault", "stops for %v", f.For)
	life := a.life
	w.lasting(f.For, a.pause, func() {
		if a.life == life && a.up {
			w.tracef(string(a.name), "fault", "goes on")
			a.resume()
		}
	})
}

// cuts stops what goes from some nodes to others; and back, unless it is one way.
func (w *World) cuts(f Fault, from, to []*node) {
	for _, a := range from {
		for _, b := range to {
			if a == b {
				continue
			}
			oneWay, reversed := f.Flag, f.B%3 == 0
			w.tracef(string(a.name), "fault", "is cut from %s for %v%s", b.name, f.For, mark(oneWay, ", one way"))
			if !oneWay || !reversed {
				w.lasting(f.For, func() { w.net.cut(a, b) }, func() { w.net.mend(a, b) })
			}
			if !oneWay || reversed {
				w.lasting(f.For, func() { w.net.cut(b, a) }, func() { w.net.mend(b, a) })
			}
		}
	}
}

// crashes ends a process, if the scenario's promise allows that.
func (w *World) crashes(f Fault, a *node) bool {
	if !w.mayLose() {
		return false
	}
	w.tracef(string(a.name), "fault", "crashes for %v", f.For)
	a.crash()
	w.lasting(f.For, func() {}, func() {
		if !a.up && !a.doomed && !a.left {
			a.start()
		}
	})
	return true
}

// mayLose says whether a process may lose its memory now: see the package comment.
func (w *World) mayLose() bool {
	if !w.allWhole() {
		return false
	}
	if w.scenario.Strict {
		return w.store.document.ring.Violations(replicas) == 0
	}
	if !w.mended {
		w.heal(func() { w.mended = true })
		return false
	}
	w.mended = false
	return true
}

// allWhole says whether each partition has an owner that has all its items.
func (w *World) allWhole() bool {
	r := w.store.document.ring
	for p := range r.Size() {
		n := w.node(r.Owner(ring.Partition(p)))
		if n == nil || !n.up || n.ring == nil {
			return false
		}
		if v := n.proxies[p].vnode; v == nil || !v.standing.Whole() {
			return false
		}
	}
	return true
}

// operate does what an operator does.
func (w *World) operate(f Fault, a *node) bool {
	members := w.valid()
	switch f.Kind {
	case Join:
		if len(w.nodes) >= maxNodes {
			return false
		}
		w.newNode().start()
	case Leave:
		if len(members) < 4 {
			return false
		}
		w.leave(members[f.A%len(members)])
	case Replace:
		if len(members) == 0 {
			return false
		}
		return w.replaces(members[f.A%len(members)], a)
	case Evict:
		if len(members) < 4 || !w.mayLose() {
			return false
		}
		w.evict(members[f.A%len(members)])
	case Return:
		return w.returns()
	case Shuffle:
		a.commit(nil, func(error) {})
	default:
		return false
	}
	return true
}

// valid returns the running nodes that are valid members.
func (w *World) valid() (all []*node) {
	for _, n := range w.running() {
		if m, known := w.store.document.ring.Member(n.name); known && m.Status == ring.Valid {
			all = append(all, n)
		}
	}
	return all
}

// leave has a node leave, and stop when it has nothing any more.
func (w *World) leave(n *node) {
	n.tracef("operator", "leave")
	n.wantsOut = true
	n.change(func(r *ring.Ring) (*ring.Ring, error) {
		plan, err := r.Plan(ring.Leave(n.name))
		if err != nil {
			return nil, err
		}
		return plan.Next, nil
	}, func(error) {})
}

// departAgain is how often operators look whether a node has left.
const departAgain = 20 * time.Millisecond

// departures stops the nodes that have left, once they have answered everybody.
func (w *World) departures() {
	for _, n := range w.nodes {
		switch {
		case !n.up || n.paused || n.ring == nil || !n.wantsOut && !n.isExiting():
		case n.hasLeft() || n.leaving:
			n.leaving = true
			if len(n.requests) == 0 {
				w.store.deregister(n.name)
				n.halt()
				n.left, n.leaving = true, false
			}
		}
	}
	w.after(departAgain, w.departures)
}

// isExiting says whether the node has handed off all that it owned.
func (n *node) isExiting() bool {
	m, known := n.ring.Member(n.name)
	return known && m.Status == ring.Exiting
}

// replaces has a new node take the place of another.
func (w *World) replaces(old, by *node) bool {
	if len(w.nodes) >= maxNodes {
		return false
	}
	heir := w.newNode()
	heir.start()
	w.after(1500*time.Millisecond, func() {
		if !by.up || by.ring == nil || !heir.up {
			return
		}
		by.now(func() {
			if by.ring != nil {
				by.commit([]ring.Change{ring.Replace(old.name, heir.member())}, func(err error) {
					if err == nil {
						old.wantsOut = true
					}
				})
			}
		})
	})
	return true
}

// returns calls a leave off.
func (w *World) returns() bool {
	for _, m := range w.store.document.ring.Members() {
		n := w.node(m.Name)
		if m.Status != ring.Leaving || !n.up || n.paused || n.ring == nil {
			continue
		}
		n.tracef("operator", "stays after all")
		n.commit([]ring.Change{ring.Join(n.member())}, func(error) {})
		return true
	}
	return false
}

// evict crashes a node, which stays away until it has been given up.
func (w *World) evict(n *node) {
	n.tracef("fault", "is gone for long")
	n.crash()
	n.doomed = true
	w.lasting(evictAfter+8*time.Second, func() {}, func() {
		n.doomed = false
		if !n.up && !n.left {
			n.start()
		}
	})
}
