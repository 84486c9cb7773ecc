package kv

import (
	"bytes"
	"cmp"

	kvpb "github.com/torc-io/torc/proto/torc/kv/v1"
)

// newer returns the one of two objects that replicas agree on: the one with the
// greater version. It commutes, associates and is idempotent, so that replicas
// come to the same object in whatever order, and however often, they hear of
// the writes. Nil, the object of a key that was never written, is older than
// any other. It modifies neither, and returns a if they are equal.
//
// Two writes do not have the same version: a writer's clock never gives one
// twice. Should it happen all the same, by a clock that was set back over a
// restart or two nodes with one name, the replicas must still agree: a
// tombstone wins, then the value that is greater in the order of bytes, then
// the content type.
func newer(a, b *kvpb.Object) *kvpb.Object {
	if order(a, b) < 0 {
		return b
	}
	return a
}

// order orders objects by age: negative if a is older than b. It is zero only
// for objects with equal fields.
func order(a, b *kvpb.Object) int {
	if a == nil || b == nil {
		return cmp.Compare(btoi(a != nil), btoi(b != nil))
	}
	if c := compare(a.GetVersion(), b.GetVersion()); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(btoi(a.GetDeleted()), btoi(b.GetDeleted())),
		bytes.Compare(a.GetValue(), b.GetValue()),
		cmp.Compare(a.GetContentType(), b.GetContentType()),
	)
}
