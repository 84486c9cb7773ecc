package handoff

import "github.com/torc-io/torc/ring"

// Report is what a vnode tells about itself whenever it changes, for those who look
// at many of them.
type Report struct {
	Owner   bool
	Needs   []Source   // from which it recovers; empty if it is whole
	Owes    bool       // it holds something for the owner
	Useless bool       // it holds nothing that anybody needs
	Yielded ring.Epoch // when the node was known not to own the partition any more; 0 if it never did
}

// Report returns what the vnode is now.
func (s *Standing) Report() Report {
	return Report{Owner: s.Owner(), Needs: s.Needs(), Owes: s.Owes(), Useless: s.Useless(), Yielded: s.yielded}
}

// Concerns says whether the vnode of partition p has to hear of a ring: if the
// partition or its transfer is another than by the ring before, or if the vnode
// recovers, since its sources may have changed.
func (r Report) Concerns(p ring.Partition, before, after *ring.Ring) bool {
	was, moved := before.Transfer(p)
	is, moves := after.Transfer(p)
	return before.Owner(p) != after.Owner(p) || was != is || moved != moves || len(r.Needs) > 0
}

// Ends says whether a vnode may end: nobody needs what it holds, and each member that
// can be reached knows by the epoch that seen is that its partition has moved away.
func (r Report) Ends(seen ring.Epoch) bool { return r.Useless && r.Yielded <= seen }
