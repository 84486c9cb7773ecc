package actors_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/ring"
)

var (
	tortureSeed  = flag.Uint64("torture", rand.Uint64N(1e9), "the first seed of the torture")
	tortureSeeds = flag.Int("tortures", 20, "how many seeds to try")
)

// TestTorture changes a cluster under load in all ways that there are, and finds
// nothing lost, stale, resurrected or invented. In every other seed nothing fails
// that was not meant to: the changes are planned, the quorums sloppy, and no
// request may fail. In the others nodes fail, too, and the quorums are strict.
func TestTorture(t *testing.T) {
	for i := range *tortureSeeds {
		seed := *tortureSeed + uint64(i)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { torture(t, seed) })
		})
		if t.Failed() {
			t.Fatalf("again with -torture %d -tortures 1", seed)
		}
	}
}

// tormentor has what happens to the cluster by chance.
type tormentor struct {
	*world
	dice    *rand.Rand
	planned bool
	spare   int      // nodes that came so far, to name the next
	did     []string // for a reader
}

func torture(t *testing.T, seed uint64) {
	dice := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, setup{quorum: actors.Quorum{N: 3}, size: 24}, []string{"a", "b", "c", "d", "e"})
	defer w.shutdown()
	x := &tormentor{world: w, dice: dice, planned: seed%2 == 0}
	w.SetDelay(time.Millisecond)
	call, via := actors.Call{Primary: 2}, w.roam
	if x.planned {
		call, via = actors.Call{}, func(d *rand.Rand) ring.NodeName { return []ring.NodeName{"a", "b"}[d.IntN(2)] }
	}
	l := w.begin(40, seed, call, via)
	for range 12 {
		elapse(time.Duration(200+dice.IntN(2500)) * time.Millisecond)
		x.change()
	}
	x.calm()
	w.settle(2 * time.Minute)
	l.halt()
	elapse(time.Second) // the third replica may answer later
	if x.planned {
		x.checkPlanned(l)
	}
	three := 3
	l.conclude(actors.Call{R: &three})
	elapse(time.Second) // the repairs
	if said := w.unequal() + w.unsettled(); said != "" {
		t.Errorf("in the end: %s", said)
	}
	l.check(t)
	for _, line := range w.logged("") {
		t.Errorf("logged: %s", line)
	}
	if t.Failed() {
		t.Logf("%s; not well ended: %v", l.size(), l.failures())
	}
}

func (x *tormentor) checkPlanned(l *load) {
	for _, f := range l.failures() {
		x.t.Error(f)
	}
	if said := x.unequal(); said != "" {
		x.t.Errorf("without a read that repairs: %s", said)
	}
}

func (x *tormentor) notef(format string, args ...any) {
	x.did = append(x.did, fmt.Sprintf(format, args...))
	x.t.Log(x.did[len(x.did)-1])
	if *traced {
		x.t.Logf("%s ==== %s", time.Now().Format("05.000000"), x.did[len(x.did)-1])
	}
}

// change does something.
func (x *tormentor) change() {
	planned := []func(){x.comes, x.leaves, x.isReplaced, x.slows, x.limits}
	failures := []func(){x.isolated, x.half, x.breaks, x.restarts, x.restarts, x.isolated}
	if !x.planned {
		planned = append(planned, failures...)
	}
	planned[x.dice.IntN(len(planned))]()
}

// valid returns members that may be moved out, a and b left aside, for clients
// use those.
func (x *tormentor) valid() (names []ring.NodeName) {
	for _, m := range x.ring().Members() {
		if m.Status == ring.Valid && m.Name != "a" && m.Name != "b" && x.node(m.Name) != nil {
			names = append(names, m.Name)
		}
	}
	return names
}

func (x *tormentor) one(names []ring.NodeName) ring.NodeName { return names[x.dice.IntN(len(names))] }

func (x *tormentor) nextName() ring.NodeName {
	x.spare++
	return ring.NodeName(fmt.Sprintf("n%d", x.spare))
}

func (x *tormentor) comes() {
	if len(x.names()) > 6 {
		return
	}
	name := x.nextName()
	x.notef("%s joins", name)
	x.join(name)
}

func (x *tormentor) leaves() {
	names := x.valid()
	if len(names) < 3 {
		return
	}
	name := x.one(names)
	x.notef("%s leaves", name)
	x.commit(ring.Leave(name))
	if x.dice.IntN(4) == 0 {
		elapse(time.Duration(x.dice.IntN(100)) * time.Millisecond)
		if m, known := x.ring().Member(name); known && m.Status == ring.Leaving {
			x.notef("%s is to stay", name)
			x.commit(ring.Join(m))
			return
		}
	}
	x.reap()
}

func (x *tormentor) isReplaced() {
	names := x.valid()
	if len(names) == 0 || len(x.names()) > 7 {
		return
	}
	old, name := x.one(names), x.nextName()
	x.notef("%s replaces %s", name, old)
	x.start(name, 1)
	m, _ := x.ring().Member(name)
	x.commit(ring.Replace(old, m))
	x.reap()
}

// reap stops the nodes that have left.
func (x *tormentor) reap() {
	for _, name := range x.names() {
		if m := x.node(name); m.HasLeft() && m.Ring().Epoch() == x.ring().Epoch() {
			x.notef("%s has left", name)
			x.stop(name)
		}
	}
}

func (x *tormentor) slows() { x.SetDelay(time.Duration(1+x.dice.IntN(6)) * time.Millisecond) }

func (x *tormentor) limits() {
	limits := actors.TransferLimits{Out: x.dice.IntN(4), In: x.dice.IntN(4)}
	if x.dice.IntN(2) == 0 {
		limits.Rate = 1000
	}
	name := x.one(x.names())
	x.notef("%s: %v", name, limits)
	if err := x.node(name).SetTransferLimits(limits); err != nil {
		x.t.Error(err)
	}
}

func (x *tormentor) isolated() {
	name := x.one(x.names())
	d := time.Duration(100+x.dice.IntN(5000)) * time.Millisecond
	x.notef("%s is cut off for %v", name, d)
	x.isolate(name)
	elapse(d)
	x.rejoin(name)
}

// half cuts what goes one way.
func (x *tormentor) half() {
	a, b := x.one(x.names()), x.one(x.names())
	d := time.Duration(100+x.dice.IntN(4000)) * time.Millisecond
	x.notef("nothing gets from %s to %s for %v", a, b, d)
	x.Cut(string(a), string(b))
	elapse(d)
	x.Heal(string(a), string(b))
}

func (x *tormentor) breaks() {
	for range 1 + x.dice.IntN(4) {
		a, b := x.one(x.names()), x.one(x.names())
		x.notef("the connection of %s and %s breaks", a, b)
		x.Break(string(a), string(b))
		elapse(time.Duration(x.dice.IntN(300)) * time.Millisecond)
	}
}

// restarts has a node come back with nothing, once the others are whole: two that
// lose what they have at a time may lose what only they had.
func (x *tormentor) restarts() {
	x.open()
	x.eventually(2*time.Minute, x.incomplete)
	name := x.one(x.names())
	d := time.Duration(x.dice.IntN(4000)) * time.Millisecond
	killed := x.dice.IntN(2) == 0
	x.notef("%s restarts after %v, killed: %v", name, d, killed)
	if killed {
		x.isolate(name)
	}
	x.stop(name)
	elapse(d)
	if killed {
		x.rejoin(name)
		for _, end := range []ring.NodeName{name} {
			for _, other := range x.names() {
				x.Heal(string(end), string(other))
				x.Heal(string(other), string(end))
			}
		}
	}
	x.start(name, 1)
	x.eventually(2*time.Minute, x.incomplete)
}

// incomplete says who lacks items.
func (x *tormentor) incomplete() string {
	for _, name := range x.names() {
		for _, s := range x.node(name).Transfers() {
			if s.Type.String() != "ownership" {
				return fmt.Sprintf("%s has the %v, %v: %s", name, s.Transfer, s.Phase, s.Reason)
			}
		}
	}
	return ""
}

// open takes all limits away.
func (x *tormentor) open() {
	for _, name := range x.names() {
		if err := x.node(name).SetTransferLimits(actors.TransferLimits{Out: 4, In: 4}); err != nil {
			x.t.Error(err)
		}
	}
}

// calm ends what was wrong, and stops who has left.
func (x *tormentor) calm() {
	x.open()
	x.eventually(2*time.Minute, func() string {
		x.reap()
		members := x.ring().Members()
		if i := slices.IndexFunc(members, func(m ring.Member) bool { return m.Status != ring.Valid }); i >= 0 {
			return fmt.Sprintf("%s is %v, and there is left %v", members[i].Name, members[i].Status, x.unsettled())
		}
		return ""
	})
}
