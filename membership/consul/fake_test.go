package consul

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/torc-io/torc/membership"
)

// brisk is a timing for agents that answer oddly: it tries again soon, and takes
// no slow machine for an agent that hangs.
var brisk = timing{
	call: patience, wait: time.Minute,
	retryFirst: 5 * time.Millisecond, retryMax: 20 * time.Millisecond,
	beatEvery: 20 * time.Millisecond, beatMax: 20 * time.Millisecond,
	reconcile: time.Hour, session: 2 * time.Second,
}

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// openAt opens a store on an agent that handler plays.
func openAt(t *testing.T, timing timing, handler http.HandlerFunc, change ...func(*Config)) *Store {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	config := Config{Cluster: "fake", Agent: server.URL}
	for _, edit := range change {
		edit(&config)
	}
	config.setDefaults()
	store, err := open(config, timing)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// local is an agent without a network, for bubbles of virtual time.
type local http.HandlerFunc

// RoundTrip has the handler answer, or hang for as long as somebody waits.
func (agent local) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	agent(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

// openLocal opens a store on an agent without a network.
func openLocal(t *testing.T, agent local) *Store {
	t.Helper()
	config := Config{Cluster: "fake"}
	config.setDefaults()
	store, err := open(config, brisk)
	if err != nil {
		t.Fatal(err)
	}
	if store.client, err = api.NewClient(&api.Config{HttpClient: &http.Client{Transport: agent}}); err != nil {
		t.Fatal(err)
	}
	return store
}

// answerKey answers a query of a key.
func answerKey(w http.ResponseWriter, index uint64, value string) {
	w.Header().Set("X-Consul-Index", strconv.FormatUint(index, 10))
	fmt.Fprintf(w, `[{"Key":"k","Value":%q,"ModifyIndex":%d}]`, base64.StdEncoding.EncodeToString([]byte(value)), index)
}

func awaitDocument(t *testing.T, watch <-chan membership.Document, want string) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for last := ""; ; {
		select {
		case d := <-watch:
			if last = string(d.Data); last == want {
				return
			}
		case <-timer.C:
			t.Fatalf("the watch last showed %q, want %q", last, want)
		}
	}
}

// TestWatchOfAnAgentThatAnswersOddly gives one odd answer after another, then the
// document. The watch must get there, and show nothing wrong before.
func TestWatchOfAnAgentThatAnswersOddly(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "odd", code) }
	}
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	}
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	first := func(w http.ResponseWriter, _ *http.Request) { answerKey(w, 9, "first") }
	for name, odd := range map[string][]http.HandlerFunc{
		"hangs":                 {hang, first, hang},
		"fails":                 {status(500), first, status(500), status(429), status(403)},
		"closes the connection": {abort, first, abort},
		"speaks no JSON":        {text("<html>"), first, text("[{"), text(`{"a":1}`)},
		"has no index":          {first, text("[]"), text("null")},
	} {
		t.Run(name, func(t *testing.T) {
			hasty := brisk
			if name == "hangs" {
				hasty.call, hasty.wait = 200*time.Millisecond, 300*time.Millisecond
			}
			var asked atomic.Int32
			s := openAt(t, hasty, func(w http.ResponseWriter, r *http.Request) {
				if n := int(asked.Add(1)); n <= len(odd) {
					odd[n-1](w, r)
					return
				}
				answerKey(w, 10, "last")
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			awaitDocument(t, s.Connect().WatchDocument(ctx), "last")
		})
	}
}

// TestWatchAsksFromTheRightIndex scripts the indexes of the answers and notes
// those of the queries.
func TestWatchAsksFromTheRightIndex(t *testing.T) {
	answers := []uint64{7, 9, 3, 4, 0, 5}
	want := []string{"", "7", "9", "", "4", "", "5"}
	asked := make(chan string, len(want))
	var n atomic.Int32
	s := openAt(t, brisk, func(w http.ResponseWriter, r *http.Request) {
		i := int(n.Add(1)) - 1
		if i < len(want) {
			asked <- r.URL.Query().Get("index")
		}
		if i >= len(answers) {
			<-r.Context().Done()
			return
		}
		answerKey(w, answers[i], fmt.Sprint("answer ", i))
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := s.Connect().WatchDocument(ctx)
	awaitDocument(t, watch, fmt.Sprint("answer ", len(answers)-1))
	for i, index := range want {
		if got := <-asked; got != index {
			t.Errorf("query %d asked from index %q, want %q", i, got, index)
		}
	}
}

func TestWatchersShareOneQuery(t *testing.T) {
	const watchers = 50
	var running, most atomic.Int32
	s := openAt(t, brisk, func(w http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		if r.URL.Query().Get("index") != "" {
			<-r.Context().Done()
			return
		}
		answerKey(w, 1, "shared")
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range watchers {
		awaitDocument(t, s.Connect().WatchDocument(ctx), "shared")
	}
	if most.Load() > 1 {
		t.Errorf("%d watchers asked %d queries at once", watchers, most.Load())
	}
}

// TestListWithHolesIsNoList: what a token may not see must not look gone.
func TestListWithHolesIsNoList(t *testing.T) {
	var filtered atomic.Bool
	hidden := make(chan struct{}, 100) // answers with holes
	s := openAt(t, brisk, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Consul-Index", "1")
		w.Header().Set("X-Consul-Lastcontact", "0")
		if filtered.Load() {
			hidden <- struct{}{}
			w.Header().Set("X-Consul-Results-Filtered-By-Acls", "true")
			_, _ = w.Write([]byte("[]"))
			return
		}
		_, _ = w.Write([]byte(`[{"Node":{"Node":"n","Address":"10.0.0.1"},"Checks":[{"Status":"passing"}],
			"Service":{"ID":"fake-a","Service":"fake","Port":7001,"Meta":{"node":"a","incarnation":"1"}}}]`))
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := s.Connect().WatchNodes(ctx)
	nodes := <-watch
	want := membership.Node{Name: "a", Address: "10.0.0.1:7001", Incarnation: 1, Healthy: true}
	if len(nodes) != 1 || nodes[0] != want {
		t.Fatalf("the nodes are %+v, want %+v", nodes, want)
	}
	filtered.Store(true)
	for range 3 { // by the third, the first has been dealt with
		<-hidden
	}
	cancel()
	for nodes := range watch {
		t.Errorf("the watch showed %+v for a list with holes", nodes)
	}
}

func TestTokenFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(token string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	var seen atomic.Value
	s := openAt(t, brisk, func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Header.Get("X-Consul-Token"))
		answerKey(w, 1, "ring")
	}, func(c *Config) { c.TokenFile = path })
	m := s.Connect()
	for _, step := range []struct {
		change func()
		want   string
	}{
		{func() {}, "first"},
		{func() { write(" second ") }, "second"},
		{func() { write("") }, "second"},
		{func() { _ = os.Remove(path) }, "second"},
		{func() { write("third") }, "third"},
	} {
		step.change()
		if _, err := m.Document(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := seen.Load(); got != step.want {
			t.Errorf("the agent got the token %q, want %q", got, step.want)
		}
	}
}

func TestSwapErrorsAreNotAllConflicts(t *testing.T) {
	s := openAt(t, brisk, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write([]byte(`{"Errors":[{"OpIndex":0,"What":"Permission denied: token lacks permission 'key:write'"}]}`))
	})
	_, err := s.Connect().Swap(t.Context(), 0, nil)
	if err == nil || errors.Is(err, membership.ErrConflict) || !strings.Contains(err.Error(), "Permission denied") {
		t.Errorf("Swap without permission: %v", err)
	}
}

func TestRegisterDoesNotTryOnWithoutPermission(t *testing.T) {
	s := openAt(t, brisk, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Permission denied: token lacks permission 'session:write'", http.StatusForbidden)
	})
	err := s.Connect().Register(t.Context(), membership.Node{Name: "a", Address: "127.0.0.1:1"})
	if err == nil || !strings.Contains(err.Error(), "session:write") {
		t.Errorf("Register without permission: %v", err)
	}
}

// TestClaimantGivesUpBeforeItsSessionEnds: an agent that does not renew the
// session, in whatever way, must not leave the claimant in its belief for as long
// as the session lasts.
func TestClaimantGivesUpBeforeItsSessionEnds(t *testing.T) {
	for name, renew := range map[string]http.HandlerFunc{
		"it hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"it fails": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "No cluster leader", http.StatusInternalServerError)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { giveUpBeforeTheEnd(t, renew) })
		})
	}
}

func giveUpBeforeTheEnd(t *testing.T, renew http.HandlerFunc) {
	s := openLocal(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/session/create"):
			_, _ = w.Write([]byte(`{"ID":"s"}`))
		case r.Method == http.MethodPut && r.URL.Query().Get("acquire") == "s":
			_, _ = w.Write([]byte("true"))
		default:
			renew(w, r)
		}
	})
	began := time.Now()
	held, release, err := s.Connect().LockClaimant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	<-held.Done()
	if took := time.Since(began); took >= brisk.session || !errors.Is(context.Cause(held), errUnrenewed) {
		t.Errorf("the claimant gave up after %s because of %v; its session may end after %s",
			took, context.Cause(held), brisk.session)
	}
}

// TestClaimantWhoseWatchMissedTheLock: between the answers of a blocking query the
// lock may be acquired and taken away, which looks as if nothing had happened.
func TestClaimantWhoseWatchMissedTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var taken atomic.Bool
		s := openLocal(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Consul-Index", "1")
			switch query := r.URL.Query(); {
			case strings.HasPrefix(r.URL.Path, "/v1/session/create"):
				_, _ = w.Write([]byte(`{"ID":"s"}`))
			case strings.HasPrefix(r.URL.Path, "/v1/session/renew"):
				_, _ = w.Write([]byte(`[{"ID":"s"}]`))
			case query.Has("acquire"):
				_, _ = w.Write([]byte("true"))
			case query.Has("index"):
				<-r.Context().Done()
			case query.Has("wait") || taken.Load():
				w.WriteHeader(http.StatusNotFound)
			default:
				_, _ = w.Write([]byte(`[{"Key":"k","Session":"s","ModifyIndex":2}]`))
			}
		})
		held, release, err := s.Connect().LockClaimant(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		time.Sleep(brisk.session)
		if held.Err() != nil {
			t.Errorf("given up, though the lock was held: %v", context.Cause(held))
		}
		taken.Store(true)
		began := time.Now()
		<-held.Done()
		if took := time.Since(began); took > brisk.session || !errors.Is(context.Cause(held), errLockLost) {
			t.Errorf("lost after %v because of %v", took, context.Cause(held))
		}
	})
}

// counter is a log of which only the number of lines is of interest.
type counter struct {
	slog.Handler

	mu    sync.Mutex
	lines int
}

func (c *counter) Enabled(context.Context, slog.Level) bool { return true }

func (c *counter) Handle(context.Context, slog.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines++
	return nil
}

func TestOutageIsToldOnce(t *testing.T) {
	var log counter
	o := outage{logger: slog.New(&log), what: "test"}
	expect := func(want int) {
		t.Helper()
		if log.lines != want {
			t.Errorf("%d lines, want %d", log.lines, want)
		}
	}
	o.end()
	expect(0)
	o.begin(errors.New("connection refused"))
	o.begin(errors.New("connection reset"))
	expect(1)
	o.begin(fmt.Errorf("x: %w", membership.ErrNameTaken))
	o.begin(fmt.Errorf("y: %w", membership.ErrNameTaken))
	expect(2)
	o.end()
	o.end()
	expect(3)
}
