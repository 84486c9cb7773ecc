package coordinator_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/ring"
)

// rounds of rapid's 100 checks each: rare paths, such as a withdrawn send, turn
// up in some hundreds. Use -rapid.checks for a long search.
const rounds = 10

// Any sequence of events keeps the rules that the model states.
func TestRandomDialogues(t *testing.T) {
	for range rounds {
		rapid.Check(t, func(rt *rapid.T) { randomDialogue(t, rt) })
	}
}

func randomDialogue(t *testing.T, rt *rapid.T) {
	m := drawModel(t, rt)
	check := func(err error) {
		if err != nil {
			rt.Fatalf("%v\n%s", err, &m.request)
		}
	}
	check(m.start())
	for range rapid.IntRange(0, 40).Draw(rt, "events") {
		check(m.event(rt))
	}
	check(m.expire())
	same := rapid.SliceOfN(rapid.Bool(), ring.MaxN, ring.MaxN).Draw(rt, "same")
	check(m.repairs(func(i int) bool { return same[i] }))
	check(m.event(rt))
}

var nodeNames = letters("abcdef")

// drawModel draws a ring, the nodes that are down, and a valid quorum.
func drawModel(t *testing.T, rt *rapid.T) *model {
	names := nodeNames[:rapid.IntRange(1, len(nodeNames)).Draw(rt, "members")]
	size := rapid.IntRange(1, 12).Draw(rt, "size")
	owners := rapid.SliceOfN(rapid.SampledFrom(names), size, size).Draw(rt, "owners")
	n := rapid.IntRange(1, min(size, 6)).Draw(rt, "n")
	m := newModel(coordinator.Config{
		Ring:      ringOf(t, owners...),
		Partition: ring.Partition(rapid.IntRange(0, size-1).Draw(rt, "p")),
		Kind:      coordinator.Kind(rapid.IntRange(0, 1).Draw(rt, "kind")),
		Quorum: coordinator.Quorum{
			N:         n,
			Need:      rapid.IntRange(1, n).Draw(rt, "need"),
			Primaries: rapid.IntRange(0, n).Draw(rt, "primaries"),
			Nodes:     rapid.IntRange(0, n).Draw(rt, "nodes"),
		},
	})
	for _, node := range names {
		m.down[node] = rapid.IntRange(0, 4).Draw(rt, "down") == 0
	}
	return m
}

// event draws and plays one event, most often the reply of a vnode that was
// asked.
func (m *model) event(rt *rapid.T) error {
	node := rapid.SampledFrom(nodeNames).Draw(rt, "node")
	switch rapid.IntRange(0, 9).Draw(rt, "event") {
	case 0:
		return m.nodeDown(node)
	case 1:
		m.down[node] = false
		return nil
	case 2:
		p := ring.Partition(rapid.IntRange(0, m.cfg.Ring.Size()+1).Draw(rt, "partition"))
		return m.reply(ring.Target{Partition: p, Node: node, Fallback: rapid.Bool().Draw(rt, "fallback")}, drawOutcome(rt))
	}
	i := rapid.IntRange(0, m.cfg.Quorum.N-1).Draw(rt, "position")
	if len(m.asked[i]) == 0 {
		return nil
	}
	v := rapid.SampledFrom(m.asked[i]).Draw(rt, "vnode")
	home := ring.Partition((int(m.cfg.Partition) + i) % m.cfg.Ring.Size())
	return m.reply(ring.Target{Partition: home, Node: v.node}, drawOutcome(rt))
}

func drawOutcome(rt *rapid.T) coordinator.Outcome {
	return coordinator.Outcome(rapid.IntRange(int(coordinator.Unknown), int(coordinator.Lost)).Draw(rt, "outcome"))
}
