package actors

import (
	"sync/atomic"

	"github.com/torc-io/torc/ring"
)

// view is all that a request needs to know of the cluster: the ring, and who of
// it can be reached. It is replaced as a whole when a ring is adopted, and read
// from an atomic pointer, so a request sees one ring from beginning to end.
type view struct {
	ring  *ring.Ring
	self  ring.NodeName
	peers map[ring.NodeName]*peer
	// residents are the names of the other members, by address.
	residents map[string]string
	// replaced is closed when the node has adopted a newer ring.
	replaced chan struct{}
	// reachable is v.canReach as a value made once, for the hot path.
	reachable func(ring.NodeName) bool
}

// peer is another member as this node sees it. It outlives views: its liveness
// and its load belong to the process there, not to a ring.
type peer struct {
	name    ring.NodeName
	address string
	// alive is set by the heartbeat loop alone.
	alive atomic.Bool
	// epoch is that of the ring it was last heard to have, and handoff where it
	// takes handoffs.
	epoch   atomic.Uint64
	handoff atomic.Pointer[string]
	// pending counts the commands sent to it that neither were answered nor
	// gave up waiting.
	pending atomic.Int64
}

// newView builds the view of r, and keeps the peers of old that are still
// members at the same address.
func newView(r *ring.Ring, self ring.NodeName, old *view) *view {
	v := &view{ring: r, self: self, peers: make(map[ring.NodeName]*peer), replaced: make(chan struct{})}
	v.residents = residents(r.Members(), self)
	for _, m := range r.Members() {
		if m.Name == self {
			continue
		}
		v.peers[m.Name] = &peer{name: m.Name, address: m.Address}
		if old == nil {
			continue
		}
		if known, ok := old.peers[m.Name]; ok && known.address == m.Address {
			v.peers[m.Name] = known
		}
	}
	v.reachable = v.canReach
	return v
}

// canReach says whether requests may be sent to a member right now.
func (v *view) canReach(name ring.NodeName) bool {
	if name == v.self {
		return true
	}
	p, ok := v.peers[name]
	return ok && p.alive.Load()
}

// residents returns who lives where: names by address, without self. If two claim
// an address, it is that of the newer process, for two cannot listen there: the
// other one has stopped, and keeps its entry until somebody removes it.
func residents(members []ring.Member, self ring.NodeName) map[string]string {
	names := make(map[string]string, len(members))
	newest := make(map[string]uint64, len(members))
	for _, m := range members {
		if m.Name == self || m.Incarnation < newest[m.Address] {
			continue
		}
		names[m.Address], newest[m.Address] = string(m.Name), m.Incarnation
	}
	return names
}
