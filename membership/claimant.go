package membership

import (
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/torc-io/torc/ring"
)

// The timing of automatic changes of the ring.
const (
	// SettleAfter is how long the claimant waits after the last node that came,
	// so that nodes started together are planned in together, with fewer moves.
	SettleAfter = 5 * time.Second
	// DefaultEvictAfter is how long a member must be gone before its partitions
	// are planned elsewhere: longer than a restart, an upgrade or a bad cable.
	DefaultEvictAfter = 10 * time.Minute
)

// Claimant decides which changes of the ring are due without an operator. Like
// [Detector] it is a plain value with time passed in. All nodes may run one, but
// only the node that holds the claimant lock should publish what it says, and
// compare-and-set makes that safe even if two believe they hold it.
type Claimant struct {
	// EvictAfter is how long a member must be missing to be marked down; 0 means
	// never.
	EvictAfter time.Duration

	arrived map[ring.NodeName]time.Time // waiting to be planned in, since
	missing map[ring.NodeName]time.Time // gone from the store and unreachable, since
}

// Sight is what a claimant sees of the cluster at one moment.
type Sight struct {
	Ring *ring.Ring
	// Nodes are those in the membership store, which answered just now: in an
	// outage of the store the claimant is not asked.
	Nodes []Node
	// Reachable is the failure detector's opinion.
	Reachable func(ring.NodeName) bool
}

// Decide returns the changes that are due, in order of names.
//
//   - A joining member that is registered and reachable becomes valid once
//     nobody else has come for [SettleAfter]; so does one that was given up for
//     down and is back.
//   - An exiting member whose node has gone is removed.
//   - A member that owns partitions, and is neither healthy in the store nor
//     reachable for EvictAfter, is marked down.
func (c *Claimant) Decide(now time.Time, s Sight) []ring.Change {
	healthy := map[ring.NodeName]bool{}
	for _, n := range s.Nodes {
		healthy[ring.NodeName(n.Name)] = n.Healthy
	}
	arrived, missing := c.arrived, c.missing
	c.arrived, c.missing = map[ring.NodeName]time.Time{}, map[ring.NodeName]time.Time{}
	var changes []ring.Change
	for _, m := range s.Ring.Members() {
		_, registered := healthy[m.Name]
		switch {
		case m.Status == ring.Exiting && !registered:
			changes = append(changes, ring.Remove(m.Name))
		case m.Status.MayOwn() && !healthy[m.Name] && !s.Reachable(m.Name):
			c.missing[m.Name] = since(missing, m.Name, now)
		case waits(m.Status) && healthy[m.Name] && s.Reachable(m.Name):
			c.arrived[m.Name] = since(arrived, m.Name, now)
		}
	}
	changes = append(changes, c.evictions(now)...)
	return append(changes, c.joins(now, s.Ring)...)
}

// waits says whether a member of that status is to be planned in when it is there.
func waits(s ring.Status) bool { return s == ring.Joining || s == ring.Down }

// since returns when a member was first seen in its condition: now, if only now.
func since(seen map[ring.NodeName]time.Time, name ring.NodeName, now time.Time) time.Time {
	if first, ok := seen[name]; ok {
		return first
	}
	return now
}

// sorted iterates over a map in the order of its keys, so that the same sight
// leads to the same changes.
func sorted(m map[ring.NodeName]time.Time) iter.Seq2[ring.NodeName, time.Time] {
	return func(yield func(ring.NodeName, time.Time) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}

func (c *Claimant) evictions(now time.Time) (changes []ring.Change) {
	if c.EvictAfter == 0 {
		return nil
	}
	for name, first := range sorted(c.missing) {
		if now.Sub(first) >= c.EvictAfter {
			changes = append(changes, ring.MarkDown(name))
		}
	}
	return changes
}

// joins plans in all that have arrived, or none: each plan moves partitions, and
// one plan for three nodes moves fewer than three plans.
func (c *Claimant) joins(now time.Time, r *ring.Ring) (changes []ring.Change) {
	for name, first := range sorted(c.arrived) {
		if now.Sub(first) < SettleAfter {
			return nil
		}
		m, _ := r.Member(name)
		changes = append(changes, ring.Join(m))
	}
	return changes
}
