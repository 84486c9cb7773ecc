package handoff

import "github.com/torc-io/torc/ring"

// Place is what a node knows about a partition when a command for it arrives.
type Place struct {
	Owned     bool       // the node owns the partition, by the ring it uses
	Epoch     ring.Epoch // of that ring
	Vnode     bool       // there is a vnode, of the owner or of a stand-in
	Moving    bool       // the partition is about to change its owner
	Undecided bool       // nobody knows whether it has
}

// Call is what a command says about itself.
type Call struct {
	Read      bool
	Fallback  bool       // its coordinator takes the node for a stand-in
	Forwarded bool       // a former owner has passed it on
	Epoch     ring.Epoch // of the coordinator's ring
}

// Route is what becomes of a command at a node.
type Route uint8

// The routes.
const (
	Deliver Route = iota // to the vnode, which is opened if there is none
	Hold                 // until the partition has changed its owner, or not
	CatchUp              // wait for the ring that the coordinator knows, and look again
	PassOn               // to the owner, who answers the coordinator
	Refuse               // not here: the coordinator goes on to another node
	Nothing              // a stand-in that has no vnode has nothing to read
)

// At decides what becomes of a command. An empty vnode must never speak for a
// partition that lives elsewhere: only the owner, and a stand-in that takes a
// write, open one. What an open vnode then answers, its [Standing] decides.
func (c Call) At(p Place) Route {
	switch {
	case p.Moving && p.Undecided:
		return Refuse
	case p.Moving:
		return Hold
	case p.Owned:
		return Deliver
	case c.Fallback && c.Read && !p.Vnode:
		return Nothing
	case c.Fallback:
		return Deliver
	case c.Epoch > p.Epoch:
		return CatchUp
	case c.Forwarded:
		return Refuse // two former owners must not play ball
	}
	return PassOn
}
