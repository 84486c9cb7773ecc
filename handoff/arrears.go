package handoff

import (
	"slices"

	"github.com/torc-io/torc/ring"
)

// Arrears are the writes to a node's partitions that others hold, since they
// stood in for it. A vnode with arrears is catching up: its reads do not count.
// The zero value has none.
type Arrears struct {
	by []debtor
}

// debtor is a node, and the partitions for which it holds writes.
type debtor struct {
	node ring.NodeName
	held []ring.Partition
}

// Tell takes what a node says that it holds: all of it, each time. It returns the
// partitions about which that may have changed something.
func (a *Arrears) Tell(node ring.NodeName, held []ring.Partition) (concerned []ring.Partition) {
	i := slices.IndexFunc(a.by, func(d debtor) bool { return d.node == node })
	switch {
	case i < 0 && len(held) == 0:
		return nil
	case i < 0:
		a.by = append(a.by, debtor{node, slices.Clone(held)})
		return slices.Clone(held)
	}
	concerned = slices.Concat(a.by[i].held, held)
	if len(held) == 0 {
		a.by = slices.Delete(a.by, i, i+1)
	} else {
		a.by[i].held = slices.Clone(held)
	}
	return concerned
}

// Keep forgets what was told by nodes that are not members any more: a node that
// has left has returned everything, and its last word on that may have been lost
// with its connection. It returns the partitions that this concerns.
func (a *Arrears) Keep(isMember func(ring.NodeName) bool) (concerned []ring.Partition) {
	for _, d := range slices.Clone(a.by) {
		if !isMember(d.node) {
			concerned = append(concerned, a.Tell(d.node, nil)...)
		}
	}
	return concerned
}

// Behind says whether somebody holds writes for a partition.
func (a *Arrears) Behind(p ring.Partition) bool {
	return slices.ContainsFunc(a.by, func(d debtor) bool { return slices.Contains(d.held, p) })
}
