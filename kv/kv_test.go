package kv

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/actors/vnodetest"
	"github.com/torc-io/torc/membership/local"
	kvpb "github.com/torc-io/torc/proto/torc/kv/v1"
)

// TestVnodeKeepsItsPromises runs the conformance kit: what makes the partition
// of a kv vnode movable.
func TestVnodeKeepsItsPromises(t *testing.T) {
	write := func(v *vnode, key []byte, object *kvpb.Object) error {
		_, err := v.Store(t.Context(), &kvpb.Store{Key: key, Object: object})
		return err
	}
	vnodetest.Run(t, vnodetest.Config[*vnode]{
		Open: func(testing.TB) *vnode {
			v, err := open(context.Background(), torc.Host{Node: "test"})
			if err != nil {
				t.Fatal(err)
			}
			return v
		},
		Write: func(v *vnode, key []byte, i int) error {
			return write(v, key, &kvpb.Object{Value: fmt.Append(nil, i), Version: &kvpb.Version{Wall: int64(i)}})
		},
		Remove: func(v *vnode, key []byte) error {
			present, _ := v.Get(key)
			return write(v, key, &kvpb.Object{Deleted: true, Version: &kvpb.Version{Wall: present.GetVersion().GetWall(), Logical: 1}})
		},
	})
}

// three starts a cluster of three and returns a client on each.
func three(t *testing.T) []*Client {
	t.Helper()
	service, store, network := New(torc.Quorum{N: 3}), local.NewStore(), torc.NewNetwork()
	clients := make([]*Client, 3)
	var wg sync.WaitGroup
	for i, name := range []string{"a", "b", "c"} {
		wg.Go(func() {
			node, err := torc.Start(context.Background(), torc.Config{
				Name: name, Membership: store.Connect(), Network: network, Bootstrap: 3,
			}, service)
			if err != nil {
				t.Error(err)
				return
			}
			clients[i] = service.On(node)
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() {
		for _, c := range clients {
			if err := c.sender.(*torc.Node).Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	return clients
}

func TestStoreFetchDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients := three(t)
		for i, key := range []string{"k", "/", "%2f", "\x00", " ", "💾", "..", "\xff\xfe"} {
			writer, reader := clients[i%3], clients[(i+1)%3]
			if _, err := reader.Fetch(t.Context(), []byte(key)); !errors.Is(err, torc.ErrNotFound) {
				t.Errorf("%q before the first store: %v", key, err)
			}
			if _, err := writer.Store(t.Context(), []byte(key), Value{[]byte(key), "text/plain"}); err != nil {
				t.Fatal(err)
			}
			object, err := reader.Fetch(t.Context(), []byte(key))
			if err != nil || string(object.GetValue()) != key || object.GetContentType() != "text/plain" {
				t.Errorf("%q: fetched %v, %v", key, object, err)
			}
			if _, err := writer.Delete(t.Context(), []byte(key)); err != nil {
				t.Fatal(err)
			}
			if _, err := reader.Fetch(t.Context(), []byte(key)); !errors.Is(err, torc.ErrNotFound) {
				t.Errorf("%q after the delete: %v", key, err)
			}
		}
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)[0]
		if _, err := c.Store(t.Context(), []byte("k"), Value{Bytes: make([]byte, MaxValueBytes)}); err != nil {
			t.Errorf("the largest value: %v", err)
		}
		if _, err := c.Fetch(t.Context(), []byte("k"), torc.R(3)); err != nil {
			t.Errorf("fetch of the largest value: %v", err)
		}
		if _, err := c.Store(t.Context(), make([]byte, MaxKeyBytes), Value{Bytes: make([]byte, MaxValueBytes)}); err != nil {
			t.Errorf("the largest value under the longest key: %v", err)
		}
		for name, write := range map[string]func() error{
			"a value over the limit": func() error {
				_, err := c.Store(t.Context(), []byte("k"), Value{Bytes: make([]byte, MaxValueBytes+1)})
				return err
			},
			"a key over the limit": func() error {
				_, err := c.Delete(t.Context(), make([]byte, MaxKeyBytes+1))
				return err
			},
		} {
			if err := write(); !errors.Is(err, torc.ErrTooLarge) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := c.Store(t.Context(), nil, Value{}); !errors.Is(err, torc.ErrInvalid) {
			t.Errorf("an empty key: %v", err)
		}
	})
}

// TestSlowClockLosesNoWrite: a write that is acknowledged is not silently older
// than what was there, even if its node's clock is behind.
func TestSlowClockLosesNoWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients := three(t)
		slow := clients[1]
		slow.clock.now = func() time.Time { return time.Now().Add(-30 * time.Second) }
		if _, err := clients[0].Store(t.Context(), []byte("k"), Value{Bytes: []byte("first")}); err != nil {
			t.Fatal(err)
		}
		if _, err := slow.Store(t.Context(), []byte("k"), Value{Bytes: []byte("second")}); err != nil {
			t.Fatal(err)
		}
		if object, err := clients[2].Fetch(t.Context(), []byte("k")); err != nil || string(object.GetValue()) != "second" {
			t.Errorf("fetched %v, %v; the second write was acknowledged", object, err)
		}
		if _, err := slow.Delete(t.Context(), []byte("k")); err != nil {
			t.Fatal(err)
		}
		if _, err := clients[0].Fetch(t.Context(), []byte("k")); !errors.Is(err, torc.ErrNotFound) {
			t.Errorf("after an acknowledged delete: %v", err)
		}
	})
}

// TestClockFarAheadIsRefused: its writes would stand until the time has caught up.
func TestClockFarAheadIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := three(t)[0]
		c.clock.now = func() time.Time { return time.Now().Add(2 * MaxDrift) }
		_, err := c.Store(t.Context(), []byte("k"), Value{})
		if _, ok := errors.AsType[*torc.QuorumError](err); !ok {
			t.Errorf("a store from two minutes ahead: %v", err)
		}
	})
}

// TestWritersOfOneKeyAgree: whoever is last by version stays, on all replicas.
func TestWritersOfOneKeyAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients := three(t)
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				if _, err := clients[i%3].Store(t.Context(), []byte("k"), Value{Bytes: fmt.Append(nil, i)}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		replies, err := clients[0].service.fetch.All(t.Context(), clients[0].sender, &kvpb.Fetch{Key: []byte("k")})
		if err != nil || len(replies) != 3 {
			t.Fatalf("%d replies, %v", len(replies), err)
		}
		for _, r := range replies[1:] {
			if compare(r.Value.GetVersion(), replies[0].Value.GetVersion()) != 0 {
				t.Errorf("%s has %v, %s has %v", r.Node, r.Value, replies[0].Node, replies[0].Value)
			}
		}
	})
}
