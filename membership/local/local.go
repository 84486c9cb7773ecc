// Package local keeps a cluster's membership inside one process.
//
// It is the embedded default: a development cluster or a test starts several
// nodes on one [Store], with nothing installed and nothing on the network. It
// keeps the promises of package membership, compare-and-set and level-triggered
// watches among them, but it forgets everything when the process ends.
//
//	store := local.NewStore()
//	a := store.Connect() // one connection for each node
//	b := store.Connect()
package local

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/torc-io/torc/membership"
)

// Store is the membership of one cluster. It is safe for concurrent use.
type Store struct {
	mu       sync.Mutex
	nodes    map[string]membership.Node // by name
	document membership.Document
	version  uint64        // of the newest document there ever was
	changed  chan struct{} // closed and replaced at every change
	claimant chan struct{} // holds one token while nobody is claimant
}

// NewStore returns an empty store.
func NewStore() *Store {
	s := &Store{
		nodes:    make(map[string]membership.Node),
		changed:  make(chan struct{}),
		claimant: make(chan struct{}, 1),
	}
	s.claimant <- struct{}{}
	return s
}

// Connect returns a connection for one node.
func (s *Store) Connect() membership.Membership {
	return &connection{store: s}
}

// RemoveDocument makes the store forget the ring document, as one that lost its
// contents would have.
func (s *Store) RemoveDocument() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.document = membership.Document{}
	s.notify()
}

// notify wakes all watches. The caller holds s.mu.
func (s *Store) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// sorted returns the known nodes by name. The caller holds s.mu.
func (s *Store) sorted() []membership.Node {
	nodes := make([]membership.Node, 0, len(s.nodes))
	for _, name := range slices.Sorted(maps.Keys(s.nodes)) {
		nodes = append(nodes, s.nodes[name])
	}
	return nodes
}

// connection is one node's view of the store.
type connection struct {
	store *Store
	self  membership.Node // guarded by store.mu; zero until Register
}

func (c *connection) Register(_ context.Context, self membership.Node) error {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, taken := s.nodes[self.Name]; taken && other.Address != self.Address {
		return fmt.Errorf("%w: %q runs at %s", membership.ErrNameTaken, self.Name, other.Address)
	}
	self.Healthy = true
	c.self = self
	s.nodes[self.Name] = self
	s.notify()
	return nil
}

func (c *connection) Deregister(context.Context) error {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.nodes[c.self.Name]; !ok || known.Incarnation != c.self.Incarnation {
		return nil
	}
	delete(s.nodes, c.self.Name)
	s.notify()
	return nil
}

func (c *connection) WatchNodes(ctx context.Context) <-chan []membership.Node {
	return watch(ctx, c.store, (*Store).sorted)
}

func (c *connection) WatchDocument(ctx context.Context) <-chan membership.Document {
	return watch(ctx, c.store, func(s *Store) membership.Document { return s.document })
}

func (c *connection) Document(context.Context) (membership.Document, error) {
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	return c.store.document, nil
}

func (c *connection) Swap(_ context.Context, version uint64, data []byte) (membership.Document, error) {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.document.Version != version {
		return membership.Document{}, membership.ErrConflict
	}
	s.version++
	s.document = membership.Document{Data: slices.Clone(data), Version: s.version}
	s.notify()
	return s.document, nil
}

func (c *connection) LockClaimant(ctx context.Context) (context.Context, func(), error) {
	select {
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("membership: wait for the claimant lock: %w", context.Cause(ctx))
	case <-c.store.claimant:
	}
	held, cancel := context.WithCancel(ctx)
	release := sync.OnceFunc(func() {
		cancel()
		c.store.claimant <- struct{}{}
	})
	context.AfterFunc(held, release)
	return held, release, nil
}

// watch delivers what look returns now and at every change of the store, of
// whatever part: a receiver compares contents. It always gets the newest state,
// since older ones are replaced while it is busy.
func watch[T any](ctx context.Context, s *Store, look func(*Store) T) <-chan T {
	out := make(chan T)
	go func() {
		defer close(out)
		for {
			s.mu.Lock()
			state, changed := look(s), s.changed
			s.mu.Unlock()
			if !membership.Deliver(ctx, out, state, changed) {
				return
			}
		}
	}()
	return out
}
