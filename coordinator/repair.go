package coordinator

import "github.com/torc-io/torc/ring"

// Repairs returns what a read must write back, once it is closed: a Send of the
// resolved value for each position whose answer was another one. It is empty for
// any other request. Same tells whether the answer that a position gave equals
// the resolved value; it is called for answered positions only, once each, and
// NotFound is the same as a resolved value of nothing. Replicas that are equal
// so cause no write.
//
// A fallback that answered with an old value is repaired too, as it will hand
// that value off. A fallback that had nothing gave no answer and is left alone:
// writing to it would make every read during an outage a hint (riak_kv issue
// 1845). So is a recovering vnode, which pulls what it lacks by itself.
//
// The result stays unchanged until the next Init or Repairs.
func (r *Request) Repairs(same func(position int) bool) []Send {
	if r.phase != closed || r.answer != Met || r.cfg.Kind != Read {
		return nil
	}
	end := r.sent
	for i := range r.cfg.Quorum.N {
		if s := &r.seats[i]; s.state >= doubted && !same(i) {
			r.sends[end] = Send{Position: i, Target: ring.Target{
				Partition: r.partition(i), Node: s.node, Fallback: s.fallback,
			}}
			end++
		}
	}
	return r.sends[r.sent:end:end]
}
