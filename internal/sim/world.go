package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/ring"
)

// replicas is the N of the service, and its majority what reads and writes wait for.
const (
	replicas = 3
	majority = 2
)

// maxSteps ends a run that does not end by itself.
const maxSteps = 3_000_000

// World is one simulated cluster, with its network, its membership store, its
// clients and all that goes wrong. One loop runs it all, on one goroutine.
type World struct {
	scenario Scenario
	rng      *rand.Rand
	now      time.Duration
	seq      uint64
	steps    int
	events   queue

	nodes   []*node // in the order in which they came
	net     *network
	store   *store
	clients []*client
	keys    []*keyState
	lives   uint64 // processes so far
	ids     uint64 // requests, transfers and streams so far

	machines []*coordinator.Request // to be used again
	ledger   ledger
	cued     []Fault  // that wait for their cue
	remedies []func() // end the faults that last
	healing  *healing // nil unless everything is being mended
	mended   bool     // every key is on all of its replicas, as far as memory was lost before
	calm     bool     // no more faults, and no more writes
	over     bool

	hooks   hooks
	trace   *trace
	counts  Counts
	failure string
}

// newWorld makes the cluster of a scenario, with its first ring.
func newWorld(s Scenario) *World {
	w := &World{scenario: s, rng: rand.New(rand.NewPCG(s.Seed, 0x746f7263)), mended: true}
	w.net, w.store = newNetwork(w), newStore(w)
	w.ledger = newLedger()
	return w
}

// at enters an event.
func (w *World) at(t time.Duration, run func()) {
	w.seq++
	w.events.push(event{at: max(t, w.now), seq: w.seq, run: run})
}

// after enters an event of nobody's, that happens whatever becomes of the nodes.
func (w *World) after(d time.Duration, run func()) { w.at(w.now+d, run) }

// loop runs until there is nothing left, or something is wrong.
func (w *World) loop() {
	for len(w.events) > 0 && w.failure == "" && !w.over {
		e := w.events.pop()
		w.now = e.at
		e.run()
		w.steps++
		if w.steps > maxSteps {
			w.failf("endless", "%d events, and no end", w.steps)
		}
	}
}

// fail ends the run: the first thing that is wrong is the one to look at.
func (w *World) failf(check, format string, args ...any) {
	if w.failure != "" {
		return
	}
	w.failure = check + ": " + fmt.Sprintf(format, args...)
	w.tracef("-", "WRONG", "%s", w.failure)
}

// between returns a duration from low to high.
func (w *World) between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return low + time.Duration(w.rng.Int64N(int64(high-low)))
}

// chance is true once in n times.
func (w *World) chance(n int) bool { return w.rng.IntN(n) == 0 }

// id returns a number that is never given twice.
func (w *World) id() uint64 {
	w.ids++
	return w.ids
}

// node returns the node of a name, or nil.
func (w *World) node(name ring.NodeName) *node {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	return nil
}

// epoch0 is the time of the beginning on the clocks of nodes.
var epoch0 = time.Unix(1_700_000_000, 0).UTC()

// clock returns the time that timers go by. It never steps.
func (w *World) clock() time.Time { return epoch0.Add(w.now) }

// founders starts the first nodes, on the first ring.
func (w *World) founders() error {
	var members []ring.Member
	for range w.scenario.Nodes {
		n := w.newNode()
		n.begins()
		members = append(members, n.member())
	}
	first, err := ring.New("sim", w.scenario.Size, replicas, members...)
	if err != nil {
		return err
	}
	w.ledger.published(w, first)
	w.store.document = document{ring: first, version: 1}
	for _, n := range w.nodes {
		w.store.register(n.name, n.life)
		n.boot(first)
	}
	return nil
}

func (w *World) nextLife() uint64 {
	w.lives++
	return w.lives
}
