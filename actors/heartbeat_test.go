package actors_test

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/ring"
)

// deaf is a transport that does not tell of connections that end.
type deaf struct{ actors.Transport }

func (d deaf) Start(system *actor.ActorSystem, p actors.Policy) (address string, err error) {
	p.Broken = nil
	return d.Transport.Start(system, p)
}

// TestRestartAtAnotherAddress: a member that is back before anybody has missed it,
// elsewhere, is reached there.
func TestRestartAtAnotherAddress(t *testing.T) {
	quick := func(_ ring.NodeName, t actors.Transport) actors.Transport { return deaf{t} }
	inWorld(t, setup{quorum: actors.Quorum{N: 2}, wire: quick}, "ab", func(w *world) {
		w.stop("b")
		w.wire = func(ring.NodeName, actors.Transport) actors.Transport { return w.Transport("elsewhere") }
		w.start("b", 1)
		elapse(time.Second)
		if a, b := w.node("a").Reachable("b"), w.node("b").Reachable("a"); !a || !b {
			t.Errorf("a reaches b: %v, b reaches a: %v", a, b)
		}
	})
}
