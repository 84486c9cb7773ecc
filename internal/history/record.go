package history

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"sort"
	"time"
)

// Record is a history that is over, for the checkers to read.
type Record struct {
	ops     []Op // by key; its writes and deletes first, then its reads; each by their beginnings
	phases  []Phase
	reasons []string
}

// NewRecord makes a record of operations, whose slice it takes over. The error
// says where they break the rules on which the checkers rest: versions of a key
// grow, and its next write begins when the one before has ended.
func NewRecord(ops []Op, phases ...Phase) (*Record, error) {
	slices.SortFunc(ops, func(a, b Op) int {
		return cmp.Or(
			cmp.Compare(a.Key, b.Key),
			cmp.Compare(a.Kind.rank(), b.Kind.rank()),
			cmp.Compare(a.Begin, b.Begin),
		)
	})
	r := &Record{ops: ops, phases: phases}
	for s := range r.stories() {
		if err := s.check(); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Why returns the reason of an operation that was not OK, "" if none is known.
func (r *Record) Why(o Op) string {
	if o.why == 0 {
		return ""
	}
	return r.reasons[o.why-1]
}

// story is all that happened to one key.
type story struct {
	writes  []Op // and deletes, in the order of their versions, which is that of time
	acks    []Op // those of them that were acknowledged
	deletes []Op // those of the acknowledged that are deletes
	reads   []Op // that returned, by their beginnings, with final ones
}

// stories returns the story of each key.
func (r *Record) stories() iter.Seq[story] {
	return func(yield func(story) bool) {
		for left := r.ops; len(left) > 0; {
			n := sort.Search(len(left), func(i int) bool { return left[i].Key > left[0].Key })
			if !yield(tell(left[:n])) {
				return
			}
			left = left[n:]
		}
	}
}

// tell makes the story of the operations on one key.
func tell(ops []Op) (s story) {
	n := sort.Search(len(ops), func(i int) bool { return ops[i].Kind.reads() })
	s.writes = ops[:n]
	for _, w := range s.writes {
		if w.Outcome != OK {
			continue
		}
		s.acks = append(s.acks, w)
		if w.Kind == Delete {
			s.deletes = append(s.deletes, w)
		}
	}
	for _, r := range ops[n:] {
		if r.Outcome == OK {
			s.reads = append(s.reads, r)
		}
	}
	return s
}

// check says how the operations break the rules of the recorder.
func (s story) check() error {
	for i, w := range s.writes {
		switch {
		case w.Version == Nothing || w.Version == Foreign:
			return fmt.Errorf("history: %v: %v: that is no version to write", w.Key, w)
		case i > 0 && (w.Version <= s.writes[i-1].Version || w.Begin < s.writes[i-1].End):
			return fmt.Errorf("history: %v: %v is not after %v", w.Key, w, s.writes[i-1])
		}
	}
	return nil
}

// lastBefore returns the last of some operations, in their order, that had ended
// before a time; without one, an operation of version Nothing.
func lastBefore(ops []Op, t time.Duration) Op {
	n := sort.Search(len(ops), func(i int) bool { return ops[i].End >= t })
	if n == 0 {
		return Op{}
	}
	return ops[n-1]
}

// write returns the write or delete of a version.
func (s story) write(v Version) (Op, bool) {
	i, found := slices.BinarySearchFunc(s.writes, v, func(w Op, v Version) int { return cmp.Compare(w.Version, v) })
	if !found {
		return Op{}, false
	}
	return s.writes[i], true
}

// outdated returns the last write that was acknowledged when a read began, and
// whether what the read returned is certainly older.
func (s story) outdated(r Op) (last Op, is bool) {
	last = lastBefore(s.acks, r.Begin)
	if r.Version == Nothing {
		return last, !s.mayBeNothing(r, last)
	}
	return last, r.Version < last.Version && !s.late(r.Version, last)
}

// mayBeNothing says whether a read that found nothing may have been right: there
// was nothing, or a delete that need not have ended took it away.
func (s story) mayBeNothing(r, last Op) bool {
	if last.Version == Nothing || last.Kind == Delete {
		return true
	}
	return slices.ContainsFunc(s.writes, func(w Op) bool {
		return w.Kind == Delete && w.Begin <= r.End &&
			(w.Outcome == Unknown || w.Outcome == OK && w.Version > last.Version)
	})
}

// late says whether a version may have taken effect after a newer one: nobody
// knows what became of it, and no read had seen it when the newer one began.
func (s story) late(v Version, newer Op) bool {
	w, known := s.write(v)
	return known && w.Outcome == Unknown && !slices.ContainsFunc(s.reads, func(r Op) bool {
		return r.Version == v && r.End < newer.Begin
	})
}
