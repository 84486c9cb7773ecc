package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// stamped is a fact about a room. The stamp is its identity, and says where it
// stands among others.
type stamped interface {
	GetTime() int64
	GetId() uint64
}

func byStamp[T stamped](a, b T) int {
	return cmp.Or(cmp.Compare(a.GetTime(), b.GetTime()), cmp.Compare(a.GetId(), b.GetId()))
}

// union merges two ordered sequences. Join makes one of two elements that are the
// same fact. Neither sequence is changed, and one of them may be the result.
func union[T any](a, b []T, compare func(a, b T) int, join func(a, b T) T) []T {
	if len(b) == 0 {
		return a
	}
	if len(a) == 0 {
		return b
	}
	merged := make([]T, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch order := compare(a[0], b[0]); {
		case order < 0:
			merged, a = append(merged, a[0]), a[1:]
		case order > 0:
			merged, b = append(merged, b[0]), b[1:]
		default:
			merged, a, b = append(merged, join(a[0], b[0])), a[1:], b[1:]
		}
	}
	return append(append(merged, a...), b...)
}

// either joins two elements that cannot differ.
func either[T any](a, _ T) T { return a }

// latest returns the last n elements.
func latest[T any](all []T, n int) []T { return all[max(0, len(all)-n):] }

// only returns the elements that are wanted, and leaves the sequence as it is.
func only[T any](all []T, wanted func(T) bool) (some []T) {
	for _, one := range all {
		if wanted(one) {
			some = append(some, one)
		}
	}
	return some
}

// without returns the elements of a that are not in b.
func without[T stamped](a, b []T) []T {
	return only(a, func(fact T) bool {
		_, found := slices.BinarySearchFunc(b, fact, byStamp)
		return !found
	})
}

// clock gives the times of stamps: the physical time, but above every time that
// it gave or saw before. So an answer is never ordered before what it answers,
// whatever the clocks of the nodes show.
type clock struct {
	mu   sync.Mutex
	last int64
}

func (c *clock) next() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last+1, time.Now().UnixNano())
	return c.last
}

func (c *clock) saw(at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = max(c.last, at)
}

// newID returns an id that nothing else has: distinct, not secret.
func newID() uint64 { return rand.Uint64() }
