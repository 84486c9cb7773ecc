package consul_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/torc-io/torc/membership"
)

// lock gets the claimant lock, which the test gives up at its end.
func lock(t *testing.T, m membership.Membership) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	held, release, err := m.LockClaimant(ctx)
	must(t, err)
	t.Cleanup(release)
	return held
}

// awaitLoss waits until the lock is lost, and checks what the cause says.
func awaitLoss(t *testing.T, held context.Context, cause string) {
	t.Helper()
	select {
	case <-held.Done():
	case <-time.After(patience):
		t.Fatal("the claimant does not know that it has lost the lock")
	}
	if got := context.Cause(held); !strings.Contains(got.Error(), cause) {
		t.Errorf("the lock was lost because of %v, want %s", got, cause)
	}
}

func TestClaimantHearsOfItsLoss(t *testing.T) {
	for name, take := range map[string]func(*testing.T, *cluster){
		"its session is destroyed": func(t *testing.T, c *cluster) {
			t.Helper()
			_, err := c.client.Session().Destroy(c.holder(t, "claimant"), nil)
			must(t, err)
		},
		"its key is deleted": func(t *testing.T, c *cluster) {
			t.Helper()
			_, err := c.client.KV().Delete(c.key("claimant"), nil)
			must(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t)
			held := lock(t, c.Connect())
			began := time.Now()
			take(t, c)
			awaitLoss(t, held, "lost")
			t.Logf("known after %s", time.Since(began))
			lock(t, c.open().Connect()) // after the lock delay
		})
	}
}

func TestClaimantOfALockInUseByOthers(t *testing.T) {
	c := newCluster(t)
	first := lock(t, c.Connect())
	type result struct {
		held    context.Context
		release func()
	}
	got := make(chan result, 1)
	go func() {
		held, release, err := c.open().Connect().LockClaimant(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- result{held, release}
	}()
	select {
	case <-got:
		t.Fatal("two claimants at once")
	case <-time.After(300 * time.Millisecond):
	}
	_, err := c.client.Session().Destroy(c.holder(t, "claimant"), nil)
	must(t, err)
	awaitLoss(t, first, "lost")
	second := <-got
	if second.held.Err() != nil {
		t.Errorf("the second claimant does not hold the lock: %v", context.Cause(second.held))
	}
	second.release()
	awaitLoss(t, second.held, "released")
}

func TestClaimantSaysWhoItIs(t *testing.T) {
	c := newCluster(t)
	a := c.Connect()
	register(t, a, node("a", "127.0.0.1:7001", 1))
	lock(t, a)
	pair, _, err := c.client.KV().Get(c.key("claimant"), nil)
	must(t, err)
	if !strings.Contains(string(pair.Value), `"node":"a"`) {
		t.Errorf("the key of the claimant says %s", pair.Value)
	}
}

// TestPausedClaimantCannotPublish has a claimant that believes in its lock after
// another one has got it and has published.
func TestPausedClaimantCannotPublish(t *testing.T) {
	c := newCluster(t)
	paused, next := c.Connect(), c.open().Connect()
	before, err := paused.Swap(t.Context(), 0, []byte("epoch 1"))
	must(t, err)
	lock(t, paused)
	_, err = c.client.Session().Destroy(c.holder(t, "claimant"), nil)
	must(t, err)
	lock(t, next)
	_, err = next.Swap(t.Context(), before.Version, []byte("epoch 2"))
	must(t, err)
	if _, err := paused.Swap(t.Context(), before.Version, []byte("epoch 2, another")); err == nil {
		t.Error("a paused claimant has published over a newer epoch")
	}
}
