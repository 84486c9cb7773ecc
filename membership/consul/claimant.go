package consul

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"
)

// claimantKey is whose holder is the claimant, below the cluster's prefix.
const claimantKey = "claimant"

const (
	// claimantLockDelay is how long the lock rests after its holder's session has
	// ended without a release: enough that a holder which hears of it at once has
	// stopped. It is no safety (the leader keeps it in memory), and needs to be none.
	claimantLockDelay = time.Second
	// renewals is how often a TTL the session is renewed.
	renewals = 5
	// giveUpTimeout bounds how long release takes when Consul is away. What it
	// leaves undone, the session's TTL does.
	giveUpTimeout = 2 * time.Second
	// lockPause to lockPauseMax is how long to wait for a lock that nobody holds
	// and that yet is not to be had, because of the lock delay.
	lockPause    = 100 * time.Millisecond
	lockPauseMax = 2 * time.Second
)

// Why the context of a claimant has ended, by context.Cause.
var (
	errReleased  = errors.New("consul: the claimant lock was released")
	errLockLost  = errors.New("consul: the claimant lock is lost: its session was ended, or its key taken away")
	errUnrenewed = errors.New("consul: the claimant lock is given up: its session could not be renewed in time")
)

// LockClaimant waits while another holds the lock, and while Consul is away, until
// ctx ends.
//
// The returned context ends when the session is known to have ended, and at the
// latest when four fifths of its TTL have passed on this machine's clock since the
// last renewal that worked was sent: Consul begins the TTL later than that, so it
// cannot have given the lock to another yet. A process that is stopped by a signal
// in between finds its context ended when it goes on, but perhaps not before its
// next step: that step is safe by Swap alone.
func (c *connection) LockClaimant(ctx context.Context) (held context.Context, release func(), err error) {
	outage := outage{logger: c.config.Logger, what: "wait for the claimant lock"}
	retry := backoff{first: lockPause, most: lockPauseMax}
	watch, stop := context.WithCancel(ctx)
	defer stop()
	holders, holder := c.claimant.watch(watch), ""
	for {
		var again <-chan time.Time
		if holder == "" {
			began := time.Now()
			session, err := c.tryLock(ctx)
			if session != "" {
				outage.end()
				held, release := c.hold(ctx, session, began)
				return held, release, nil
			}
			outage.note(ctx, err)
			again = time.After(retry.next())
		}
		var open bool
		select {
		case <-again: // the holder may be gone, or the lock delay over
		case holder, open = <-holders:
			if !open {
				return nil, nil, fmt.Errorf("consul: wait for the claimant lock: %w", context.Cause(ctx))
			}
			retry.reset()
		}
	}
}

// tryLock returns a session that holds the lock, "" if none is to be had now.
func (c *connection) tryLock(ctx context.Context) (string, error) {
	session, err := c.newSession(ctx, c.key(claimantKey), claimantLockDelay)
	if err != nil {
		return "", err
	}
	var self holder
	if node := c.registered.Load(); node != nil {
		self = holderAs(*node)
	}
	got, err := c.acquire(ctx, c.key(claimantKey), session, self)
	if got {
		return session, nil
	}
	_ = c.endSession(context.WithoutCancel(ctx), session) // or it expires
	return "", err
}

// lock is the claimant lock while it is held, in the hands of one goroutine.
type lock struct {
	store   *Store
	session string
	renewed time.Time // when the last renewal that worked was sent
	outage  outage
}

// hold keeps the lock from when its session was asked for, until the context
// that it returns ends.
func (s *Store) hold(ctx context.Context, session string, began time.Time) (held context.Context, release func()) {
	held, cancel := context.WithCancelCause(ctx)
	l := &lock{
		store: s, session: session, renewed: began,
		outage: outage{logger: s.config.Logger, what: "renewal of the claimant lock"},
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		why := l.keep(held)
		cancel(why)
		l.giveUp()
		s.config.Logger.Info("consul: no longer claimant", "why", why)
	}()
	return held, func() { cancel(errReleased); <-done }
}

// keep renews the session until that fails or held ends, and returns why. It also
// asks for the holder with each renewal as long as the watch shows another one: a
// watch that has missed how the lock was acquired does not tell of its loss either.
func (l *lock) keep(held context.Context) error {
	holders, holder := l.store.claimant.watch(held), l.session
	renewal := time.NewTicker(l.store.timing.session / renewals)
	defer renewal.Stop()
	end := time.NewTimer(time.Until(l.end()))
	defer end.Stop()
	for {
		select {
		case <-held.Done():
			return context.Cause(held)
		case <-end.C:
			return errUnrenewed
		case holder = <-holders:
			if holder != l.session && l.isLost(held) {
				return errLockLost
			}
		case <-renewal.C:
			if holder != l.session && l.isLost(held) || !l.renew(held) {
				return errLockLost
			}
			end.Reset(time.Until(l.end()))
		}
	}
}

// end returns when the session may be near its end, as far as is known here.
func (l *lock) end() time.Time {
	return l.renewed.Add(l.store.timing.session * (renewals - 1) / renewals)
}

// renew returns false if the session has ended. It takes no longer than there is
// time.
func (l *lock) renew(held context.Context) bool {
	ctx, cancel := context.WithDeadline(held, l.end())
	defer cancel()
	sent := time.Now()
	alive, err := l.store.renewSession(ctx, l.session)
	l.outage.note(held, err)
	if err == nil && alive {
		l.renewed = sent
	}
	return err != nil || alive
}

// isLost asks again, with consistency, what a watch has shown: that may have been
// the state before the lock was acquired. If there is no answer, the renewals
// decide.
func (l *lock) isLost(ctx context.Context) bool {
	present, err := l.store.holderOf(ctx, l.store.key(claimantKey))
	return err == nil && present.session != l.session
}

// giveUp lets the next one have the lock at once: released by its holder, it does
// not rest for the lock delay.
func (l *lock) giveUp() {
	ctx, cancel := context.WithTimeout(context.Background(), giveUpTimeout)
	defer cancel()
	pair := &api.KVPair{Key: l.store.key(claimantKey), Session: l.session}
	if _, _, err := l.store.client.KV().Release(pair, l.store.write(ctx)); err == nil {
		_ = l.store.endSession(ctx, l.session) // or it expires
	}
}

// askClaimant returns the session that holds the lock, "" if none does.
func (s *Store) askClaimant(options *api.QueryOptions) (string, *api.QueryMeta, error) {
	pair, meta, err := s.client.KV().Get(s.key(claimantKey), options)
	if err != nil || pair == nil {
		return "", meta, err
	}
	return pair.Session, meta, nil
}
