// Package vnodetest tells whether a vnode keeps its side of the contract of
// [handoff.Stateful], and if not, which promise it breaks, why the framework
// needs that promise, and what was seen.
//
// A vnode that embeds torc.Store keeps the contract by itself, as long as its
// merge function is sound. One that holds its state in another way has more to
// prove. Either is tested in a few lines:
//
//	func TestVnode(t *testing.T) {
//		vnodetest.Run(t, vnodetest.Config[*vnode]{
//			Open: func(testing.TB) *vnode { return &vnode{torc.NewStore(larger)} },
//			Write: func(v *vnode, key []byte, i int) error {
//				_, err := v.Increment(t.Context(), &counterpb.Increment{Key: key, By: int64(i)})
//				return err
//			},
//		})
//	}
//
// Run it with -race as well: a snapshot is read on another goroutine while the
// vnode is written, and some mistakes show only to the race detector.
//
// # What is checked
//
// Each promise is a subtest with the promise as its name; promises.go and
// handoff.go list them. The last ones play whole transfers on random courses of
// events, and a failure tells the seed that plays it again. Items are compared byte by byte. A vnode must therefore encode equal
// states to equal bytes (for protobuf, [proto.MarshalOptions] with
// Deterministic set; for a map, its keys in order), which the framework needs
// too wherever it compares replicas by a digest.
//
// # What is not checked
//
// That there is no state outside the items: what a vnode never shows as an item
// is invisible here, and stays behind in a handoff. That Merge refuses what it
// cannot decode: only the vnode knows which bytes those are. That a vnode keeps
// a copy of what it is given: commands and items are immutable, so it need not.
//
// [proto.MarshalOptions]: https://pkg.go.dev/google.golang.org/protobuf/proto#MarshalOptions
package vnodetest

import (
	"testing"

	"github.com/torc-io/torc/handoff"
)

// Config says how to make a vnode and how to change it.
type Config[V handoff.Stateful] struct {
	// Open returns a new, empty vnode that shares no state with another. It is
	// called many times; tb ends with the subtest, so that resources can be
	// released with tb.Cleanup.
	Open func(tb testing.TB) V

	// Write changes the state under key, and under no other key, as a command
	// would. For one key of one vnode i grows from call to call, and replicas
	// that are merged with each other were written with different i: a vnode
	// that orders its states by version can use i as the version. Each call
	// must change the item.
	Write func(v V, key []byte, i int) error

	// Remove removes the state under key, as a command would, after all writes
	// so far and before those to come. It is called for keys that were written and
	// not removed since. What remains may be nothing, and then Merge must apply
	// deletions, or an item that says so (a tombstone). Nil, if the vnode has no
	// such command, skips what needs it.
	Remove func(v V, key []byte) error

	// Ordered waives the promises that Merge gives the same result in any order
	// and that an old item does not undo a newer one. They are needed wherever
	// a key has more than one replica. A service with N=1 can do without: the
	// items of one key travel in order in an ownership handoff.
	Ordered bool

	// Seed chooses the courses of events of the promises that are tested by
	// chance. 0 draws a new one each time; set it to the one that a failure tells.
	Seed uint64
}

// Run checks that the vnodes which c.Open returns keep the contract of
// [handoff.Stateful]. It runs one subtest for each promise.
func Run[V handoff.Stateful](t *testing.T, c Config[V]) {
	t.Helper()
	if c.Open == nil || c.Write == nil {
		t.Fatal("vnodetest: Config needs Open and Write")
	}
	for _, p := range promises[V]() {
		t.Run(p.name, func(t *testing.T) {
			if reason := c.waives(p.needs); reason != "" {
				t.Skip(reason)
			}
			if saw := p.check(t, c); saw != "" {
				t.Error(p.broken(saw))
			}
		})
	}
}

// waives returns why a promise with these needs is not checked, or nothing.
func (c Config[V]) waives(n need) string {
	switch {
	case n&replicas != 0 && c.Ordered:
		return "waived by Config.Ordered: only for services with N=1"
	case n&removal != 0 && c.Remove == nil:
		return "Config.Remove is nil"
	}
	return ""
}
