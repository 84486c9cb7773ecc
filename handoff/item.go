// Package handoff decides how a partition moves from one node to another.
//
// It is pure: standard library only, no goroutine, no clock, no I/O. This file
// holds the contract that a vnode and the framework keep with each other about
// the vnode's items. Everything that moves data (ownership handoff, hinted
// handoff and repair) rests on this contract alone.
//
// # Items
//
// A vnode's state is a set of items, one for each key. An [Item] is a key and
// the encoded state under it, opaque to the framework. A command changes the
// state under its own key only: that rule is what makes moving a partition
// automatic, since "which items changed" is then the same question as "which
// keys were written".
//
// # What a vnode must not do
//
// It must not keep state that is not an item, nor change an item that is not
// under the key of the command at hand: such state would stay behind.
package handoff

import "iter"

// Item is the state under one key, encoded by the vnode that holds it.
// Key and Value are immutable once the item has been handed over.
type Item struct {
	Key   []byte
	Value []byte
}

// Stateful is what a vnode that holds data tells about it.
//
// The framework calls all methods on the vnode's own turn, never two at once,
// with one exception: the sequence that Snapshot returns is read on another
// goroutine, while the vnode goes on executing commands. riak_core spreads the
// same duties over is_empty, fold, encode_handoff_item, handle_handoff_data and
// delete.
type Stateful interface {
	// Item returns the current state under key, and false if there is none.
	Item(key []byte) (Item, bool)

	// Snapshot returns all items as they are at the time of the call. Writes
	// that follow must not show in the sequence. The sequence is read once,
	// on another goroutine; an error in it stops the transfer loudly.
	Snapshot() iter.Seq2[Item, error]

	// Merge brings an item from another replica into this one. It must be
	// idempotent, for the same item may arrive twice. Where replicas can
	// diverge it must also give the same result in any order.
	Merge(Item) error

	// Len returns the number of items.
	Len() int

	// Drop removes all items. It is the last thing that happens to the data
	// of a partition that has moved away.
	Drop() error
}
