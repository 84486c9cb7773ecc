package handoff

import "github.com/torc-io/torc/ring"

// Source is a vnode that a recovering one hears from: that of a neighbouring
// partition, on the node that owns it.
type Source struct {
	Partition ring.Partition
	Node      ring.NodeName
}

// Sources returns all vnodes that may hold items of the vnode of p, for a service
// with n replicas: those of p-n+1 … p+n-1. Both neighbours would not do. With
// W=2 of 3 a key of partition p-2 may be on p-2 and p alone (riak_core's repair
// asks p-1 and p+1, which hold it all only when every write has reached all).
func Sources(r *ring.Ring, p ring.Partition, n int) []Source {
	size := r.Size()
	reach := min(n-1, (size-1)/2)
	var sources []Source
	for distance := 1; distance <= reach; distance++ {
		for _, q := range []int{int(p) + size - distance, int(p) + distance} {
			neighbour := ring.Partition(q % size)
			if owner := r.Owner(neighbour); owner != "" {
				sources = append(sources, Source{neighbour, owner})
			}
		}
	}
	if size%2 == 0 && n-1 >= size/2 { // the one opposite, from both sides
		opposite := ring.Partition((int(p) + size/2) % size)
		if owner := r.Owner(opposite); owner != "" {
			sources = append(sources, Source{opposite, owner})
		}
	}
	return sources
}

// Holds says whether the vnode of p is in the preference list of n of a key whose
// own partition is home, on a ring of that size.
func Holds(p, home ring.Partition, n, size int) bool {
	return (int(p)-int(home)+size)%size < n
}
