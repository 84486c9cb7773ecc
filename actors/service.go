package actors

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// Quorum is how many replicas a service keeps and how many must answer, when a
// call does not say otherwise. Zero R or W means a majority of N.
type Quorum struct {
	N int // replicas
	R int // answers that a read waits for
	W int // acknowledgements that a write waits for
}

// Service is a named kind of vnode with its commands. It is filled before any
// node starts, and read-only from then on.
type Service struct {
	Name   string
	Quorum Quorum
	// Stateless says that its vnodes hold no items: there is nothing to move, to
	// recover or to return, and any node can stand in for any other.
	Stateless bool
	// Open makes the vnode of one partition on one node. It runs on the
	// vnode's own turn, before its first command, and may take long.
	Open func(context.Context, Host) (handoff.Stateful, error)

	methods map[string]*Method
}

// Method is one command of a service, with the types of its messages erased.
// The typed edge above this package builds it; all functions are safe to call
// from any goroutine.
type Method struct {
	Service *Service
	// Name is that of the command's protobuf message, without its package.
	Name string
	Kind coordinator.Kind
	// Handle executes the command: a reply that is not nil, or an error. It is
	// called on the vnode's turn.
	Handle func(vnode handoff.Stateful, ctx context.Context, command proto.Message) (proto.Message, error)
	// NoWait says that Handle waits for nothing and is short: it may run on the
	// goroutine of whoever sends the command.
	NoWait bool
	// NewCommand and NewReply return empty messages to decode into.
	NewCommand, NewReply func() proto.Message
	// Resolve makes one reply of two; nil means that the first stands.
	Resolve func(a, b proto.Message) proto.Message
	// Same says that two replies are equal as far as repair is concerned.
	Same func(a, b proto.Message) bool
	// Repair returns the write that brings a stale replica up to date; nil if
	// the command does not repair.
	Repair func(key []byte, winner proto.Message) (*Method, proto.Message)
}

// serviceName is what may stand before the slash of a vnode's address.
var serviceName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// Validate says what is wrong with the service as a whole.
func (s *Service) Validate() error {
	if !serviceName.MatchString(s.Name) {
		return fmt.Errorf("service name %q: want lower-case letters, digits, - and _, a letter first, 63 at most", s.Name)
	}
	if s.Quorum.N < 1 || s.Quorum.N > ring.MaxN {
		return fmt.Errorf("service %s: N is %d, want 1 to %d", s.Name, s.Quorum.N, ring.MaxN)
	}
	for name, count := range map[string]int{"R": s.Quorum.R, "W": s.Quorum.W} {
		if count < 0 || count > s.Quorum.N {
			return fmt.Errorf("service %s: %s is %d, want at most N = %d, or 0 for a majority", s.Name, name, count, s.Quorum.N)
		}
	}
	return nil
}

// reads says whether a method reads what a vnode holds.
func (s *Service) reads(m *Method) bool { return m.Kind == coordinator.Read && !s.Stateless }

// Add registers a method. Two of one name are a programmer's error.
func (s *Service) Add(m *Method) error {
	if _, taken := s.methods[m.Name]; taken {
		return fmt.Errorf("service %s: two handlers for the command %s", s.Name, m.Name)
	}
	if s.methods == nil {
		s.methods = make(map[string]*Method)
	}
	m.Service = s
	s.methods[m.Name] = m
	return nil
}

// Method returns the method of that name.
func (s *Service) Method(name string) (*Method, bool) {
	m, ok := s.methods[name]
	return m, ok
}

// Methods returns the names of all methods, sorted.
func (s *Service) Methods() []string {
	return slices.Sorted(maps.Keys(s.methods))
}

// need returns the number of answers that a call of this kind waits for by default.
func (q Quorum) need(kind coordinator.Kind, n int) int {
	count := q.W
	if kind == coordinator.Read {
		count = q.R
	}
	if count == 0 || n != q.N {
		return coordinator.Majority(n)
	}
	return count
}

// Host is what a vnode knows about the place where it runs.
type Host struct {
	Service   string
	Partition ring.Partition
	Node      ring.NodeName
	// Logger has the service and the partition among its attributes.
	Logger *slog.Logger

	node *Node
}

// Push sends a message to an inbox: at most once, in order for each node that
// sends, while the connection lives, and without waiting. An error means that it
// will not arrive. No error does not mean that it will: who must know, watches
// the inbox.
func (h Host) Push(to Address, m proto.Message) error {
	if h.node == nil {
		return fmt.Errorf("%w: this vnode is on no node", ErrUnreachable)
	}
	return h.node.Push(to, m)
}

// Watch calls gone, once and on a goroutine of its own, when an inbox is not there
// any more: closed, or its node down or no member. It may find out late, at the
// next message to the inbox. Stop ends the interest, as a vnode that closes should.
func (h Host) Watch(a Address, gone func()) (stop func()) {
	if h.node == nil {
		return func() {}
	}
	return h.node.Watch(a, gone)
}
