package torc

import (
	"fmt"
	"iter"

	"github.com/tidwall/btree"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/torc-io/torc/handoff"
)

// Store is the ready state of a vnode: an ordered map from keys to values of
// type T. A vnode that embeds one keeps the contract of [handoff.Stateful], so
// that ownership handoff, hinted handoff and repair come with it:
//
//	type vnode struct{ *torc.Store[*counterpb.Count] }
//
//	func open(context.Context, torc.Host) (*vnode, error) {
//		return &vnode{torc.NewStore(larger)}, nil
//	}
//
//	func (v *vnode) Increment(_ context.Context, c *counterpb.Increment) (*counterpb.Count, error) {
//		old, _ := v.Get(c.GetKey())
//		sum := &counterpb.Count{Value: old.GetValue() + c.GetBy()}
//		v.Put(c.GetKey(), sum)
//		return sum, nil
//	}
//
// # Values do not change
//
// A value belongs to the store once it has been put, and is never modified
// again: a change is a new value. It may be on its way to another node at that
// moment, read by a [Store.Snapshot] on another goroutine, or be the reply to
// an earlier command. The same holds for what Get, All and a merge function
// receive. The getters of a generated message accept the nil that Get returns
// for an absent key, as above.
//
// # Concurrency
//
// A store is not safe for concurrent use, and need not be: the methods of a
// vnode never run at once. The exception is the sequence that Snapshot
// returned, which any goroutine may read at any time.
//
// # Cost
//
// A lookup is that of a map, and allocates nothing; so is a change of what is there,
// until there is a snapshot. That is one small allocation whatever the number of
// items. For it keys are kept in byte order, too, in a B-tree whose nodes are copied on
// write: after a snapshot the first write of each key searches the tree, and copies
// nodes (up to 63 items each) that no write has copied yet.
type Store[T any] struct {
	codec Codec[T]
	merge func(present, arrived T) T
	cells map[string]*cell[T]
	order *btree.Map[string, *cell[T]]
	era   uint64 // how many copies of order were made
}

// cell has the value of a key. The copies of order share the cells that were in it:
// one of an earlier era does not change any more, and is replaced.
type cell[T any] struct {
	value T
	era   uint64
}

var _ handoff.Stateful = (*Store[proto.Message])(nil)

// Codec turns the values of a [Store] into bytes and back. Decode(Encode(v))
// equals v, and equal values encode to equal bytes, so that replicas can be
// compared. Both are called by several goroutines at once.
type Codec[T any] interface {
	// Encode returns the bytes of value, which it does not keep or modify.
	Encode(value T) ([]byte, error)

	// Decode returns the value that data encodes. It does not modify data,
	// which never changes and may be kept.
	Decode(data []byte) (T, error)
}

// NewStore returns an empty store of protobuf messages. T is a generated type
// such as *counterpb.Count; other types of value need [NewStoreWithCodec].
//
// Merge decides which state two replicas of a key agree on. It is called with
// the state that is here and the one that arrived, modifies neither, and
// returns one of them or a new one. It must be idempotent, and where replicas
// can diverge also commutative and associative: the later of two versions, the
// larger of two counts, the union of two sets. A nil merge lets the state that
// arrives replace the present one, which is enough where each key has but one
// replica.
func NewStore[T proto.Message](merge func(present, arrived T) T) *Store[T] {
	var zero T
	return NewStoreWithCodec(protoCodec[T]{zero.ProtoReflect().Type()}, merge)
}

// NewStoreWithCodec returns an empty store of values that codec encodes. See
// [NewStore] for merge.
func NewStoreWithCodec[T any](codec Codec[T], merge func(present, arrived T) T) *Store[T] {
	return &Store[T]{codec: codec, merge: merge, order: new(btree.Map[string, *cell[T]])}
}

// Get returns the value under key, or the zero value and false if there is
// none.
func (s *Store[T]) Get(key []byte) (value T, found bool) {
	c, found := s.cells[string(key)]
	if found {
		value = c.value
	}
	return value, found
}

// Put sets the value under key. The key is copied; the value is kept as it is
// and must not be modified any more.
func (s *Store[T]) Put(key []byte, value T) {
	if c, found := s.cells[string(key)]; found && c.era == s.era {
		c.value = value
		return
	}
	if s.cells == nil { // most vnodes of a small cluster are empty
		s.cells = make(map[string]*cell[T])
	}
	name, c := string(key), &cell[T]{value, s.era}
	s.cells[name] = c
	s.order.Set(name, c)
}

// Delete removes the value under key and reports whether there was one. Where
// replicas can diverge (N>1), put a value that says "deleted" instead, a
// tombstone: merging with a replica that missed the removal would bring the old
// value back.
func (s *Store[T]) Delete(key []byte) bool {
	name := string(key)
	_, found := s.order.Delete(name)
	delete(s.cells, name)
	return found
}

// freeze returns the tree as it is, and will be. It shares its nodes with the store's
// until that changes them. Neither tree owns a shared node (each node carries the id
// of the tree that made it, and a copy gives both trees new ids), so a write clones
// the nodes on its path; and the cells in them are of an earlier era.
func (s *Store[T]) freeze() *btree.Map[string, *cell[T]] {
	s.era++
	return s.order.Copy()
}

// All returns the keys and values in the byte order of the keys, as they are
// when the loop begins: its body may put and delete. The keys are copies.
func (s *Store[T]) All() iter.Seq2[[]byte, T] {
	return func(yield func([]byte, T) bool) {
		s.freeze().Scan(func(key string, c *cell[T]) bool {
			return yield([]byte(key), c.value)
		})
	}
}

// Len returns the number of keys.
func (s *Store[T]) Len() int { return len(s.cells) }

// Item returns the encoded value under key, and false if there is none. It
// shares the memory of key.
//
// It panics if the codec refuses the value, which is an error of the vnode that
// put it (a string field that is not UTF-8, say). To report no item instead
// would tell the framework that the key is gone, and lose it in the next
// handoff.
func (s *Store[T]) Item(key []byte) (handoff.Item, bool) {
	value, found := s.Get(key)
	if !found {
		return handoff.Item{}, false
	}
	item, err := encode(s.codec, key, value)
	if err != nil {
		panic(err)
	}
	return item, true
}

// Snapshot returns all items in the byte order of their keys, as they are at
// the time of the call. The sequence may be read on any goroutine, more than
// once, or not at all. A value that the codec refuses is reported in its place,
// as an error that names the key; the items after it follow.
//
// No memory that the sequence reads is written: see freeze.
func (s *Store[T]) Snapshot() iter.Seq2[handoff.Item, error] {
	items, codec := s.freeze(), s.codec
	return func(yield func(handoff.Item, error) bool) {
		items.Scan(func(key string, c *cell[T]) bool {
			return yield(encode(codec, []byte(key), c.value))
		})
	}
}

// Merge brings an item from another replica into this one: the merge function
// decides between it and the present value, if there is one. An item that
// cannot be decoded changes nothing and is returned as an error that names the
// key.
//
// A deletion removes the key, and the merge function is not asked. It comes in an
// ownership transfer, after the items of the key that it ends, and says that the
// one who has the key so far has it no more. There is nothing to weigh: where the
// values of a key must be weighed, none is removed outright (see [Store.Delete]),
// so a deletion comes for absent keys alone.
func (s *Store[T]) Merge(item handoff.Item) error {
	if item.Deleted {
		s.Delete(item.Key)
		return nil
	}
	value, err := s.codec.Decode(item.Value)
	if err != nil {
		return fmt.Errorf("torc: item %s cannot be decoded: %w", quote(item.Key), err)
	}
	if present, found := s.Get(item.Key); found && s.merge != nil {
		value = s.merge(present, value)
	}
	s.Put(item.Key, value)
	return nil
}

// Drop removes all items. Snapshots taken before keep theirs.
func (s *Store[T]) Drop() error {
	s.cells, s.order = nil, new(btree.Map[string, *cell[T]])
	return nil
}

// encode returns the item of a key and its value.
func encode[T any](codec Codec[T], key []byte, value T) (handoff.Item, error) {
	data, err := codec.Encode(value)
	if err != nil {
		return handoff.Item{}, fmt.Errorf("torc: item %s cannot be encoded: %w", quote(key), err)
	}
	return handoff.Item{Key: key, Value: data}, nil
}

// quote returns the beginning of a key for the text of an error. Keys may be
// binary and long; 64 characters are enough to find one.
func quote(key []byte) string { return fmt.Sprintf("%.64q", key) }

// protoCodec encodes messages of one type in their wire format. Deterministic,
// because replicas with the same state must have the same bytes.
type protoCodec[T proto.Message] struct{ kind protoreflect.MessageType }

func (protoCodec[T]) Encode(value T) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(value)
}

func (c protoCodec[T]) Decode(data []byte) (T, error) {
	value, _ := c.kind.New().Interface().(T) // kind is the type of T
	return value, proto.Unmarshal(data, value)
}
