package sim

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// mutants are drivers that are wrong in one way. The simulation proves something
// only if it notices each of them.
var mutants = []struct {
	name  string
	hooks func() hooks // a new one for each run
}{
	{"skip a dirty key", func() hooks {
		n := 0
		return hooks{skipDirtyKey: func(string) bool { n++; return n%2 == 0 }}
	}},
	{"drop before commit", func() hooks { return hooks{dropEarly: true} }},
	{"count a duplicate ack", func() hooks { return hooks{countTwice: countTwice} }},
	{"serve with an old epoch", func() hooks { return hooks{serveAnyway: serveAnyway} }},
	{"forget a fallback", func() hooks { return hooks{forgetFallback: true} }},
	{"answer a read while recovering", func() hooks { return hooks{answerAnyway: true} }},
	{"resume from a wrong cursor", func() hooks {
		return hooks{wrongCursor: func(next uint64) uint64 {
			if next > 1 {
				next++
			}
			return next
		}}
	}},
	{"lose a hint on restart", func() hooks { return hooks{loseHints: true} }},
	{"two claimants", func() hooks { return hooks{blindClaimant: true} }},
	{"accept a stale done message", func() hooks { return hooks{staleDone: true} }},
}

// countTwice takes a reply that came again for that of a position which is open.
func countTwice(r *request, a *reply) (position int, counted bool, step coordinator.Step) {
	if a.outcome != coordinator.Acked {
		return -1, false, coordinator.Step{}
	}
	first := int(r.ring.Partition([]byte(r.key)))
	for i := range r.quorum.N {
		if r.replies[i] == nil {
			p := ring.Partition((first + i) % r.ring.Size())
			return r.machine.Reply(ring.Target{Partition: p, Node: a.node}, a.outcome)
		}
	}
	return -1, false, coordinator.Step{}
}

// serveAnyway has a former owner go on as if nothing had happened.
func serveAnyway(r handoff.Route, _ handoff.Call, p handoff.Place) handoff.Route {
	if (r == handoff.PassOn || r == handoff.CatchUp) && p.Vnode {
		return handoff.Deliver
	}
	return r
}

// mutantSeeds is within how many seeds a mutant must be caught.
const mutantSeeds = 1000

func TestMutantsAreCaught(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			seed, failure := firstFailure(mutantSeeds, m.hooks)
			if failure == "" {
				t.Fatalf("not noticed in %d seeds", mutantSeeds)
			}
			t.Logf("seed %d: %s", seed, failure)
		})
	}
}

// firstFailure runs seeds on all cores until one fails.
func firstFailure(seeds uint64, h func() hooks) (seed uint64, failure string) {
	var next atomic.Uint64
	var stop atomic.Bool
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for !stop.Load() {
				s := next.Add(1)
				if s > seeds {
					return
				}
				if r := run(NewScenario(s), nil, h()); r.Failure != "" {
					stop.Store(true)
					mu.Lock()
					if failure == "" || s < seed {
						seed, failure = s, r.Failure
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return seed, failure
}
