package main

import (
	"bytes"
	"cmp"
	"context"
	"time"

	torc "github.com/torc-io/torc"
	httpkvpb "github.com/torc-io/torc/proto/torc/examples/httpkv/v1"
)

// replicas is how many there are of each key, unless a request says otherwise.
const replicas = 3

// store is the service, as the routes see it.
type store struct {
	node    *torc.Node
	service *torc.Service[*vnode]
	store   torc.Command[*httpkvpb.Store, *httpkvpb.Entry]
	fetch   torc.Command[*httpkvpb.Fetch, *httpkvpb.Entry]
}

func newStore() *store {
	svc := torc.NewService("httpkv", torc.Quorum{N: replicas}, open)
	write := torc.HandleWrite(svc, (*vnode).Store, torc.Resolve(newer))
	read := torc.HandleRead(svc, (*vnode).Fetch, torc.Resolve(newer), torc.Repair(write, rewrite))
	return &store{service: svc, store: write, fetch: read}
}

// Store gives the entry a version and stores it. If a replica has one from the
// future, by a clock that is ahead, it tries again with a version above that.
func (s *store) Store(ctx context.Context, key string, entry *httpkvpb.Entry, opts ...torc.CallOption) error {
	at := time.Now().UnixNano()
	for {
		entry = &httpkvpb.Entry{
			Body: entry.GetBody(), ContentType: entry.GetContentType(), WrittenAt: at, Writer: string(s.node.Name()),
		}
		kept, err := s.store.Do(ctx, s.node, &httpkvpb.Store{Key: []byte(key), Entry: entry}, opts...)
		if err != nil || compare(kept, entry) <= 0 {
			return err
		}
		at = kept.GetWrittenAt() + 1
	}
}

// Fetch returns the newest entry under a key, or torc.ErrNotFound.
func (s *store) Fetch(ctx context.Context, key string, opts ...torc.CallOption) (*httpkvpb.Entry, error) {
	return s.fetch.Do(ctx, s.node, &httpkvpb.Fetch{Key: []byte(key)}, opts...)
}

// entries is the state of a vnode. The alias keeps the embedded field from being
// called Store, as the handler is.
type entries = torc.Store[*httpkvpb.Entry]

// vnode holds the entries of one partition.
type vnode struct{ *entries }

func open(context.Context, torc.Host) (*vnode, error) { return &vnode{torc.NewStore(newer)}, nil }

// Store keeps the newer of the entry that is there and the one that comes.
func (v *vnode) Store(_ context.Context, cmd *httpkvpb.Store) (*httpkvpb.Entry, error) {
	present, _ := v.Get(cmd.GetKey())
	kept := newer(present, cmd.GetEntry())
	v.Put(cmd.GetKey(), kept)
	return kept, nil
}

// Fetch returns the entry under a key.
func (v *vnode) Fetch(_ context.Context, cmd *httpkvpb.Fetch) (*httpkvpb.Entry, error) {
	if entry, ok := v.Get(cmd.GetKey()); ok {
		return entry, nil
	}
	return nil, torc.ErrNotFound
}

// newer is what two replicas agree on.
func newer(a, b *httpkvpb.Entry) *httpkvpb.Entry {
	if compare(a, b) < 0 {
		return b
	}
	return a
}

// compare orders entries by their versions. Two that differ are never equal, or
// the replicas could each keep another one; nil is older than any.
func compare(a, b *httpkvpb.Entry) int {
	return cmp.Or(
		cmp.Compare(a.GetWrittenAt(), b.GetWrittenAt()),
		cmp.Compare(a.GetWriter(), b.GetWriter()),
		bytes.Compare(a.GetBody(), b.GetBody()),
		cmp.Compare(a.GetContentType(), b.GetContentType()),
	)
}

// rewrite brings a replica up to date with what a fetch has found.
func rewrite(key []byte, newest *httpkvpb.Entry) *httpkvpb.Store {
	return &httpkvpb.Store{Key: key, Entry: newest}
}
