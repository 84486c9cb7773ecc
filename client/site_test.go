package client_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/client"
	"github.com/torc-io/torc/gateway"
	"github.com/torc-io/torc/internal/puppet"
	"github.com/torc-io/torc/membership/local"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
)

// member is a node behind a gateway, which tests may put something in front of.
type member struct {
	node    *torc.Node
	server  *httptest.Server
	address string
	// asked counts the requests that arrived.
	asked atomic.Int64
	// instead, if set, is called in the gateway's place.
	instead atomic.Pointer[http.HandlerFunc]
	gateway *gateway.Gateway
}

// ServeHTTP answers like the node, unless told otherwise.
func (m *member) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.asked.Add(1)
	if instead := m.instead.Load(); instead != nil {
		(*instead)(w, r)
		return
	}
	m.gateway.ServeHTTP(w, r)
}

// be makes the member answer in another way.
func (m *member) be(h http.HandlerFunc) { m.instead.Store(&h) }

// cluster is some members that run one puppet.
type cluster struct {
	puppet  *puppet.Service
	members []*member
}

// startCluster starts members that answer HTTP.
func startCluster(t testing.TB, size int) *cluster {
	t.Helper()
	c := startMembers(t, size)
	for _, m := range c.members {
		m.serve(t)
	}
	return c
}

// startMembers starts members without servers, for a bubble of virtual time: only
// a near client reaches them. Their nodes run until the test ends.
func startMembers(t testing.TB, size int) *cluster {
	t.Helper()
	c := &cluster{puppet: puppet.New(torc.Quorum{N: 3})}
	network, store := torc.NewNetwork(), local.NewStore()
	started := make(chan error, size)
	for i := range size {
		name := string(rune('a' + i))
		m := &member{gateway: gateway.New(gateway.Config{}), address: name}
		c.members = append(c.members, m)
		config := torc.Config{
			Name: name, Network: network, Membership: store.Connect(), Bootstrap: size,
		}
		go func() {
			node, err := torc.Start(context.Background(), config, c.puppet)
			m.node = node
			started <- err
		}()
	}
	for range size {
		if err := <-started; err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range c.members {
		m.gateway.Attach(m.node)
		t.Cleanup(func() { m.stop(t) })
	}
	return c
}

// near returns a client of all members, with nothing between it and them.
func (c *cluster) near(t testing.TB) *client.Client {
	t.Helper()
	return newClient(t, client.Config{Addresses: c.addresses(), HTTPClient: &http.Client{Transport: c}})
}

// RoundTrip has the member of an address answer, as long as somebody waits.
func (c *cluster) RoundTrip(r *http.Request) (*http.Response, error) {
	at := slices.IndexFunc(c.members, func(m *member) bool { return m.address == r.URL.Host })
	w, done := httptest.NewRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		defer r.Body.Close()
		c.members[at].ServeHTTP(w, r)
	}()
	select {
	case <-done:
		return w.Result(), nil
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// serve answers HTTP/1 and HTTP/2 until the test ends.
func (m *member) serve(t testing.TB) {
	m.server = httptest.NewUnstartedServer(m)
	m.server.Config.Protocols = new(http.Protocols)
	m.server.Config.Protocols.SetHTTP1(true)
	m.server.Config.Protocols.SetUnencryptedHTTP2(true)
	m.server.Start()
	m.address = strings.TrimPrefix(m.server.URL, "http://")
	t.Cleanup(func() {
		m.server.CloseClientConnections()
		m.server.Close()
	})
}

// stop shuts the node down; its gateway goes on answering.
func (m *member) stop(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := m.node.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func (c *cluster) addresses() []string {
	var all []string
	for _, m := range c.members {
		all = append(all, m.address)
	}
	return all
}

// client returns a client of some addresses; without any, of all members.
func (c *cluster) client(t testing.TB, addresses ...string) *client.Client {
	t.Helper()
	if len(addresses) == 0 {
		addresses = c.addresses()
	}
	return newClient(t, client.Config{Addresses: addresses})
}

func newClient(t testing.TB, config client.Config) *client.Client {
	t.Helper()
	made, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	return made
}

func act(verb string) *testingpb.Act {
	return &testingpb.Act{Key: []byte("key"), Verb: verb, Value: []byte("value")}
}

func look(verb string) *testingpb.Look { return &testingpb.Look{Key: []byte("key"), Verb: verb} }

// errorWriter writes errors as a gateway does.
func errorWriter() *connect.ErrorWriter { return connect.NewErrorWriter() }
