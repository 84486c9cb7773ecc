package handoff

import "iter"

// This file is the contract about items that a vnode and the framework keep with
// each other; everything that moves data rests on it alone.

// Item is the state under one key, encoded by the vnode that holds it, opaque to
// the framework. A vnode's state is the set of its items, and a command changes
// the item under its own key only: "what has changed" is then the same question
// as "which keys were written", and that is what makes moving a partition
// automatic. State that is no item stays behind.
//
// Key and Value are immutable once the item has been handed over, on either side:
// who makes an item does not touch these bytes again, and who is given one may
// keep them.
type Item struct {
	Key   []byte
	Value []byte
	// Deleted says that there is nothing under the key any more, and Value is of
	// no meaning. Only Merge sees it: the framework makes it of a key that a write
	// command touched and for which [Stateful.Item] has nothing. Item and
	// Snapshot never return it; what has been removed is not there.
	Deleted bool
}

// Stateful is what a vnode that holds data tells about it.
//
// The framework calls all methods on the vnode's own turn, never two at once and
// never beside a command, with one exception: the sequence that Snapshot returns
// is read on another goroutine, while the vnode goes on executing commands. So
// each of them delays the commands of the partition for as long as it takes:
// Snapshot and Len should not depend on the number of items.
//
// riak_core spreads the same duties over is_empty, fold, encode_handoff_item,
// handle_handoff_data and delete.
//
// # Removed keys
//
// A vnode may remove a key outright where each key has one replica (N=1). Where
// replicas can diverge (N>1) it must leave an item in its place that says
// "removed, then and by whom", a tombstone, whose Merge wins over what is older.
// For a replica that missed the removal still has the old item, and brings it
// back by the next repair, hint or read: a key that is merely absent has nothing
// to win with.
type Stateful interface {
	// Item returns the current state under key, and false if there is none. It
	// changes nothing.
	//
	// A transfer calls it for each key that was written after the snapshot, when
	// that key's turn has come; a fallback, for each key that it returns to the
	// owner. False makes an ownership transfer send Item{Key: key, Deleted: true}.
	// So a vnode that cannot encode what it has must not answer false, which would
	// remove the key on the other side: it panics, and the transfer stops with what
	// it said. The vnode and its state live on.
	Item(key []byte) (Item, bool)

	// Snapshot returns all items as they are at the time of the call, in any
	// order, each key once. What is written or removed later must not show in the
	// sequence. It is called when an ownership transfer or a repair begins, and
	// again each time that one begins anew; an ownership transfer notes the keys
	// that are written from the same turn on.
	//
	// The sequence is read once, on another goroutine, slowly (a receiver and a
	// limit of the rate hold it up), and maybe not to its end. An error in it is
	// for an item that cannot be encoded: it stops the transfer loudly, nothing is
	// skipped, and the vnode goes on serving where it is.
	Snapshot() iter.Seq2[Item, error]

	// Merge brings an item of another vnode of the same service into this one. The
	// receiver of a transfer calls it for each item, and it may have executed
	// commands already: the owner that comes back does in a repair or while hints
	// are returned to it.
	//
	// It must be idempotent, for up to a window of items is sent again after a
	// lost connection. In an ownership transfer the items of one key come in the
	// order in which they arose, and to a vnode that has no others; so with N=1 it
	// may simply replace. Where replicas can diverge (N>1) it must also give the
	// same result in any order.
	//
	// An item with Deleted removes what is under the key, and is no error where
	// there is nothing. Every vnode must expect one for a key that it does not
	// have, since a write command that failed may have left nothing, either; one
	// that removes no key outright is given no others.
	//
	// An error means that the item cannot be decoded or kept, and that nothing of
	// it was: the transfer stops loudly, and the sender goes on serving.
	Merge(item Item) error

	// Len returns the number of items: how many Snapshot would show now,
	// tombstones among them. An ownership transfer compares it on both sides,
	// while commands are held, before it lets the ring change; a vnode with none
	// has nothing to give. Count as you write, do not walk.
	Len() int

	// Drop removes all items, and the vnode may be written again afterwards. It is
	// the last thing that happens to the data of a partition that has moved away:
	// after the new owner has confirmed that it serves with all of it and each
	// reachable member knows; on a fallback, after the owner has taken back what
	// was kept for it; and on a receiver, to what a transfer left behind that has
	// to begin anew. A snapshot that is being read keeps its items. An error is
	// reported; what could not be removed is out of the ring's sight all the same.
	Drop() error
}
