package torc

import (
	"context"
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// Types of the packages below that are part of this one's interface.
type (
	// Vnode is what a vnode tells about its items, so that its partition can
	// move, be stood in for, and be repaired. Embed a [Store] to have all of
	// it, or [Stateless] to need none of it.
	Vnode = handoff.Stateful
	// Item is the encoded state under one key.
	Item = handoff.Item
	// HandoffObserver is what a vnode implements to be told of transfers.
	HandoffObserver = handoff.Observer
	// Handoff is one side of a transfer, as it concerns one vnode.
	Handoff = handoff.Handoff
	// Host tells a vnode where it runs.
	Host = actors.Host
	// Quorum is how many replicas a service keeps, and how many must answer.
	Quorum = actors.Quorum
	// Call is what one request asks for, as the options of a call say it.
	Call = actors.Call
	// Partition is one of the ring's equal ranges.
	Partition = ring.Partition
	// NodeName is the stable name of a member.
	NodeName = ring.NodeName
)

// Keyed is a command: a protobuf message with a field "bytes key", of which the
// generated code makes GetKey.
type Keyed interface {
	proto.Message
	GetKey() []byte
}

// Service is a named kind of vnode, of type V, with its commands. Register all
// handlers before a node starts with it; from then on it is read-only, and any
// number of nodes may share it.
type Service[V Vnode] struct{ service *actors.Service }

// Registration is what Start takes: a [Service], or a struct that embeds one.
type Registration interface{ registration() *actors.Service }

func (s *Service[V]) registration() *actors.Service { return s.service }

// Name returns the service's name.
func (s *Service[V]) Name() string { return s.service.Name }

// Quorum returns the service's defaults, as they were given.
func (s *Service[V]) Quorum() Quorum { return s.service.Quorum }

// NewService returns a service without commands. The name is part of every
// vnode's address: lower-case letters, digits, - and _, at most 63. Open makes
// the vnode of one partition, empty; it runs on the vnode's own turn, commands
// wait for it, and if it fails they go to a fallback and it is tried again.
func NewService[V Vnode](name string, q Quorum, open func(context.Context, Host) (V, error)) *Service[V] {
	var none V
	_, stateless := any(none).(interface{ stateless() })
	return &Service[V]{&actors.Service{
		Name:      name,
		Quorum:    q,
		Stateless: stateless,
		Open:      func(ctx context.Context, h Host) (Vnode, error) { return open(ctx, h) },
	}}
}

// Handler executes a command on a vnode. Method expressions such as
// (*vnode).Store have this shape.
type Handler[V Vnode, Q Keyed, A proto.Message] func(v V, ctx context.Context, command Q) (A, error)

// HandleRead registers a handler that changes nothing. A request waits for R
// answers, among which "not found" counts, and returns [ErrNotFound] if there is
// nothing else. The command's name is that of its message, without the package.
//
// It panics if the service has a handler for that name already.
func HandleRead[V Vnode, Q Keyed, A proto.Message](s *Service[V], h Handler[V, Q, A], opts ...HandlerOption[A]) Command[Q, A] {
	return handle(s, coordinator.Read, h, opts)
}

// HandleWrite registers a handler that may change the state under the command's
// key. A request waits for W acknowledgements. It panics as HandleRead does.
func HandleWrite[V Vnode, Q Keyed, A proto.Message](s *Service[V], h Handler[V, Q, A], opts ...HandlerOption[A]) Command[Q, A] {
	return handle(s, coordinator.Write, h, opts)
}

func handle[V Vnode, Q Keyed, A proto.Message](s *Service[V], kind coordinator.Kind, h Handler[V, Q, A], opts []HandlerOption[A]) Command[Q, A] {
	name := string(emptyOf[Q]().ProtoReflect().Descriptor().Name())
	m := &actors.Method{
		Name:       name,
		Kind:       kind,
		NewCommand: func() proto.Message { return emptyOf[Q]() },
		NewReply:   func() proto.Message { return emptyOf[A]() },
		Same:       proto.Equal,
		Handle: func(v Vnode, ctx context.Context, command proto.Message) (proto.Message, error) {
			var none A
			answer, err := h(v.(V), ctx, command.(Q))
			if err == nil && any(answer) == any(none) {
				return nil, fmt.Errorf("the handler of %s returned neither a reply nor an error", name)
			}
			return answer, err
		},
	}
	for _, o := range opts {
		o.apply(m)
	}
	if err := s.service.Add(m); err != nil {
		panic(fmt.Sprintf("torc: %v", err))
	}
	return Command[Q, A]{m}
}

// emptyOf returns a new, empty message of type M.
func emptyOf[M proto.Message]() M {
	var none M
	return none.ProtoReflect().Type().New().Interface().(M)
}

// HandlerOption refines how the replies of type A are put together.
type HandlerOption[A proto.Message] struct{ apply func(*actors.Method) }

// NoWait promises that the handler takes microseconds and waits for nothing: not
// for a disk or a network, not for another goroutine, nor for a lock that is held
// for long. An idle vnode then executes the command on the goroutine of the
// client within its node, which saves both the switch to another one and back,
// most of what a short command costs. A handler that breaks the promise keeps its
// clients past their deadlines.
func NoWait[A proto.Message]() HandlerOption[A] {
	return HandlerOption[A]{func(m *actors.Method) { m.NoWait = true }}
}

// Resolve makes one reply of two that different replicas gave. It must commute,
// associate and be idempotent, since replies come in any order. Without it the
// first reply in the order of the preference list stands.
func Resolve[A proto.Message](resolve func(a, b A) A) HandlerOption[A] {
	return HandlerOption[A]{func(m *actors.Method) {
		m.Resolve = func(a, b proto.Message) proto.Message { return resolve(a.(A), b.(A)) }
	}}
}

// Same replaces proto.Equal where [Repair] compares a replica's reply with the
// resolved one; comparing versions is much cheaper than comparing values.
func Same[A proto.Message](same func(a, b A) bool) HandlerOption[A] {
	return HandlerOption[A]{func(m *actors.Method) {
		m.Same = func(a, b proto.Message) bool { return same(a.(A), b.(A)) }
	}}
}

// Repair makes a read write the resolved reply back to every replica that
// answered with another one, by the command that rewrite returns. It happens
// after the client has its answer. The write must be one that a newer value
// survives, for it may come late.
func Repair[A proto.Message, W Keyed, S proto.Message](write Command[W, S], rewrite func(key []byte, resolved A) W) HandlerOption[A] {
	return HandlerOption[A]{func(m *actors.Method) {
		m.Repair = func(key []byte, resolved proto.Message) (*actors.Method, proto.Message) {
			return write.method, rewrite(key, resolved.(A))
		}
	}}
}

// Stateless waives the duties of [Vnode] for a vnode that holds no items: its
// partition moves by a change of the ring alone.
//
// A service of such vnodes has nothing to move or to recover, and is served by
// fallbacks as by primaries.
type Stateless struct{}

func (Stateless) stateless() {}

// Item has none.
func (Stateless) Item([]byte) (Item, bool) { return Item{}, false }

// Snapshot is empty.
func (Stateless) Snapshot() iter.Seq2[Item, error] { return func(func(Item, error) bool) {} }

// Merge refuses an item, which can only have come from a vnode of another kind.
// A deletion is no news: a write command to a stateless vnode leaves nothing under
// its key, and an ownership transfer says just that.
func (Stateless) Merge(item Item) error {
	if item.Deleted {
		return nil
	}
	return fmt.Errorf("%w: a stateless vnode was given an item", ErrInvalid)
}

// Len is zero.
func (Stateless) Len() int { return 0 }

// Drop has nothing to do.
func (Stateless) Drop() error { return nil }
