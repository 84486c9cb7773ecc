package torc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/puppet"
	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/ring"
)

func (c *cluster) join(name torc.NodeName) {
	c.puppets[name] = puppet.NewRepairing(torc.Quorum{N: 3})
	c.nodes[name] = c.start(name, 1, c.puppets[name])
}

// shares returns how many partitions each member owns, in the ring of one node.
func (c *cluster) shares(on torc.NodeName) string {
	var shares []string
	for _, m := range c.nodes[on].Ring().Members() {
		owned := len(slices.Collect(c.nodes[on].Ring().Owned(m.Name)))
		shares = append(shares, fmt.Sprintf("%s %v %d", m.Name, m.Status, owned))
	}
	return strings.Join(shares, ", ")
}

// TestNodeThatJoinsGetsItsShare: on its own, once the cluster has settled, and
// on every node alike.
func TestNodeThatJoinsGetsItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, "a", "b", "c")
		c.join("d")
		time.Sleep(membership.SettleAfter - time.Second)
		if got := c.shares("a"); got != "a valid 40, b valid 40, c valid 40, d joining 0" {
			t.Errorf("before the cluster has settled: %s", got)
		}
		time.Sleep(5 * time.Second)
		for name := range c.nodes {
			if got := c.shares(name); got != "a valid 30, b valid 30, c valid 30, d valid 30" {
				t.Errorf("%s sees %s", name, got)
			}
		}
		if err := c.put("d", "key", torc.W(3)); err != nil {
			t.Error(err)
		}
	})
}

// TestJoinUnderLoad: while empty partitions change their owner, no request fails
// and no acknowledged write is lost. Partitions with items stay, and say why.
func TestJoinUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, "a", "b", "c")
		const written = 5 // keys from each node: some partitions get items, some do not
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for _, on := range []torc.NodeName{"a", "b", "c"} {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					case <-time.After(100 * time.Millisecond):
					}
					if err := c.put(on, fmt.Sprintf("%s-%d", on, i%written)); err != nil {
						t.Errorf("%s: %v", on, err)
					}
				}
			})
		}
		c.SetDelay(3 * time.Millisecond)
		time.Sleep(time.Second)
		joins := puppet.NewRepairing(torc.Quorum{N: 3})
		d := c.start("d", 1, joins)
		time.Sleep(12 * time.Second)
		close(stop)
		wg.Wait()
		c.nodes["d"], c.puppets["d"] = d, joins
		for _, on := range []torc.NodeName{"a", "b", "c"} {
			for i := range written {
				key := fmt.Sprintf("%s-%d", on, i)
				if got, err := c.get("d", key, torc.R(2)); err != nil || got != key {
					t.Errorf("%s was acknowledged, and is read as %q: %v", key, got, err)
				}
			}
		}
		owned := len(slices.Collect(c.nodes["a"].Ring().Owned("d")))
		pending := c.nodes["a"].Ring().Transfers()
		if owned != 30 || len(pending) > 0 {
			t.Errorf("d owns %d partitions and waits for %v", owned, pending)
		}
		for name, n := range c.nodes {
			for _, s := range n.Transfers() {
				t.Errorf("%s goes on with %v, %v: %s", name, s.Transfer, s.Phase, s.Reason)
			}
		}
	})
}

func TestNodeThatLeavesOwnsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, five()...)
		if err := c.nodes["c"].Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // the others may have something to move, too
		if got := c.shares("c"); got != "a valid 30, b valid 30, c exiting 0, d valid 30, e valid 30" {
			t.Errorf("after the leave: %s", got)
		}
		c.stop("c")
		time.Sleep(2 * time.Second)
		if got := c.shares("a"); got != "a valid 30, b valid 30, d valid 30, e valid 30" {
			t.Errorf("after its node has gone: %s", got)
		}
	})
}

func TestLastMemberCannotLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 1}, "a")
		if err := c.nodes["a"].Leave(t.Context()); err == nil {
			t.Error("the last member left")
		}
		if err := c.put("a", "key"); err != nil {
			t.Error(err)
		}
	})
}

// TestGoneMemberIsEvicted: after EvictAfter, not before, and the others go on.
func TestGoneMemberIsEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, five()...)
		c.stop("c")
		time.Sleep(membership.DefaultEvictAfter - time.Second)
		if got := c.shares("a"); !strings.Contains(got, "c valid 24") {
			t.Errorf("before its time: %s", got)
		}
		time.Sleep(5 * time.Second)
		if got := c.shares("a"); got != "a valid 30, b valid 30, c down 0, d valid 30, e valid 30" {
			t.Errorf("after its time: %s", got)
		}
	})
}

func TestManualModeMovesNothingByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startClusterIn(t, torc.RebalanceManual, torc.Quorum{N: 3}, "a", "b", "c")
		c.join("d")
		time.Sleep(time.Minute)
		if got := c.shares("a"); got != "a valid 40, b valid 40, c valid 40, d joining 0" {
			t.Fatalf("without a commit: %s", got)
		}
		d, _ := c.nodes["a"].Ring().Member("d")
		plan, err := c.nodes["a"].Plan(ring.Join(d))
		if err != nil || plan.Moves != 30 || plan.LowerBound != 30 {
			t.Fatalf("planned %v: %v", plan, err)
		}
		if err := c.nodes["b"].Commit(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
		if err := c.nodes["c"].Commit(t.Context(), plan); !errors.Is(err, torc.ErrStalePlan) {
			t.Errorf("committed twice: %v", err)
		}
		time.Sleep(2 * time.Second)
		if got := c.shares("d"); got != "a valid 30, b valid 30, c valid 30, d valid 30" {
			t.Errorf("after the commit: %s", got)
		}
	})
}

// TestRestartUnderTheSameName: the ring keeps the member, with its new address.
func TestRestartUnderTheSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, "a", "b", "c")
		c.stop("b")
		time.Sleep(10 * time.Second)
		c.nodes["b"] = c.start("b", 1, c.puppets["b"])
		time.Sleep(time.Second)
		if !c.nodes["a"].Reachable("b") {
			t.Error("a does not reach b after its restart")
		}
		if got := c.shares("a"); got != "a valid 40, b valid 40, c valid 40" {
			t.Errorf("after a restart: %s", got)
		}
		if err := c.nodes["a"].Leave(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
