package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/kv"
	"github.com/torc-io/torc/ping"
	pingpb "github.com/torc-io/torc/proto/torc/ping/v1"
)

// stopWithin bounds the shutdown of a node that nobody uses any more.
const stopWithin = 5 * time.Second

// solo is a cluster of one node, and the contexts of its clients. Each client
// has a context that could be cancelled, as a server's requests do, without a
// deadline of its own.
type solo struct {
	*keyspace
	node    *torc.Node
	clients context.Context
	cancel  context.CancelFunc
}

// startSolo starts a node with a service; the ring is of the default size if that
// is 0.
func startSolo(ctx context.Context, keys, ringSize int, service torc.Registration) (*solo, error) {
	node, err := torc.Start(ctx, torc.Config{Name: "solo", RingSize: ringSize}, service)
	if err != nil {
		return nil, err
	}
	return newSolo(ctx, node, keys), nil
}

func newSolo(ctx context.Context, node *torc.Node, keys int) *solo {
	s := &solo{keyspace: newKeyspace(keys), node: node}
	s.clients, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// client returns a context for one client. Its channel is not shared with the
// other clients, who would meet at that channel's lock.
func (s *solo) client() context.Context {
	type number struct{}
	ctx, cancel := context.WithCancel(context.WithValue(s.clients, number{}, nil))
	context.AfterFunc(s.clients, cancel)
	return ctx
}

// Close shuts the node down.
func (s *solo) Close() error {
	s.cancel()
	return shutDown(s.node)
}

func shutDown(node *torc.Node) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	return node.Shutdown(ctx)
}

// kvSystem is the key/value service on one node, which holds all replicas.
type kvSystem struct {
	*solo
	kv *kv.Client
	op func(*kvSystem, context.Context, []byte) error
}

// shape is what grows of a system.
type shape struct {
	n        int // replicas; a majority of them is waited for
	ringSize int // 0 is the default
	keys     int // 0 is as many as the others have
}

func openKV(op func(*kvSystem, context.Context, []byte) error) func(context.Context, int) (System, error) {
	return openShape(shape{n: replicas}, op)
}

func openShape(sh shape, op func(*kvSystem, context.Context, []byte) error) func(context.Context, int) (System, error) {
	return func(ctx context.Context, keys int) (System, error) {
		service := kv.New(torc.Quorum{N: sh.n})
		node, err := startSolo(ctx, cmp.Or(sh.keys, keys), sh.ringSize, service)
		if err != nil {
			return nil, err
		}
		s := &kvSystem{solo: node, kv: service.On(node.node), op: op}
		if err := s.fillAll(ctx, sh.n); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
}

// fillAll stores every key on all replicas, so that no fetch finds something to
// repair.
func (s *kvSystem) fillAll(ctx context.Context, n int) error {
	return s.fillParallel(ctx, func(key, value []byte) error {
		_, err := s.kv.Store(ctx, key, kv.Value{Bytes: value}, torc.W(n))
		return err
	})
}

// Client returns the operation of one client.
func (s *kvSystem) Client(number int) Op {
	ctx, key := s.client(), s.draw(number)
	return func() error { return s.op(s, ctx, key()) }
}

func (s *kvSystem) store(ctx context.Context, key []byte) error {
	_, err := s.kv.Store(ctx, key, kv.Value{Bytes: s.value})
	return err
}

func (s *kvSystem) fetch(ctx context.Context, key []byte) error {
	object, err := s.kv.Fetch(ctx, key)
	if err == nil && len(object.GetValue()) != valueBytes {
		return fmt.Errorf("fetch %s: %d bytes", key, len(object.GetValue()))
	}
	return err
}

// pingSystem is the ping service on one node.
type pingSystem struct {
	*solo
	service *ping.Service
}

func openPing(ctx context.Context, keys int) (System, error) {
	service := ping.New()
	node, err := startSolo(ctx, keys, 0, service)
	if err != nil {
		return nil, err
	}
	return &pingSystem{node, service}, nil
}

// Client returns the operation of one client.
func (s *pingSystem) Client(number int) Op {
	ctx, key := s.client(), s.draw(number)
	return func() error {
		_, err := s.service.Ping.Do(ctx, s.node, &pingpb.Ping{Key: key()})
		return err
	}
}
