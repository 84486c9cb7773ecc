package main

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"

	"google.golang.org/protobuf/proto"

	torc "github.com/torc-io/torc"
	handoffkvpb "github.com/torc-io/torc/proto/torc/examples/handoffkv/v1"
)

// vnode holds the entries of one partition in a plain map. The framework calls its
// methods one at a time, so it needs no lock; and an entry in the map is never
// changed, only replaced.
type vnode struct {
	host    torc.Host
	entries map[string]*handoffkvpb.Entry
}

var _ torc.Vnode = (*vnode)(nil)

func open(_ context.Context, h torc.Host) (*vnode, error) {
	return &vnode{h, map[string]*handoffkvpb.Entry{}}, nil
}

// The commands. They know nothing of handoff: while the partition moves, the
// framework has them executed by one of the two vnodes, and takes care that the
// other one hears of it.

// Store keeps the newer of the entry that is there and the one that comes.
func (v *vnode) Store(_ context.Context, cmd *handoffkvpb.Store) (*handoffkvpb.Answer, error) {
	v.keep(string(cmd.GetKey()), cmd.GetEntry())
	return v.answer(cmd.GetKey()), nil
}

// Fetch returns the entry under a key.
func (v *vnode) Fetch(_ context.Context, cmd *handoffkvpb.Fetch) (*handoffkvpb.Answer, error) {
	if _, ok := v.entries[string(cmd.GetKey())]; !ok {
		return nil, torc.ErrNotFound
	}
	return v.answer(cmd.GetKey()), nil
}

func (v *vnode) answer(key []byte) *handoffkvpb.Answer {
	return &handoffkvpb.Answer{
		Entry: v.entries[string(key)], Partition: uint32(v.host.Partition), Node: string(v.host.Node),
	}
}

// The five methods of torc.Vnode. They are all that a vnode tells of its items,
// and all that handoff, hinted handoff and repair are made of.

// Item returns what is under one key: it was written after the snapshot, and goes
// over by itself. (Of riak_core's callbacks: encode_handoff_item.)
func (v *vnode) Item(key []byte) (torc.Item, bool) {
	entry, ok := v.entries[string(key)]
	if !ok {
		return torc.Item{}, false
	}
	item, err := encode(string(key), entry)
	if err != nil {
		panic(err) // false would mean that there is nothing, and lose the entry
	}
	return item, true
}

// Snapshot returns all items as they are now (handle_handoff_command with its
// fold). The sequence is read on another goroutine while commands go on, so it
// gets a map of its own. The entries in it are shared: they never change. Commands
// wait while the map is copied; torc.Store, which copies as it is written, is for
// those who cannot.
func (v *vnode) Snapshot() iter.Seq2[torc.Item, error] {
	now := maps.Clone(v.entries)
	return func(yield func(torc.Item, error) bool) {
		for key, entry := range now {
			if !yield(encode(key, entry)) {
				return
			}
		}
	}
}

// Merge takes an item from another vnode (handle_handoff_data). It may be older
// than what is here, or the same once more, so it goes the way of a store: the
// newer one stays.
func (v *vnode) Merge(item torc.Item) error {
	if item.Deleted {
		delete(v.entries, string(item.Key))
		return nil
	}
	var entry handoffkvpb.Entry
	if err := proto.Unmarshal(item.Value, &entry); err != nil {
		return fmt.Errorf("the entry under %q: %w", item.Key, err)
	}
	v.keep(string(item.Key), &entry)
	return nil
}

// Len is how many there are (is_empty). Both sides are compared before the new
// owner takes over.
func (v *vnode) Len() int { return len(v.entries) }

// Drop forgets everything (delete). It comes last of all, when the new owner
// serves and every member knows.
func (v *vnode) Drop() error {
	v.entries = map[string]*handoffkvpb.Entry{}
	return nil
}

// keep is the one place where entries are compared.
func (v *vnode) keep(key string, arrived *handoffkvpb.Entry) {
	if present, ok := v.entries[key]; !ok || compare(present, arrived) < 0 {
		v.entries[key] = arrived
	}
}

// compare orders entries by their versions. Two that differ are never equal, or
// two vnodes could each keep another one.
func compare(a, b *handoffkvpb.Entry) int {
	return cmp.Or(
		cmp.Compare(a.GetWrittenAt(), b.GetWrittenAt()),
		cmp.Compare(a.GetWriter(), b.GetWriter()),
		cmp.Compare(a.GetData(), b.GetData()),
	)
}

// encode makes an item. Deterministic, for equal entries have to be equal bytes.
func encode(key string, entry *handoffkvpb.Entry) (torc.Item, error) {
	value, err := proto.MarshalOptions{Deterministic: true}.Marshal(entry)
	return torc.Item{Key: []byte(key), Value: value}, err
}
