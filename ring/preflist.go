package ring

import "slices"

// Target is one position of a preference list: the node that serves it, and
// the partition it serves it for.
type Target struct {
	Partition Partition // the home partition, also when a fallback serves it
	Node      NodeName  // "" if nobody owns the partition
	Fallback  bool      // Node stands in for the unreachable owner of Partition
}

// buildTargets lays the ring out twice in a row, so that every preference list,
// around the end too, is a sub-slice of one table.
func buildTargets(owners []NodeName) []Target {
	targets := make([]Target, 2*len(owners))
	for i := range targets {
		p := i % len(owners)
		targets[i] = Target{Partition: Partition(p), Node: owners[p]}
	}
	return targets
}

// PreferenceList returns the primaries of the keys of partition p: the
// partitions p, p+1, … p+n-1 (mod Q), each with its owner (Dynamo, section 4.3;
// riak_core_apl:get_primary_apl). A larger n than Q means Q. The list is empty
// if n < 1 or the ring has no partition p.
//
// The slice is part of the ring: it costs no allocation, and must not be changed.
func (r *Ring) PreferenceList(p Partition, n int) []Target {
	start := int(p)
	if n < 1 || start >= r.Size() {
		return nil
	}
	end := start + min(n, r.Size())
	return r.targets[start:end:end]
}

// ReachableList returns the preference list with a fallback in the place of
// each unreachable primary: the next reachable node, walking on along the ring
// from the list's end, that is not in the list yet (Dynamo, section 4.6). The
// fallback serves under the home partition, at the primary's index.
//
// A node is repeated only if fewer than n nodes are reachable, and then the
// ones that serve least often come first. (riak_core_apl repeats nodes without
// need: it does not look who is in the list already.) If nobody is reachable
// the primaries are returned as they are, so that the caller can name them.
//
// The slice must not be changed: it is PreferenceList's if all are reachable.
func (r *Ring) ReachableList(p Partition, n int, reachable func(NodeName) bool) []Target {
	primaries := r.PreferenceList(p, n)
	for _, t := range primaries {
		if t.Node == "" || !reachable(t.Node) {
			return r.standIns(primaries, reachable)
		}
	}
	return primaries
}

// standIns returns a copy of the primaries with fallbacks in the places of those
// that cannot serve. It walks along the ring once: whoever it passed over is
// unreachable, or in the list.
func (r *Ring) standIns(primaries []Target, reachable func(NodeName) bool) []Target {
	list := slices.Clone(primaries)
	var vacant []int
	var serving []NodeName
	for i, t := range list {
		if t.Node == "" || !reachable(t.Node) {
			vacant = append(vacant, i)
		} else {
			serving = append(serving, t.Node)
		}
	}
	walk := r.beyond(primaries)
	for _, i := range vacant {
		var node NodeName
		if node, walk = firstNew(walk, serving, reachable); node == "" {
			node = leastServing(serving)
		}
		if node != "" {
			list[i].Node, list[i].Fallback = node, true
			serving = append(serving, node)
		}
	}
	return list
}

// beyond returns the partitions after a preference list, once around the ring.
func (r *Ring) beyond(primaries []Target) []Target {
	start := int(primaries[0].Partition) + len(primaries)
	return r.targets[start : start+r.Size()-len(primaries)]
}

// firstNew walks to the first reachable node that is not serving yet, and
// returns it with the rest of the walk. It is "" if there is none.
func firstNew(walk []Target, serving []NodeName, reachable func(NodeName) bool) (NodeName, []Target) {
	for i, t := range walk {
		if t.Node != "" && !slices.Contains(serving, t.Node) && reachable(t.Node) {
			return t.Node, walk[i+1:]
		}
	}
	return "", nil
}

// leastServing returns the node that serves the fewest positions, the first of
// several, or "" if nobody serves.
func leastServing(serving []NodeName) (least NodeName) {
	times := map[NodeName]int{}
	for _, node := range serving {
		times[node]++
	}
	for _, node := range serving {
		if least == "" || times[node] < times[least] {
			least = node
		}
	}
	return least
}

// Fallback returns the next candidate to serve a position of the list of n at
// p: walking on along the ring from the list's end, the first node that is not
// taken, and whether there is one. The caller uses it when a target refuses
// after the list was made; taken names those in the list and those that failed.
func (r *Ring) Fallback(p Partition, n int, taken func(NodeName) bool) (NodeName, bool) {
	primaries := r.PreferenceList(p, n)
	if len(primaries) == 0 {
		return "", false
	}
	start := int(primaries[0].Partition) + len(primaries)
	for i := range r.Size() {
		node := r.state.Owners[(start+i)%r.Size()]
		if node != "" && !taken(node) {
			return node, true
		}
	}
	return "", false
}
