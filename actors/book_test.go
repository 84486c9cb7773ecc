package actors_test

import (
	"context"
	"sync"

	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/ring"
)

// book is a connection to the membership store that a test troubles.
type book struct {
	membership.Membership
	name ring.NodeName
	*trouble
}

// trouble is what the store of all nodes does. The zero value is none.
type trouble struct {
	mu   sync.Mutex
	swap func(of ring.NodeName, do func() error) error // nil does it
	read func(of ring.NodeName) error                  // nil reads
}

// wrap is for setup.book.
func (t *trouble) wrap(name ring.NodeName, inner membership.Membership) membership.Membership {
	return &book{inner, name, t}
}

// set changes what the store does.
func (t *trouble) set(swap func(ring.NodeName, func() error) error, read func(ring.NodeName) error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.swap, t.read = swap, read
}

// Swap implements [membership.Membership]. What is on its way to the store cannot be
// called back, so the test may have it arrive when nobody waits any more.
func (b *book) Swap(ctx context.Context, version uint64, data []byte) (membership.Document, error) {
	b.mu.Lock()
	swap := b.swap
	b.mu.Unlock()
	if swap == nil {
		return b.Membership.Swap(ctx, version, data)
	}
	swapped := make(chan membership.Document, 1)
	err := swap(b.name, func() error {
		d, err := b.Membership.Swap(context.WithoutCancel(ctx), version, data)
		swapped <- d
		return err
	})
	if err != nil {
		return membership.Document{}, err
	}
	return <-swapped, nil
}

// Document implements [membership.Membership].
func (b *book) Document(ctx context.Context) (membership.Document, error) {
	b.mu.Lock()
	read := b.read
	b.mu.Unlock()
	if read != nil {
		if err := read(b.name); err != nil {
			return membership.Document{}, err
		}
	}
	return b.Membership.Document(ctx)
}
