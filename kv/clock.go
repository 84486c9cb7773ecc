package kv

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	kvpb "github.com/torc-io/torc/proto/torc/kv/v1"
)

// MaxDrift is how far a version may be ahead of the clock of the node that
// looks at it. Clocks that a time service keeps agree within a fraction of a
// second, so a minute is never reached by a healthy cluster, and a clock that
// jumps is noticed. It is also the longest time for which the writes of a clock
// that is ahead, but not refused, can win over later ones of the others.
const MaxDrift = time.Minute

// errDrift is what a version too far ahead of the local clock is refused with.
var errDrift = errors.New("version is too far ahead of the local clock")

// clock is a hybrid logical clock (Kulkarni, Demirbas, Madappa, Avva and Leone,
// Logical Physical Clocks, 2014, figure 5). It gives versions that are near to
// the physical time, and that grow even if the physical time stands still or
// goes back: the version of a write is greater than that of any write that its
// writer had seen. Its methods may be called from any goroutine.
//
// # A clock that is wrong
//
// The physical clocks decide only between writes that did not know of each
// other. A node that goes behind loses such races, until it observes a version
// of the others. A node that goes ahead wins them, by at most [MaxDrift]:
// beyond that, Observe refuses its versions, so that they do not pull the
// clocks of the others along. The replica that refuses to observe a version
// must refuse the write too. The write then misses its quorum, and its error
// names the clock that is ahead.
//
// The replica on the writer's own node takes such a write, for it has the same
// clock. The key then has a value there that no quorum acknowledged, and that
// later writes of the others do not replace. It comes out when the clocks of
// the others are within MaxDrift of it: read repair spreads it then, and a write
// after that replaces it. A node whose clock was put right while it was ahead
// goes on from the versions it gave (a clock never goes back), and is refused
// until the time has caught up, or until it restarts.
//
// Items of a handoff must be merged whatever their version: they were accepted
// once, and to refuse them would lose them.
type clock struct {
	writer string
	now    func() time.Time

	mu      sync.Mutex
	wall    int64 // wall and logical are the greatest that was given or observed
	logical uint32
}

// newClock returns a clock that gives versions of writer, the name of a node,
// and that takes the physical time from now.
func newClock(writer string, now func() time.Time) *clock {
	return &clock{writer: writer, now: now}
}

// Now returns a version greater than any that Now returned before or that
// Observe accepted.
func (c *clock) Now() *kvpb.Version {
	physical := c.now().UnixNano()
	c.mu.Lock()
	c.tick(physical)
	version := &kvpb.Version{Wall: c.wall, Logical: c.logical, Writer: c.writer}
	c.mu.Unlock()
	return version
}

// tick moves the clock on to the physical time, or past its last reading if
// the physical time is not ahead of that. It holds the lock.
func (c *clock) tick(physical int64) {
	switch {
	case physical > c.wall:
		c.wall, c.logical = physical, 0
	case c.logical == math.MaxUint32: // no room in this nanosecond
		c.wall, c.logical = c.wall+1, 0
	default:
		c.logical++
	}
}

// Observe makes the versions that Now will return greater than v. It refuses,
// and changes nothing, if v is more than [MaxDrift] ahead of the physical time.
// The error holds errDrift and names the writer. A nil version is no news.
func (c *clock) Observe(v *kvpb.Version) error {
	physical := c.now()
	if limit := physical.Add(MaxDrift).UnixNano(); v.GetWall() > limit {
		ahead := time.Unix(0, v.GetWall()).Sub(physical)
		return fmt.Errorf("%w: that of %q by %v, allowed are %v: is its clock right, or ours?",
			errDrift, v.GetWriter(), ahead.Round(time.Millisecond), MaxDrift)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if v.GetWall() > c.wall || v.GetWall() == c.wall && v.GetLogical() > c.logical {
		c.wall, c.logical = v.GetWall(), v.GetLogical()
	}
	return nil
}

// compare orders versions by wall, then logical, then writer: negative if a is
// older than b, zero if they are equal, positive if a is newer. Nil, the version
// of what was never written, is older than any other.
func compare(a, b *kvpb.Version) int {
	if a == nil || b == nil {
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	}
	return cmp.Or(
		cmp.Compare(a.GetWall(), b.GetWall()),
		cmp.Compare(a.GetLogical(), b.GetLogical()),
		cmp.Compare(a.GetWriter(), b.GetWriter()),
	)
}

// btoi is 0 for false and 1 for true, to compare by.
func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
