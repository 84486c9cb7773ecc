package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/kv"
	"github.com/torc-io/torc/membership/local"
	"github.com/torc-io/torc/ping"
)

// site is a node with its API, for one test.
type site struct {
	t    testing.TB
	api  *API
	node *torc.Node
}

// startSite starts a node with an API. Without a membership it is alone.
func startSite(t testing.TB, config torc.Config) *site {
	t.Helper()
	s := &site{t: t}
	registry := NewRegistry()
	c := Config{
		KV: kv.New(torc.Quorum{N: 3}), Ping: ping.New(), Metrics: registry, Rebalance: config.Rebalance,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError})),
	}
	config.Metrics = registry
	s.api = New(c)
	node, err := torc.Start(context.Background(), config, c.KV, c.Ping)
	if err != nil {
		t.Errorf("start %s: %v", config.Name, err)
		return s
	}
	s.node = node
	s.api.Attach(node)
	t.Cleanup(s.shutdown)
	return s
}

func (s *site) shutdown() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.node.Shutdown(ctx); err != nil {
		s.t.Error(err)
	}
}

func startSolo(t testing.TB) *site { return startSite(t, torc.Config{Name: "solo"}) }

// startThree starts the nodes a, b and c on one network.
func startThree(t testing.TB, network *torc.Network, more ...func(*torc.Config)) []*site {
	t.Helper()
	store := local.NewStore()
	sites := make([]*site, 3)
	var all sync.WaitGroup
	for i := range sites {
		config := torc.Config{
			Name: string(rune('a' + i)), Membership: store.Connect(), Network: network, Bootstrap: len(sites),
		}
		for _, change := range more {
			change(&config)
		}
		all.Go(func() { sites[i] = startSite(t, config) })
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return sites
}

// serve answers on a port of this machine, as the program does, until the test
// ends, and returns the URL.
func (s *site) serve() string {
	server := httptest.NewUnstartedServer(nil)
	server.Config = NewServer(s.api, slog.New(slog.DiscardHandler))
	server.Start()
	s.t.Cleanup(server.Close)
	return server.URL
}

// ask sends a request to the handler itself, without a network: in a bubble of
// virtual time there is none.
func (s *site) ask(method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w
}

// say sends a request through the network, and returns status and body.
func say(t testing.TB, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return response.StatusCode, string(text)
}

// within polls until a condition holds, for a minute.
func within(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// wantStatus checks a status and returns the body.
func wantStatus(t testing.TB, want int, w *httptest.ResponseRecorder) string {
	t.Helper()
	if w.Code != want {
		t.Fatalf("got %d, want %d: %s", w.Code, want, w.Body)
	}
	return w.Body.String()
}
