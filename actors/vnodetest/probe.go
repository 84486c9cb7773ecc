package vnodetest

import (
	"bytes"
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"testing"

	"github.com/torc-io/torc/handoff"
)

// need is a set of what a promise needs to be checked.
type need int

const (
	replicas need = 1 << iota // replicas that diverge: not Config.Ordered
	removal                   // Config.Remove
)

// promise is one thing that a vnode promises, and how to find out.
type promise[V handoff.Stateful] struct {
	name  string // the promise in words, and the name of the subtest
	why   string // what the framework does that rests on it
	needs need
	test  func(probe[V]) // ends in failf if the promise is broken
}

// check returns what was seen of a broken promise, and nothing of a kept one.
func (p promise[V]) check(tb testing.TB, c Config[V]) string {
	return attempt(func() { p.test(probe[V]{tb, c}) })
}

// broken is the text of a failure.
func (p promise[V]) broken(saw string) string {
	return fmt.Sprintf("the vnode breaks a promise: %s\nwhy it matters: %s\nwhat was seen: %s", p.name, p.why, saw)
}

// failure is what failf panics with: it ends a test from any depth, so that
// what reads the vnode need not return errors.
type failure string

// failf ends the running test of a promise with what was seen.
func failf(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

// attempt runs a test and returns what it saw go wrong. A panic of the vnode
// itself counts, and comes with its stack.
func attempt(test func()) (saw string) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			saw = string(r)
		default:
			saw = fmt.Sprintf("a panic: %v\n%s", r, debug.Stack())
		}
	}()
	test()
	return ""
}

// many is the number of keys in a filled vnode: enough for a tree of two levels
// or a map of several groups, few enough to be quick under -race.
const many = 150

// key returns the nth key of a filled vnode. A new slice each time, since a
// vnode may keep what it is given.
func key(n int) []byte { return fmt.Appendf(nil, "key-%03d", n) }

// probe opens, changes and reads vnodes, and fails where they return an error.
type probe[V handoff.Stateful] struct {
	tb     testing.TB
	config Config[V]
}

// open returns an empty vnode.
func (p probe[V]) open() V { return p.config.Open(p.tb) }

// filled returns a vnode with the keys 0 to many-1, each written with i = 1.
func (p probe[V]) filled() V {
	v := p.open()
	for n := range many {
		p.write(v, key(n), 1)
	}
	return v
}

// replica returns the item of a vnode of its own in which key was written with i.
func (p probe[V]) replica(key []byte, i int) handoff.Item {
	v := p.open()
	p.write(v, key, i)
	return p.item(v, key)
}

// merged returns a new vnode into which the items were merged in order.
func (p probe[V]) merged(items ...handoff.Item) V {
	v := p.open()
	p.merge(v, items...)
	return v
}

// copied returns a new vnode made of the items of v.
func (p probe[V]) copied(v V) V { return p.merged(p.items(v)...) }

func (p probe[V]) write(v V, key []byte, i int) {
	if err := p.config.Write(v, key, i); err != nil {
		failf("Config.Write of key %s with i = %d returned an error: %v", quote(key), i, err)
	}
}

func (p probe[V]) remove(v V, key []byte) {
	if err := p.config.Remove(v, key); err != nil {
		failf("Config.Remove of key %s returned an error: %v", quote(key), err)
	}
}

func (p probe[V]) merge(v V, items ...handoff.Item) {
	for _, item := range items {
		err := v.Merge(item)
		switch {
		case err != nil && item.Deleted:
			failf("Merge of a deletion of key %s returned an error: %v", quote(item.Key), err)
		case err != nil:
			failf("Merge of an item of key %s, which another vnode made, returned an error: %v", quote(item.Key), err)
		}
	}
}

// item returns a copy of the item under key, which must be there.
func (p probe[V]) item(v V, key []byte) handoff.Item {
	item, found := v.Item(key)
	if !found {
		failf("Item(%s) found nothing after the key was written", quote(key))
	}
	if !bytes.Equal(item.Key, key) {
		failf("Item(%s) returned an item of another key, %s", quote(key), quote(item.Key))
	}
	if item.Deleted {
		failf("Item(%s) returned an item with Deleted, which is for Merge alone: nothing is found under a removed key, or a tombstone", quote(key))
	}
	return clone(item)
}

// leavesTombstones tells whether Config.Remove leaves an item in the key's place.
func (p probe[V]) leavesTombstones() bool {
	v := p.open()
	p.write(v, key(0), 1)
	p.remove(v, key(0))
	_, found := v.Item(key(0))
	return found
}

// items returns copies of the items of v's snapshot, in the order of their keys.
func (p probe[V]) items(v V) []handoff.Item { return read(v.Snapshot()) }

// read returns copies of the items of a snapshot, in the order of their keys.
func read(snapshot iter.Seq2[handoff.Item, error]) []handoff.Item {
	var items []handoff.Item
	for item, err := range snapshot {
		if err != nil {
			failf("the snapshot contains an error: %v", err)
		}
		if item.Deleted {
			failf("the snapshot shows %s with Deleted, which is for Merge alone", show(item))
		}
		items = append(items, clone(item))
	}
	slices.SortFunc(items, byKey)
	return items
}

// agree fails unless Len, Item and Snapshot tell the same of v.
func (p probe[V]) agree(v V, when string) {
	items := p.items(v)
	for i, item := range items {
		if i > 0 && bytes.Equal(item.Key, items[i-1].Key) {
			failf("%s: Snapshot has key %s twice", when, quote(item.Key))
		}
		same(when+": what Item returns", p.item(v, item.Key), item)
	}
	if v.Len() != len(items) {
		failf("%s: Len is %d, but Snapshot has %d items", when, v.Len(), len(items))
	}
}

// same fails unless an item is the wanted one.
func same(what string, got, want handoff.Item) {
	if !bytes.Equal(got.Key, want.Key) || !bytes.Equal(got.Value, want.Value) {
		failf("%s is %s, want %s", what, show(got), show(want))
	}
}

// equal fails unless two lists of items in the order of their keys are equal,
// and names the first key in which they differ.
func equal(what string, got, want []handoff.Item) {
	for i := range min(len(got), len(want)) {
		switch c := byKey(got[i], want[i]); {
		case c < 0:
			failf("%s: %s should not be there", what, show(got[i]))
		case c > 0:
			failf("%s: %s is missing", what, show(want[i]))
		}
		same(what+": an item", got[i], want[i])
	}
	if len(got) != len(want) {
		failf("%s: %d items, want %d", what, len(got), len(want))
	}
}

// without returns the items of all keys but one.
func without(items []handoff.Item, key []byte) []handoff.Item {
	return slices.DeleteFunc(slices.Clone(items), func(item handoff.Item) bool { return bytes.Equal(item.Key, key) })
}

func byKey(a, b handoff.Item) int { return bytes.Compare(a.Key, b.Key) }

// deletion is what a handoff sends of a key with nothing under it.
func deletion(key []byte) handoff.Item { return handoff.Item{Key: key, Deleted: true} }

func clone(item handoff.Item) handoff.Item {
	return handoff.Item{Key: bytes.Clone(item.Key), Value: bytes.Clone(item.Value)}
}

// show and quote print items and keys, whose bytes may be many and of any kind.
func show(item handoff.Item) string { return fmt.Sprintf("%s=%.64q", quote(item.Key), item.Value) }

func quote(key []byte) string { return fmt.Sprintf("%.64q", key) }
