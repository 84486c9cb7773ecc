package torc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/puppet"
	"github.com/torc-io/torc/membership/local"
	"github.com/torc-io/torc/ping"
	pingpb "github.com/torc-io/torc/proto/torc/ping/v1"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
	"github.com/torc-io/torc/ring"
)

// cluster is some nodes of one process over a network in memory.
type cluster struct {
	*torc.Network
	t         testing.TB
	store     *local.Store
	rebalance torc.Rebalance
	nodes     map[torc.NodeName]*torc.Node
	puppets   map[torc.NodeName]*puppet.Service // one a node, to see who executed what
}

// startCluster starts the nodes together, so that they share the first ring.
func startCluster(t testing.TB, q torc.Quorum, names ...torc.NodeName) *cluster {
	t.Helper()
	return startClusterIn(t, torc.RebalanceAuto, q, names...)
}

func startClusterIn(t testing.TB, mode torc.Rebalance, q torc.Quorum, names ...torc.NodeName) *cluster {
	t.Helper()
	c := &cluster{Network: torc.NewNetwork(), rebalance: mode}
	c.startAll(t, q, names)
	return c
}

// startAll starts the nodes over c.Network, or over TCP if there is none.
func (c *cluster) startAll(t testing.TB, q torc.Quorum, names []torc.NodeName) {
	t.Helper()
	c.t, c.store = t, local.NewStore()
	c.nodes, c.puppets = map[torc.NodeName]*torc.Node{}, map[torc.NodeName]*puppet.Service{}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, name := range names {
		p := puppet.NewRepairing(q)
		c.puppets[name] = p
		wg.Go(func() {
			node := c.start(name, len(names), p)
			mu.Lock()
			defer mu.Unlock()
			c.nodes[name] = node
		})
	}
	wg.Wait()
	t.Cleanup(c.shutdown)
}

func (c *cluster) start(name torc.NodeName, bootstrap int, p *puppet.Service) *torc.Node {
	node, err := torc.Start(context.Background(), torc.Config{
		Name: string(name), Membership: c.store.Connect(), Network: c.Network,
		Bootstrap: bootstrap, RequestTimeout: 5 * time.Second, Rebalance: c.rebalance,
	}, p)
	if err != nil {
		c.t.Errorf("start %s: %v", name, err)
	}
	return node
}

func (c *cluster) shutdown() {
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		shutdown(c.t, c.nodes[name])
	}
}

func (c *cluster) stop(name torc.NodeName) {
	shutdown(c.t, c.nodes[name])
	delete(c.nodes, name)
}

// store writes a value through a node, and look reads one.
func (c *cluster) put(on torc.NodeName, key string, opts ...torc.CallOption) error {
	_, err := c.puppets[on].Act.Do(context.Background(), c.nodes[on], &testingpb.Act{Key: []byte(key), Value: []byte(key)}, opts...)
	return err
}

func (c *cluster) get(on torc.NodeName, key string, opts ...torc.CallOption) (string, error) {
	seen, err := c.puppets[on].Look.Do(context.Background(), c.nodes[on], &testingpb.Look{Key: []byte(key)}, opts...)
	return string(seen.GetValue()), err
}

func someKeys(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("key-%d", i)
	}
	return all
}

func five() []torc.NodeName { return []torc.NodeName{"a", "b", "c", "d", "e"} }

func TestNodesThatStartTogetherShareTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, five()...)
		for name, node := range c.nodes {
			owned := len(slices.Collect(node.Ring().Owned(name)))
			if owned != 24 || node.Ring().Epoch() != c.nodes["a"].Ring().Epoch() {
				t.Errorf("%s owns %d of 120 partitions at epoch %d", name, owned, node.Ring().Epoch())
			}
		}
	})
}

// TestLosingOneOfFive: every key stays readable at R=2 and writable at W=2, not
// one request fails, and no list has two replicas on one node.
func TestLosingOneOfFive(t *testing.T) {
	for how, lose := range map[string]func(*cluster){
		"it is shut down":      func(c *cluster) { c.stop("c") },
		"it is cut off":        func(c *cluster) { c.isolate("c") },
		"its connections fail": func(c *cluster) { c.isolate("c"); c.breakAll("c") },
	} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { loseOne(t, lose) })
		})
	}
}

func loseOne(t *testing.T, lose func(*cluster)) {
	c := startCluster(t, torc.Quorum{N: 3}, five()...)
	for _, key := range someKeys(300) {
		if err := c.put("a", key, torc.W(3)); err != nil {
			t.Fatal(err)
		}
	}
	lose(c)
	for i, key := range someKeys(300) {
		on := torc.NodeName([]string{"a", "b", "d", "e"}[i%4])
		if got, err := c.get(on, key, torc.R(2)); err != nil || got != key {
			t.Fatalf("%s reads %s as %q: %v", on, key, got, err)
		}
		if err := c.put(on, key, torc.W(2)); err != nil {
			t.Fatalf("%s writes %s: %v", on, key, err)
		}
	}
	time.Sleep(2 * time.Second) // now it is suspected, if not before
	if c.nodes["a"].Reachable("c") {
		t.Error("a would still send to c")
	}
	for p := range ring.Partition(120) {
		nodes := map[torc.NodeName]bool{}
		for _, target := range c.nodes["a"].Targets(p, 3) {
			nodes[target.Node] = true
		}
		if len(nodes) != 3 || nodes["c"] {
			t.Fatalf("partition %d would go to %v", p, nodes)
		}
	}
}

// TestLosingOneOfFiveOverTCP: the same over the real transport, where it is a
// broken connection that tells.
func TestLosingOneOfFiveOverTCP(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) }) // once the nodes are shut down
	c := &cluster{}
	c.startAll(t, torc.Quorum{N: 3}, five())
	for _, key := range someKeys(300) {
		if err := c.put("a", key, torc.W(3)); err != nil {
			t.Fatal(err)
		}
	}
	c.stop("c")
	for i, key := range someKeys(300) {
		on := torc.NodeName([]string{"a", "b", "d", "e"}[i%4])
		if got, err := c.get(on, key, torc.R(2)); err != nil || got != key {
			t.Fatalf("%s reads %s as %q: %v", on, key, got, err)
		}
		if err := c.put(on, key, torc.W(2)); err != nil {
			t.Fatalf("%s writes %s: %v", on, key, err)
		}
	}
}

// TestReplicasOnOtherMachines: errors, panics and large values are the same when
// they come over the network.
func TestReplicasOnOtherMachines(t *testing.T) {
	c := &cluster{}
	c.startAll(t, torc.Quorum{N: 3}, []torc.NodeName{"a", "b", "c"})
	do := func(cmd *testingpb.Act) error {
		_, err := c.puppets["a"].Act.Do(t.Context(), c.nodes["a"], cmd, torc.W(3))
		return err
	}
	for verb, want := range map[string]error{"fail": torc.ErrFailed, "invalid": torc.ErrInvalid, "panic": torc.ErrPanic} {
		err := do(act(verb))
		short, ok := errors.AsType[*torc.QuorumError](err)
		if !ok || !errors.Is(err, want) || short.Got != 0 {
			t.Errorf("%s: %v", verb, err)
		}
	}
	large := make([]byte, torc.MaxMessageBytes-100)
	if err := do(&testingpb.Act{Key: []byte("large"), Value: large}); err != nil {
		t.Errorf("the largest command: %v", err)
	}
	seen, err := c.puppets["b"].Look.Do(t.Context(), c.nodes["b"], &testingpb.Look{Key: []byte("large")}, torc.R(3))
	if err != nil || !bytes.Equal(seen.GetValue(), large) {
		t.Errorf("read %d bytes, %v", len(seen.GetValue()), err)
	}
}

// isolate drops whatever goes to and comes from a node: a partition that nobody
// is told of.
func (c *cluster) isolate(name torc.NodeName) {
	for other := range c.nodes {
		if other != name {
			c.Cut(string(name), string(other))
			c.Cut(string(other), string(name))
		}
	}
}

func (c *cluster) rejoin(name torc.NodeName) {
	for other := range c.nodes {
		if other != name {
			c.Heal(string(name), string(other))
			c.Heal(string(other), string(name))
		}
	}
}

func (c *cluster) breakAll(name torc.NodeName) {
	for other := range c.nodes {
		if other != name {
			c.Break(string(name), string(other))
		}
	}
}

// TestSilentPeerIsFoundAndForgiven: a peer that hangs keeps its connections, so
// only its silence tells. Contact clears the suspicion, and nothing moves.
func TestSilentPeerIsFoundAndForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, five()...)
		epoch := c.nodes["a"].Ring().Epoch()
		c.isolate("c")
		time.Sleep(1500 * time.Millisecond)
		if c.nodes["a"].Reachable("c") || c.nodes["c"].Reachable("a") {
			t.Error("after 1.5 s of silence a and c still count on each other")
		}
		c.rejoin("c")
		time.Sleep(time.Second)
		if !c.nodes["a"].Reachable("c") || !c.nodes["c"].Reachable("a") {
			t.Error("a second after the network healed a and c do not count on each other")
		}
		if got := c.nodes["a"].Ring().Epoch(); got != epoch {
			t.Errorf("a flap changed the ring: epoch %d, then %d", epoch, got)
		}
	})
}

// TestOneWayLossIsAFailure: a peer that hears but is not heard is of no use.
func TestOneWayLossIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, five()...)
		for other := range c.nodes {
			if other != "c" {
				c.Cut("c", string(other))
			}
		}
		time.Sleep(1500 * time.Millisecond)
		for name, node := range c.nodes {
			if name != "c" && node.Reachable("c") {
				t.Errorf("%s would send to c, whose answers are lost", name)
			}
		}
		for _, key := range someKeys(50) {
			if err := c.put("a", key); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestStatelessServiceIsServedByAnybody: what holds nothing lacks nothing, on a
// stand-in as on an owner that has just been started again.
func TestStatelessServiceIsServedByAnybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, network := local.NewStore(), torc.NewNetwork()
		service := ping.New()
		start := func(name string) *torc.Node {
			node, err := torc.Start(t.Context(), torc.Config{Name: name, Membership: store.Connect(), Network: network}, service)
			if err != nil {
				t.Fatal(err)
			}
			return node
		}
		a, b := start("a"), start("b")
		time.Sleep(10 * time.Second)
		everyone := func(when string) {
			t.Helper()
			nodes := map[string]int{}
			for i := range 100 {
				pong, err := service.Ping.Do(t.Context(), a, &pingpb.Ping{Key: fmt.Append(nil, i)})
				if err != nil {
					t.Fatalf("%s: %v", when, err)
				}
				nodes[pong.GetNode()]++
			}
			t.Logf("%s: %v", when, nodes)
		}
		everyone("both are there")
		if owned := len(slices.Collect(a.Ring().Owned("b"))); owned != 60 {
			t.Errorf("b owns %d partitions", owned)
		}
		if err := b.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		everyone("b is away")
		b = start("b")
		everyone("b is back")
		if err := errors.Join(a.Shutdown(t.Context()), b.Shutdown(t.Context())); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
	})
}

// TestReadRepair: a replica that missed a write has it after one read.
func TestReadRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, "a", "b", "c", "d", "e")
		const key = "key"
		p := c.nodes["a"].Ring().Partition([]byte(key))
		list := c.nodes["a"].Ring().PreferenceList(p, 3)
		on := list[0].Node
		if err := c.put(on, key, torc.N(2), torc.W(2)); err != nil { // the third is not asked
			t.Fatal(err)
		}
		missing := func() (n int) {
			replies, err := c.puppets[on].Look.All(context.Background(), c.nodes[on], &testingpb.Look{Key: []byte(key)})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range replies {
				if errors.Is(r.Err, torc.ErrNotFound) {
					n++
				}
			}
			return n
		}
		if n := missing(); n != 1 {
			t.Fatalf("%d replicas lack the key, want the one that was not asked", n)
		}
		time.Sleep(time.Second)
		if n := missing(); n != 0 {
			t.Errorf("after a read %d replicas lack the key", n)
		}
		executed := c.executed()
		if got, err := c.get(on, key, torc.R(3)); err != nil || got != key {
			t.Errorf("read %q, %v", got, err)
		}
		time.Sleep(time.Second)
		if n := c.executed() - executed; n != 3 {
			t.Errorf("a read of equal replicas executed %d commands, want 3 and no repair", n)
		}
	})
}

func (c *cluster) executed() (n int64) {
	for _, p := range c.puppets {
		n += p.Executed.Load()
	}
	return n
}

// TestFallbackCannotDenyAKey: a fallback that never had a key cannot
// deny it. With two of three primaries away, R=2 must fail rather than lie.
func TestFallbackCannotDenyAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, five()...)
		const key = "key"
		list := c.nodes["a"].Ring().PreferenceList(c.nodes["a"].Ring().Partition([]byte(key)), 3)
		on := list[0].Node
		if err := c.put(on, key, torc.W(3)); err != nil {
			t.Fatal(err)
		}
		c.isolate(list[1].Node)
		c.isolate(list[2].Node)
		time.Sleep(2 * time.Second)
		if got, err := c.get(on, key, torc.R(1)); err != nil || got != key {
			t.Errorf("R=1 reads %q, %v", got, err)
		}
		_, err := c.get(on, key, torc.R(2))
		var short *torc.QuorumError
		if !errors.As(err, &short) || short.Got > 1 || short.Outcome != torc.OutcomeFailed {
			t.Errorf("R=2 with one primary left: %v", err)
		}
	})
}

func TestStrictQuorumWantsPrimaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, five()...)
		const key = "key"
		list := c.nodes["a"].Ring().PreferenceList(c.nodes["a"].Ring().Partition([]byte(key)), 3)
		c.isolate(list[1].Node)
		c.isolate(list[2].Node)
		time.Sleep(2 * time.Second)
		on := list[0].Node
		if err := c.put(on, key, torc.W(3), torc.Nodes(3)); err != nil {
			t.Errorf("W=3 on three nodes, two of them fallbacks: %v", err)
		}
		err := c.put(on, key, torc.W(2), torc.Primaries(2))
		if err == nil || !strings.Contains(err.Error(), "primaries") {
			t.Errorf("PW=2 with one primary left: %v", err)
		}
	})
}

// TestNodeThatDoesNotFitIsRefused: before anything moves.
func TestNodeThatDoesNotFitIsRefused(t *testing.T) {
	c := startCluster(t, torc.Quorum{N: 3}, "a", "b", "c")
	for says, config := range map[string]torc.Config{
		"wants a ring of 64 partitions, but the cluster's has 120": {Name: "d", RingSize: 64},
		`another running node has this name: "a" runs at`:          {Name: "a"},
	} {
		config.Membership = c.store.Connect()
		_, err := torc.Start(t.Context(), config, puppet.NewRepairing(torc.Quorum{N: 3}))
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
	if epoch := c.nodes["a"].Ring().Epoch(); epoch != 1 {
		t.Errorf("the ring changed: epoch %d", epoch)
	}
}

// TestLostDocumentIsPutBack: a store that forgets everything costs the cluster
// nothing.
func TestLostDocumentIsPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, "a", "b", "c")
		before, err := c.store.Connect().Document(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c.store.RemoveDocument()
		synctest.Wait()
		after, err := c.store.Connect().Document(t.Context())
		if err != nil || !bytes.Equal(after.Data, before.Data) {
			t.Errorf("the document came back as %d bytes, %v; it had %d", len(after.Data), err, len(before.Data))
		}
	})
}

// TestLateNodeCoordinates: a node that comes after the ring was made owns
// nothing yet, and takes requests all the same.
func TestLateNodeCoordinates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, "a", "b", "c")
		if err := c.put("a", "key"); err != nil {
			t.Fatal(err)
		}
		c.puppets["d"] = puppet.NewRepairing(torc.Quorum{N: 3})
		c.nodes["d"] = c.start("d", 1, c.puppets["d"])
		if got, err := c.get("d", "key"); err != nil || got != "key" {
			t.Errorf("d reads %q, %v", got, err)
		}
		if n := c.puppets["d"].Opened.Load(); n != 0 {
			t.Errorf("d opened %d vnodes, and owns nothing", n)
		}
		member, _ := c.nodes["a"].Ring().Member("d")
		if member.Status != ring.Joining {
			t.Errorf("d is %v in a's ring", member.Status)
		}
	})
}

// TestShutdownLosesNoAcceptedRequest: requests in flight are answered while the
// node stops, and later ones are refused.
func TestShutdownLosesNoAcceptedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, "a", "b", "c")
		for _, p := range c.puppets {
			p.Pause = 2 * time.Second
		}
		answer := make(chan error, 1)
		go func() {
			_, err := c.puppets["a"].Act.Do(context.Background(), c.nodes["a"], act("slow"))
			answer <- err
		}()
		time.Sleep(time.Second)
		stopped := make(chan struct{})
		go func() { defer close(stopped); shutdown(t, c.nodes["a"]) }()
		time.Sleep(100 * time.Millisecond)
		if err := c.put("a", "key"); !errors.Is(err, torc.ErrStopping) {
			t.Errorf("a new request to a stopping node: %v", err)
		}
		if err := <-answer; err != nil {
			t.Errorf("the request in flight: %v", err)
		}
		<-stopped
	})
}
