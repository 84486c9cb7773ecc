package coordinator

import "github.com/torc-io/torc/ring"

// goOn sends position i, which nobody has answered, to its next node, if there
// is one and it is of use. An answered read has nothing to gain from a
// stand-in; an answered write has: a third copy.
func (r *Request) goOn(i int) {
	if r.phase == satisfied && r.cfg.Kind == Read || r.tries(i) >= MaxTries {
		return
	}
	if t, ok := r.next(i); ok {
		r.ask(i, t)
	}
}

// next returns who stands in for position i: the first reachable node along the
// ring that is not in this request, or else one that is, and still good.
//
// riak_core does not skip the nodes in the list: with 3 of 8 nodes down, a
// third of its lists have two replicas on one node.
func (r *Request) next(i int) (ring.Target, bool) {
	reachable := r.cfg.Reachable
	node, ok := r.cfg.Ring.Fallback(r.cfg.Partition, r.cfg.Quorum.N, func(n ring.NodeName) bool {
		return r.asked(n) || !reachable(n)
	})
	if !ok {
		node, ok = r.cfg.Ring.Fallback(r.cfg.Partition, r.cfg.Quorum.N, func(n ring.NodeName) bool {
			return r.find(i, n) >= 0 || r.spent(n) || !reachable(n)
		})
	}
	home := r.partition(i)
	return ring.Target{Partition: home, Node: node, Fallback: node != r.cfg.Ring.Owner(home)}, ok
}

// tries returns how many nodes a position has asked.
func (r *Request) tries(i int) (n int) {
	for k := range r.sends[:r.sent] {
		if r.sends[k].Position == i {
			n++
		}
	}
	return n
}

// asked reports whether a node has been asked for any position.
func (r *Request) asked(node ring.NodeName) bool {
	for k := range r.sends[:r.sent] {
		if r.sends[k].Node == node {
			return true
		}
	}
	return false
}

// spent reports whether a node has shown that it does not serve this request.
func (r *Request) spent(node ring.NodeName) bool {
	for k := range r.sends[:r.sent] {
		if r.sends[k].Node == node && r.fates[k].spent() {
			return true
		}
	}
	return false
}
