package consul

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/torc-io/torc/membership"
)

// feed is a blocking query whose answers are shared by everyone in the process
// who watches the same thing. It runs while somebody does.
//
// It is level-triggered: an answer is a whole state, and what counts is only
// whether it differs from the last one. So nothing depends on Consul telling of
// each change, and an answer without a change wakes nobody.
type feed[T any] struct {
	store  *Store
	ask    ask[T]
	same   func(a, b T) bool
	outage outage

	// All below is guarded by mu.
	mu       sync.Mutex
	watchers int
	stop     context.CancelFunc // of the query, while there are watchers
	state    T
	known    bool          // state is an answer, and somebody has watched ever since
	changed  chan struct{} // closed and replaced when state changes
}

// ask is one query: it returns the state, and Consul's meta data with the index
// of it.
type ask[T any] func(*api.QueryOptions) (T, *api.QueryMeta, error)

func newFeed[T any](s *Store, what string, ask ask[T], same func(a, b T) bool) *feed[T] {
	return &feed[T]{
		store: s, ask: ask, same: same, changed: make(chan struct{}),
		outage: outage{logger: s.config.Logger, what: what},
	}
}

// watch delivers the state, once it is known and after changes, until ctx ends.
// A slow receiver misses states, never the last.
func (f *feed[T]) watch(ctx context.Context) <-chan T {
	f.enter()
	out := make(chan T)
	go func() {
		defer close(out)
		defer f.leave()
		for {
			state, known, changed := f.look()
			offer := out
			if !known {
				offer = nil
			}
			if !membership.Deliver(ctx, offer, state, changed) {
				return
			}
		}
	}()
	return out
}

func (f *feed[T]) enter() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers++
	if f.watchers > 1 {
		return
	}
	var ctx context.Context
	ctx, f.stop = context.WithCancel(context.Background()) //nolint:gosec // leave calls it
	go f.poll(ctx)
}

// leave ends the query with its last watcher. What it knew is old by the time
// that the next one comes.
func (f *feed[T]) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers--
	if f.watchers == 0 {
		f.stop()
		f.known = false
	}
}

func (f *feed[T]) look() (state T, known bool, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state, f.known, f.changed
}

// set makes an answer the state, unless ctx, that of the query, has ended: the
// next query may be under way already.
func (f *feed[T]) set(ctx context.Context, state T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil || f.known && f.same(f.state, state) {
		return
	}
	f.state, f.known = state, true
	close(f.changed)
	f.changed = make(chan struct{})
}

// poll asks again and again until ctx ends.
//
// After an error it starts from index 0: the agent that answers next may be one
// that has lost everything, and would hold a query for an index that it reaches
// in a week.
func (f *feed[T]) poll(ctx context.Context) {
	retry := backoff{first: f.store.timing.retryFirst, most: f.store.timing.retryMax}
	var tokens bucket
	var index uint64
	for pause(ctx, tokens.take(time.Now())) {
		state, got, err := f.query(ctx, index)
		f.outage.note(ctx, err)
		if err != nil {
			index = 0
			pause(ctx, retry.next())
			continue
		}
		index = nextIndex(index, got)
		retry.reset()
		f.set(ctx, state)
	}
}

// query asks for a state later than index, or for the present one if that is 0.
// It comes back even if the agent does not.
func (f *feed[T]) query(ctx context.Context, index uint64) (state T, got uint64, err error) {
	limit := f.store.timing.call
	if index > 0 {
		// The agent adds up to a sixteenth to the wait.
		limit += f.store.timing.wait + f.store.timing.wait/16
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	options := f.store.read(ctx)
	options.WaitIndex, options.WaitTime = index, f.store.timing.wait
	// What an index is the beginning of must not be older than what another server
	// answered before.
	options.RequireConsistent = index == 0
	state, meta, err := f.ask(options)
	if err != nil {
		return state, 0, err
	}
	return state, meta.LastIndex, nil
}

// nextIndex returns the index to wait for after an answer with index got, by the
// rules of https://developer.hashicorp.com/consul/api-docs/features/blocking: one
// that went back is from another history, so ask afresh; and never wait for 0,
// which does not wait.
func nextIndex(asked, got uint64) uint64 {
	if got = max(got, 1); got < asked {
		return 0
	}
	return got
}
