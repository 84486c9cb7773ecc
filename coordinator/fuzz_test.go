package coordinator_test

import (
	"testing"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/ring"
)

// FuzzReplies plays bytes as events, three each, against the model: whatever a
// network delivers, no request panics, counts twice, or stays open.
func FuzzReplies(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 9, 1})                            // two acknowledgements
	f.Add([]byte{0, 8, 5, 0, 24, 5, 0, 32, 1})                 // refused, refused, acknowledged
	f.Add([]byte{1, 0, 0, 0, 0, 1, 2, 0, 0, 0, 9, 2})          // lost, late, back up
	f.Add([]byte{0, 255, 255, 0, 127, 6, 3, 1, 1, 0, 17, 130}) // nonsense
	owners := letters("abcdefab")
	f.Fuzz(func(t *testing.T, events []byte) {
		for kind := coordinator.Read; kind <= coordinator.Write; kind++ {
			m := newModel(coordinator.Config{
				Ring: ringOf(t, owners...), Partition: 6, Kind: kind,
				Quorum: coordinator.Quorum{N: 3, Need: 2, Nodes: 2},
			})
			if err := playBytes(m, events); err != nil {
				t.Fatalf("%v\n%s", err, &m.request)
			}
		}
	})
}

// playBytes reads an event as: what, partition and node, outcome and role.
func playBytes(m *model, events []byte) error {
	if err := m.start(); err != nil {
		return err
	}
	for ; len(events) >= 3; events = events[3:] {
		node := nodeNames[int(events[1]/8)%len(nodeNames)]
		var err error
		switch events[0] % 4 {
		case 1:
			err = m.nodeDown(node)
		case 2:
			m.down[node] = false
		default:
			from := ring.Target{Partition: ring.Partition(events[1]%8+6) % 9, Node: node, Fallback: events[2] > 127}
			err = m.reply(from, coordinator.Outcome(events[2]%8))
		}
		if err != nil {
			return err
		}
	}
	return m.expire()
}
