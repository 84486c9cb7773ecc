package bench

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
)

// keyspace is what operations draw from. It is made before the clock starts:
// neither a key nor a value is allocated while it runs.
type keyspace struct {
	keys  [][]byte
	value []byte
}

func newKeyspace(count int) *keyspace {
	k := &keyspace{value: bytes.Repeat([]byte("v"), valueBytes)}
	for i := range max(1, count) {
		k.keys = append(k.keys, fmt.Appendf(nil, "key-%08d", i))
	}
	return k
}

// draw returns a client's source of keys, uniform and the same at each call.
func (k *keyspace) draw(client int) func() []byte {
	random := rand.New(rand.NewPCG(1, uint64(client)))
	return func() []byte { return k.keys[random.IntN(len(k.keys))] }
}

// fill stores every key.
func (k *keyspace) fill(ctx context.Context, store func(key, value []byte) error) error {
	for _, key := range k.keys {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := store(key, k.value); err != nil {
			return fmt.Errorf("store %s: %w", key, err)
		}
	}
	return nil
}

// fillers store the keys. More would only fill mailboxes.
const fillers = 64

// fillParallel stores every key, from several goroutines.
func (k *keyspace) fillParallel(ctx context.Context, store func(key, value []byte) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for i := range fillers {
		part := &keyspace{value: k.value}
		for at := i; at < len(k.keys); at += fillers {
			part.keys = append(part.keys, k.keys[at])
		}
		all.Go(func() {
			if err := part.fill(ctx, store); err != nil {
				cancel(err)
			}
		})
	}
	all.Wait()
	return context.Cause(ctx)
}
