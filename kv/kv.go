// Package kv is the built-in replicated key/value service, written on the
// public API of torc alone. It is also the reference for how a stateful service
// looks.
//
// # What it promises
//
// Every write gets a version from a hybrid logical clock, and each replica
// keeps the object with the newest version. So replicas that have seen the same
// writes hold the same objects, in whatever order the writes came. A delete is
// a write of a tombstone, which beats older values for as long as it is kept;
// it is kept for good. A fetch returns the newest object that R replicas hold,
// and repairs those that are behind.
//
// When a store or a delete returns without an error, W replicas have it, and
// none of them had anything newer: a write that met a newer version is made
// again with a version above it, so a slow clock loses no acknowledged write.
// Of two writes at the same time, the one with the greater version stays.
//
// # Use
//
//	service := kv.New(torc.Quorum{N: 3})
//	node, err := torc.Start(ctx, config, service)
//	client := service.On(node)
//	_, err = client.Store(ctx, []byte("k"), kv.Value{Bytes: []byte("v")})
//	object, err := client.Fetch(ctx, []byte("k"), torc.R(2))
package kv

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	torc "github.com/torc-io/torc"
	kvpb "github.com/torc-io/torc/proto/torc/kv/v1"
)

// ServiceName is the service's name in addresses, metrics and commands.
const ServiceName = "kv"

// MaxValueBytes bounds a value: the largest message less room for its key,
// content type and version.
const MaxValueBytes = torc.MaxMessageBytes - 16<<10

// MaxKeyBytes bounds a key.
const MaxKeyBytes = 8 << 10

// Service is the key/value service. Any number of nodes may share one.
type Service struct {
	*torc.Service[*vnode]
	store torc.Command[*kvpb.Store, *kvpb.Version]
	fetch torc.Command[*kvpb.Fetch, *kvpb.Object]
}

// New returns the service with the given defaults for N, R and W.
func New(q torc.Quorum) *Service {
	s := torc.NewService(ServiceName, q, open)
	store := torc.HandleWrite(s, (*vnode).Store, torc.NoWait[*kvpb.Version](), torc.Resolve(newest))
	fetch := torc.HandleRead(s, (*vnode).Fetch, torc.NoWait[*kvpb.Object](),
		torc.Resolve(newer), torc.Same(sameVersion), torc.Repair(store, rewrite))
	return &Service{s, store, fetch}
}

// newest returns the newer of two versions.
func newest(a, b *kvpb.Version) *kvpb.Version {
	if compare(a, b) < 0 {
		return b
	}
	return a
}

// sameVersion decides whether a replica needs repair.
func sameVersion(a, b *kvpb.Object) bool {
	return compare(a.GetVersion(), b.GetVersion()) == 0
}

// rewrite brings a replica up to date with what a fetch has resolved.
func rewrite(key []byte, resolved *kvpb.Object) *kvpb.Store {
	return &kvpb.Store{Key: key, Object: resolved}
}

// objects is the store that a vnode embeds; the alias keeps the embedded field
// from being called Store, as the handler is.
type objects = torc.Store[*kvpb.Object]

// vnode holds the objects of one partition.
type vnode struct {
	*objects
	clock *clock
}

func open(_ context.Context, h torc.Host) (*vnode, error) {
	return &vnode{torc.NewStore(newer), newClock(string(h.Node), time.Now)}, nil
}

// Store keeps the newer of the object that is there and the one that comes. It
// refuses a version from a clock that runs far ahead, which no write of anybody
// else could ever replace.
func (v *vnode) Store(_ context.Context, cmd *kvpb.Store) (*kvpb.Version, error) {
	arrived := cmd.GetObject()
	if arrived.GetVersion() == nil {
		return nil, fmt.Errorf("%w: an object without a version", torc.ErrInvalid)
	}
	if err := v.clock.Observe(arrived.GetVersion()); err != nil {
		return nil, err
	}
	present, _ := v.Get(cmd.GetKey())
	kept := newer(present, arrived)
	if kept == arrived {
		v.Put(cmd.GetKey(), kept)
	}
	return kept.GetVersion(), nil
}

// Fetch returns the object under the key. A tombstone is an object too: the
// coordinator must see it, to resolve it against older values.
func (v *vnode) Fetch(_ context.Context, cmd *kvpb.Fetch) (*kvpb.Object, error) {
	object, ok := v.Get(cmd.GetKey())
	if !ok {
		return nil, torc.ErrNotFound
	}
	return object, nil
}

// Value is what a client stores.
type Value struct {
	Bytes       []byte
	ContentType string
}

// Client stores, fetches and deletes through one node, or from outside of the
// cluster. Its methods may be called from any goroutine.
type Client struct {
	service *Service
	sender  torc.Sender
	clock   *clock
}

// On returns a client that sends through a node or a client.Client. Each is a
// writer of its own in the versions, told apart by chance, so that a node that
// restarts with a clock set back cannot give a version twice.
func (s *Service) On(sender torc.Sender) *Client {
	name := torc.NodeName("client")
	if node, ok := sender.(*torc.Node); ok {
		name = node.Name()
	}
	writer := fmt.Sprintf("%s/%s", name, rand.Text()[:8])
	return &Client{s, sender, newClock(writer, time.Now)}
}

// Store puts a value under a key, and returns its version. The value's bytes
// must not be changed afterwards.
func (c *Client) Store(ctx context.Context, key []byte, v Value, opts ...torc.CallOption) (*kvpb.Version, error) {
	if len(v.Bytes) > MaxValueBytes {
		return nil, fmt.Errorf("%w: the value has %d bytes, the most is %d", torc.ErrTooLarge, len(v.Bytes), MaxValueBytes)
	}
	return c.write(ctx, key, &kvpb.Object{Value: v.Bytes, ContentType: v.ContentType}, opts)
}

// Delete removes what is under a key, and returns the version of the removal.
// Removing what is not there is no error: it may be there on a replica that
// was not asked.
func (c *Client) Delete(ctx context.Context, key []byte, opts ...torc.CallOption) (*kvpb.Version, error) {
	return c.write(ctx, key, &kvpb.Object{Deleted: true}, opts)
}

// maxOvertakes is how often a write is made again because a newer version was
// in its way. Each time the clock learns of that version, so a second attempt
// fails only against a writer that is at it at the same time. With sixty such
// writers of one key, 8 attempts are too few for one in a thousand writes.
const maxOvertakes = 32

// errOvertaken ends a write that others keep overtaking.
var errOvertaken = fmt.Errorf("%w: other writers of this key were faster each time", torc.ErrOverloaded)

func (c *Client) write(ctx context.Context, key []byte, object *kvpb.Object, opts []torc.CallOption) (*kvpb.Version, error) {
	if len(key) > MaxKeyBytes {
		return nil, fmt.Errorf("%w: the key has %d bytes, the most is %d", torc.ErrTooLarge, len(key), MaxKeyBytes)
	}
	for range maxOvertakes {
		attempt := &kvpb.Object{
			Value: object.GetValue(), ContentType: object.GetContentType(), Deleted: object.GetDeleted(),
			Version: c.clock.Now(),
		}
		stored, err := c.service.store.Do(ctx, c.sender, &kvpb.Store{Key: key, Object: attempt}, opts...)
		if err != nil {
			return nil, err
		}
		if compare(stored, attempt.GetVersion()) <= 0 {
			return attempt.GetVersion(), nil
		}
		if err := c.clock.Observe(stored); err != nil {
			return nil, fmt.Errorf("kv: a newer version is in the way: %w", err)
		}
	}
	return nil, errOvertaken
}

// Fetch returns the object under a key, or [torc.ErrNotFound].
func (c *Client) Fetch(ctx context.Context, key []byte, opts ...torc.CallOption) (*kvpb.Object, error) {
	object, err := c.service.fetch.Do(ctx, c.sender, &kvpb.Fetch{Key: key}, opts...)
	if err != nil {
		return nil, err
	}
	if object.GetDeleted() {
		return nil, torc.ErrNotFound
	}
	return object, nil
}
