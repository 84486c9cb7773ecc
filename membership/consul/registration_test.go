package consul_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/torc-io/torc/internal/consultest"
	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/membership/consul"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// quick makes a node beat every second.
func quick(c *consul.Config) { c.TTL = 3 * time.Second }

func node(name, address string, incarnation uint64) membership.Node {
	return membership.Node{Name: name, Address: address, HTTP: "127.0.0.1:4001", Zone: "z", Incarnation: incarnation}
}

// register registers a node until the test ends.
func register(t *testing.T, m membership.Membership, n membership.Node) {
	t.Helper()
	must(t, m.Register(t.Context(), n))
	t.Cleanup(func() { deregister(t, m) })
}

func deregister(t *testing.T, m membership.Membership) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	must(t, m.Deregister(ctx))
}

// await waits until a watch shows what is right.
func await[T any](t *testing.T, what string, watch <-chan T, right func(T) bool) T {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var last T
	for {
		select {
		case state, open := <-watch:
			if !open {
				t.Fatalf("%s: the watch ended with %+v", what, last)
			}
			if right(state) {
				return state
			}
			last = state
		case <-timer.C:
			t.Fatalf("%s: the watch last showed %+v", what, last)
		}
	}
}

// one says that exactly one node is known, of an incarnation and a health.
func one(incarnation uint64, healthy bool) func([]membership.Node) bool {
	return func(nodes []membership.Node) bool {
		return len(nodes) == 1 && nodes[0].Incarnation == incarnation && nodes[0].Healthy == healthy
	}
}

func TestServiceInTheCatalog(t *testing.T) {
	c := newCluster(t, func(c *consul.Config) { c.RingSize, c.Version = 120, "v1.2.3" })
	register(t, c.Connect(), node("a", "127.0.0.1:7001", 5))
	service, _, err := c.client.Agent().Service(c.name+"-a", nil)
	must(t, err)
	if service.Service != c.name || service.Address != "127.0.0.1" || service.Port != 7001 {
		t.Errorf("the service is %+v", service)
	}
	for key, want := range map[string]string{
		"node": "a", "incarnation": "5", "zone": "z", "http": "127.0.0.1:4001", "ring_size": "120", "version": "v1.2.3",
	} {
		if service.Meta[key] != want {
			t.Errorf("meta %s is %q, want %q", key, service.Meta[key], want)
		}
	}
	checks, _, err := c.client.Health().Checks(c.name, nil)
	must(t, err)
	if len(checks) != 1 || checks[0].Type != "ttl" || checks[0].Status != api.HealthPassing {
		t.Errorf("the checks are %+v", checks)
	}
}

func TestHealthIsThatOfTheSelfTest(t *testing.T) {
	var broken atomic.Value
	broken.Store("still starting")
	c := newCluster(t, quick, func(c *consul.Config) {
		c.SelfTest = func(context.Context) error {
			if text := broken.Load().(string); text != "" {
				return errors.New(text)
			}
			return nil
		}
	})
	a := c.Connect()
	register(t, a, node("a", "127.0.0.1:7001", 1))
	watch := a.WatchNodes(t.Context())
	await(t, "starting", watch, one(1, false))
	if got := c.check(t, "a"); got.Status != api.HealthWarning || !strings.Contains(got.Output, "still starting") {
		t.Errorf("a node that starts has the check %q: %q", got.Status, got.Output)
	}
	broken.Store("")
	await(t, "working", watch, one(1, true))
	broken.Store("disk on fire")
	await(t, "broken", watch, one(1, false))
	if got := c.check(t, "a"); got.Status != api.HealthCritical || !strings.Contains(got.Output, "disk on fire") {
		t.Errorf("a broken node has the check %q: %q", got.Status, got.Output)
	}
	broken.Store("")
	await(t, "mended", watch, one(1, true))
}

// check returns the check of a node as the agent has it: what it says reaches the
// catalog with its next status, or minutes later (check_update_interval).
func (c *cluster) check(t *testing.T, node string) *api.AgentCheck {
	t.Helper()
	checks, err := c.client.Agent().Checks()
	must(t, err)
	check := checks["service:"+c.name+"-"+node]
	if check == nil {
		t.Fatalf("the agent has no check of %s among %d", node, len(checks))
	}
	return check
}

func TestSelfTestThatHangsFailsTheCheck(t *testing.T) {
	release := make(chan struct{})
	var hang atomic.Bool
	c := newCluster(t, quick, func(c *consul.Config) {
		c.SelfTest = func(context.Context) error {
			if hang.Load() {
				<-release
			}
			return nil
		}
	})
	a := c.Connect()
	register(t, a, node("a", "127.0.0.1:7001", 1))
	watch := a.WatchNodes(t.Context())
	await(t, "working", watch, one(1, true))
	hang.Store(true)
	await(t, "hanging", watch, one(1, false))
	hang.Store(false)
	close(release)
	await(t, "going on", watch, one(1, true))
}

func TestNodeComesBackWhenOthersRemoveIt(t *testing.T) {
	c := newCluster(t, quick)
	a := c.Connect()
	register(t, a, node("a", "127.0.0.1:7001", 1))
	watch := a.WatchNodes(t.Context())
	for what, remove := range map[string]func() error{
		"service": func() error { return c.client.Agent().ServiceDeregister(c.name + "-a") },
		"check":   func() error { return c.client.Agent().CheckDeregister("service:" + c.name + "-a") },
		"session": func() error {
			_, err := c.client.Session().Destroy(c.holder(t, "names/a"), nil)
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			session := c.holder(t, "names/a")
			must(t, remove())
			if what == "service" {
				await(t, "removed", watch, func(nodes []membership.Node) bool { return len(nodes) == 0 })
			}
			if what == "session" {
				c.awaitHolder(t, "names/a", func(now string) bool { return now != "" && now != session })
			}
			await(t, "back", a.WatchNodes(t.Context()), one(1, true))
		})
	}
}

// holder returns the session that holds a key.
func (c *cluster) holder(t *testing.T, key string) string {
	t.Helper()
	pair, _, err := c.client.KV().Get(c.key(key), nil)
	must(t, err)
	if pair == nil {
		return ""
	}
	return pair.Session
}

func (c *cluster) awaitHolder(t *testing.T, key string, right func(session string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	options := (&api.QueryOptions{}).WithContext(ctx)
	for {
		pair, meta, err := c.client.KV().Get(c.key(key), options)
		must(t, err)
		session := ""
		if pair != nil {
			session = pair.Session
		}
		if right(session) {
			return
		}
		options.WaitIndex = meta.LastIndex
	}
}

func TestNameOfACriticalNodeIsTakenOver(t *testing.T) {
	var broken atomic.Bool
	c := newCluster(t, quick, func(c *consul.Config) {
		c.SelfTest = func(context.Context) error {
			if broken.Load() {
				return errors.New("broken")
			}
			return nil
		}
	})
	old := c.Connect()
	register(t, old, node("a", "127.0.0.1:7001", 1))
	watch := old.WatchNodes(t.Context())
	await(t, "the first", watch, one(1, true))
	broken.Store(true)
	await(t, "broken", watch, one(1, false))

	c.config.SelfTest = nil
	register(t, c.open().Connect(), node("a", "127.0.0.1:7002", 2))
	await(t, "the second", watch, one(2, true))
	broken.Store(false) // too late: the name has gone
	session := c.holder(t, "names/a")
	deregister(t, old)
	await(t, "the second stays", c.open().Connect().WatchNodes(t.Context()), one(2, true))
	if c.holder(t, "names/a") != session {
		t.Error("the first took the name back")
	}
}

func TestStartingNodeKeepsItsName(t *testing.T) {
	c := newCluster(t, func(c *consul.Config) {
		c.SelfTest = func(context.Context) error { return errors.New("still starting") }
	})
	register(t, c.Connect(), node("a", "127.0.0.1:7001", 1))
	err := c.Connect().Register(t.Context(), node("a", "127.0.0.1:7002", 2))
	if !errors.Is(err, membership.ErrNameTaken) || !strings.Contains(err.Error(), "127.0.0.1:7001") {
		t.Errorf("the name of a node that starts: %v, want ErrNameTaken", err)
	}
}

// TestNameInUseAtAnotherAgent has the rival in the catalog alone, without a lock,
// as after somebody has deleted the keys.
func TestNameInUseAtAnotherAgent(t *testing.T) {
	c := newCluster(t)
	rival := &api.CatalogRegistration{
		Node: c.name + "-elsewhere", Address: "10.0.0.9",
		Service: &api.AgentService{
			ID: c.name + "-a", Service: c.name, Port: 7001, Meta: map[string]string{"node": "a", "incarnation": "1"},
		},
		Check: &api.AgentCheck{
			CheckID: "service:" + c.name + "-a", ServiceID: c.name + "-a", Name: "self test", Status: api.HealthPassing,
		},
	}
	_, err := c.client.Catalog().Register(rival, nil)
	must(t, err)
	err = c.Connect().Register(t.Context(), node("a", "127.0.0.1:7001", 2))
	if !errors.Is(err, membership.ErrNameTaken) || !strings.Contains(err.Error(), "10.0.0.9:7001") {
		t.Errorf("a name that runs at another agent: %v, want ErrNameTaken", err)
	}
	if session := c.holder(t, "names/a"); session != "" {
		t.Errorf("the refused node holds the name by session %s", session)
	}
	rival.Check.Status = api.HealthCritical
	_, err = c.client.Catalog().Register(rival, nil)
	must(t, err)
	a := c.Connect()
	register(t, a, node("a", "127.0.0.1:7001", 2))
	await(t, "the newer one of the name", a.WatchNodes(t.Context()), one(2, true))
}

func TestNameHeldByAStranger(t *testing.T) {
	c := newCluster(t)
	session, _, err := c.client.Session().CreateNoChecks(&api.SessionEntry{TTL: "60s"}, nil)
	must(t, err)
	defer func() { _, _ = c.client.Session().Destroy(session, nil) }()
	pair := &api.KVPair{Key: c.key("names/a"), Value: []byte("\x00{not json"), Session: session}
	_, _, err = c.client.KV().Acquire(pair, nil)
	must(t, err)
	if err := c.Connect().Register(t.Context(), node("a", "127.0.0.1:7001", 1)); !errors.Is(err, membership.ErrNameTaken) {
		t.Errorf("a name that an operator has locked: %v, want ErrNameTaken", err)
	}
	_, _, err = c.client.KV().Release(pair, nil)
	must(t, err)
	register(t, c.Connect(), node("a", "127.0.0.1:7001", 1)) // garbage without a session is nobody's
}

func TestServiceIDOfAnotherCluster(t *testing.T) {
	c := newCluster(t)
	register(t, c.Connect(), node("x-a", "127.0.0.1:7001", 1))
	c.config.Cluster += "-x"
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := c.open().Connect().Register(ctx, node("a", "127.0.0.1:7002", 1))
	if err == nil || !strings.Contains(err.Error(), c.name) || ctx.Err() != nil {
		t.Errorf("a service id that another cluster has: %v", err)
	}
	await(t, "the first", c.Connect().WatchNodes(t.Context()), one(1, true))
}

func TestStrangersAreNoNodes(t *testing.T) {
	c := newCluster(t)
	long := strings.Repeat("n", 400)
	for id, meta := range map[string]map[string]string{
		"none":        nil,
		"name":        {"node": "../../etc", "incarnation": "1"},
		"long":        {"node": long, "incarnation": "1"},
		"incarnation": {"node": "b", "incarnation": "-1"},
	} {
		must(t, c.client.Agent().ServiceRegister(&api.AgentServiceRegistration{
			ID: c.name + "-stranger-" + id, Name: c.name, Port: 1, Meta: meta,
		}))
	}
	must(t, c.client.Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID: c.name + "-stranger-port", Name: c.name, Meta: map[string]string{"node": "c", "incarnation": "1"},
	}))
	a := c.Connect()
	register(t, a, node("a", "127.0.0.1:7001", 1))
	nodes := <-a.WatchNodes(t.Context())
	if !one(1, true)(nodes) {
		t.Errorf("the nodes are %+v, want a alone", nodes)
	}
}

func TestUnfitNodes(t *testing.T) {
	c := newCluster(t)
	for _, n := range []membership.Node{
		{Name: "", Address: "127.0.0.1:1"},
		{Name: "a/b", Address: "127.0.0.1:1"},
		{Name: "..", Address: "127.0.0.1:1"},
		{Name: "a?dc=other", Address: "127.0.0.1:1"},
		{Name: "a", Address: ""},
		{Name: "a", Address: ":7001"},
		{Name: "a", Address: "127.0.0.1:0"},
		{Name: "a", Address: "127.0.0.1:70000"},
	} {
		if err := c.Connect().Register(t.Context(), n); err == nil {
			t.Errorf("Register(%+v) did not refuse", n)
		}
	}
}

func TestConnectionRegistersOnce(t *testing.T) {
	a := newCluster(t).Connect()
	register(t, a, node("a", "127.0.0.1:7001", 1))
	if err := a.Register(t.Context(), node("b", "127.0.0.1:7002", 1)); err == nil {
		t.Error("a connection registered two nodes")
	}
}

// TestNodeComesBackAfterAnOutage has a proxy before the agent fail in one way
// until the agent has given the node up, and then work again.
func TestNodeComesBackAfterAnOutage(t *testing.T) {
	t.Parallel() // it waits, mostly
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "outage", code) }
	}
	for name, fail := range map[string]http.HandlerFunc{
		"agent hangs":          func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"servers without lead": status(http.StatusInternalServerError),
		"too many requests":    status(http.StatusTooManyRequests),
		"token has expired":    status(http.StatusForbidden),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, quick)
			var failing atomic.Bool
			forward := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: sharedAgent.Address()})
			forward.Transport = &http.Transport{DisableKeepAlives: true}
			proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if failing.Load() {
					fail(w, r)
					return
				}
				forward.ServeHTTP(w, r)
			}))
			t.Cleanup(proxy.Close)
			witness := c.Connect().WatchNodes(t.Context())
			c.config.Agent = proxy.URL
			a := c.open().Connect()
			register(t, a, node("a", "127.0.0.1:7001", 1))
			await(t, "registered", witness, one(1, true))
			failing.Store(true)
			proxy.CloseClientConnections() // those that wait for a change
			await(t, "given up", witness, one(1, false))
			failing.Store(false)
			await(t, "back", witness, one(1, true))
			await(t, "watched again", a.WatchNodes(t.Context()), one(1, true))
		})
	}
}

// TestAgentThatRestartsEmpty kills the agent, with all that Consul knew, and
// starts another in its place some seconds later.
func TestAgentThatRestartsEmpty(t *testing.T) {
	const away = 5 * time.Second
	agent := consultest.Start(t)
	c := newClusterAt(t, agent.Address())
	a, b := c.Connect(), c.open().Connect()
	register(t, a, node("a", "127.0.0.1:7001", 1))
	register(t, b, node("b", "127.0.0.1:7002", 1))
	nodes, documents := b.WatchNodes(t.Context()), b.WatchDocument(t.Context())
	healthy := func(want int) func([]membership.Node) bool {
		return func(nodes []membership.Node) bool {
			return len(nodes) == want && !slices.ContainsFunc(nodes, func(n membership.Node) bool { return !n.Healthy })
		}
	}
	await(t, "registered", nodes, healthy(2))
	stored, err := a.Swap(t.Context(), 0, []byte("ring"))
	must(t, err)
	await(t, "stored", documents, func(d membership.Document) bool { return d.Version == stored.Version })
	held := lock(t, a)

	agent.Kill()
	late, started := c.open().Connect(), make(chan error, 1)
	go func() { started <- late.Register(t.Context(), node("c", "127.0.0.1:7003", 1)) }()
	if _, err := a.Document(t.Context()); err == nil {
		t.Error("Document of a Consul that is away gives no error")
	}
	select {
	case <-time.After(away):
	case state := <-nodes:
		t.Errorf("while Consul was away, the watch showed %+v", state)
	case d := <-documents:
		t.Errorf("while Consul was away, the watch showed %+v", d)
	case err := <-started:
		t.Errorf("while Consul was away, Register returned %v", err)
	}
	must(t, agent.Restart(t.Context()))
	began := time.Now()
	await(t, "registered again", nodes, healthy(3))
	t.Logf("registered again after %s", time.Since(began))
	must(t, <-started)
	deregister(t, late)
	awaitLoss(t, held, "lost")
	lock(t, b)
	await(t, "vanished", documents, func(d membership.Document) bool { return d.Version == 0 })
	stored, err = b.Swap(t.Context(), 0, []byte("ring"))
	must(t, err)
	await(t, "put back", documents, func(d membership.Document) bool { return d.Version == stored.Version })
}
