package main

import (
	"cmp"
	"context"

	torc "github.com/torc-io/torc"
	coordinatedkvpb "github.com/torc-io/torc/proto/torc/examples/coordinatedkv/v1"
)

// entries is the state of a vnode. The alias keeps the embedded field from being
// called Store, as the handler is.
type entries = torc.Store[*coordinatedkvpb.Entry]

// vnode holds the entries of one partition.
type vnode struct {
	*entries
	host torc.Host
}

func open(_ context.Context, h torc.Host) (*vnode, error) {
	return &vnode{torc.NewStore(newer), h}, nil
}

// Store keeps the newer of the entry that is there and the one that comes, and
// returns it. So replicas agree, in whatever order writes, repairs and handoffs
// reach them.
func (v *vnode) Store(_ context.Context, cmd *coordinatedkvpb.Store) (*coordinatedkvpb.Entry, error) {
	present, _ := v.Get(cmd.GetKey())
	kept := newer(present, cmd.GetEntry())
	v.Put(cmd.GetKey(), kept)
	return kept, nil
}

// Fetch returns the entry under a key.
func (v *vnode) Fetch(_ context.Context, cmd *coordinatedkvpb.Fetch) (*coordinatedkvpb.Entry, error) {
	if entry, ok := v.Get(cmd.GetKey()); ok {
		return entry, nil
	}
	return nil, torc.ErrNotFound
}

// Ping says who answered.
func (v *vnode) Ping(context.Context, *coordinatedkvpb.Ping) (*coordinatedkvpb.Pong, error) {
	return &coordinatedkvpb.Pong{Partition: uint32(v.host.Partition), Node: string(v.host.Node)}, nil
}

// newer is what two replicas agree on.
func newer(a, b *coordinatedkvpb.Entry) *coordinatedkvpb.Entry {
	if compare(a, b) < 0 {
		return b
	}
	return a
}

// compare orders entries by their versions. Two that differ are never equal, or
// the replicas could each keep another one; nil, of a key that was never stored,
// is older than any.
func compare(a, b *coordinatedkvpb.Entry) int {
	return cmp.Or(
		cmp.Compare(a.GetWrittenAt(), b.GetWrittenAt()),
		cmp.Compare(a.GetWriter(), b.GetWriter()),
		cmp.Compare(a.GetData(), b.GetData()),
	)
}

// rewrite brings a replica up to date with what a fetch has found.
func rewrite(key []byte, newest *coordinatedkvpb.Entry) *coordinatedkvpb.Store {
	return &coordinatedkvpb.Store{Key: key, Entry: newest}
}
