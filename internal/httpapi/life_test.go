package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/kv"
	"github.com/torc-io/torc/ping"
)

// TestStarting: before there is a node, the process is alive and not ready.
func TestStarting(t *testing.T) {
	s := &site{t: t, api: New(Config{KV: kv.New(torc.Quorum{N: 3}), Ping: ping.New()})}
	wantStatus(t, http.StatusOK, s.ask(http.MethodGet, "/livez", ""))
	for _, path := range []string{"/readyz", "/api/store/k", "/api/ring", "/api/members", "/api/where/k", "/api/ping", "/api/transfers"} {
		w := s.ask(http.MethodGet, path, "")
		if p := problemIn(t, w); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(p.Detail, "starting") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	wantStatus(t, http.StatusNotFound, s.ask(http.MethodGet, "/metrics", ""))
}

// TestStopping: not ready, but serving; and after the node is gone, not even that.
func TestStopping(t *testing.T) {
	s := startSolo(t)
	wantStatus(t, http.StatusOK, s.ask(http.MethodGet, "/readyz", ""))
	s.api.Drain()
	if text := wantStatus(t, http.StatusServiceUnavailable, s.ask(http.MethodGet, "/readyz", "")); !strings.Contains(text, "stopping") {
		t.Errorf("readyz: %s", text)
	}
	wantStatus(t, http.StatusOK, s.ask(http.MethodPut, "/api/store/k", "x"))
	s.shutdown()
	wantStatus(t, http.StatusServiceUnavailable, s.ask(http.MethodPut, "/api/store/k", "x"))
	wantStatus(t, http.StatusOK, s.ask(http.MethodGet, "/livez", ""))
}

// TestStopLetsRequestsEnd: what is in flight is answered, what comes later is not.
func TestStopLetsRequestsEnd(t *testing.T) {
	s := startSolo(t)
	inFlight, goOn := make(chan struct{}), make(chan struct{})
	waits := func(w http.ResponseWriter, _ *http.Request) error {
		close(inFlight)
		<-goOn
		return writeText(w, "done")
	}
	s.api.routes = append(s.api.routes, route{"/waits", map[string]endpoint{http.MethodGet: waits}})
	server := httptest.NewServer(s.api)
	defer server.Close()
	answered := make(chan int, 1)
	go func() {
		defer close(answered)
		status, _ := say(t, http.MethodGet, server.URL+"/waits", "")
		answered <- status
	}()
	<-inFlight
	stopped := make(chan error, 1)
	go func() { stopped <- Stop(t.Context(), server.Config) }()
	within(t, "no new requests are taken", func() bool {
		response, err := http.Get(server.URL + "/livez")
		if err == nil {
			response.Body.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Errorf("stopped with a request in flight: %v", err)
	default:
	}
	close(goOn)
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the request in flight: %d", status)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestStopIsBounded: a request that does not end is cut off.
func TestStopIsBounded(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { close(hang); <-r.Context().Done() }))
	defer server.Close()
	go func() {
		if response, err := http.Get(server.URL); err == nil {
			response.Body.Close()
		}
	}()
	<-hang
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := Stop(ctx, server.Config); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stopped with: %v", err)
	}
}

// TestPanic: a handler that panics costs its request, and is found in the log.
func TestPanic(t *testing.T) {
	var logged bytes.Buffer
	s := startSolo(t)
	s.api.logger = slog.New(slog.NewTextHandler(&logged, nil))
	panics := func(http.ResponseWriter, *http.Request) error { panic("secret") }
	s.api.routes = append(s.api.routes, route{"/panics", map[string]endpoint{http.MethodGet: panics}})
	w := s.ask(http.MethodGet, "/panics", "")
	p := problemIn(t, w)
	if w.Code != http.StatusInternalServerError || p.ID == "" || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if log := logged.String(); !strings.Contains(log, p.ID) || !strings.Contains(log, "secret") {
		t.Errorf("log: %s", log)
	}
	wantStatus(t, http.StatusOK, s.ask(http.MethodPut, "/api/store/k", "x"))
}

// TestPanicAfterTheAnswerBegan: half an answer must not look like a whole one.
func TestPanicAfterTheAnswerBegan(t *testing.T) {
	s := startSolo(t)
	s.api.logger = slog.New(slog.DiscardHandler)
	panics := func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, "half")
		panic("late")
	}
	s.api.routes = append(s.api.routes, route{"/panics", map[string]endpoint{http.MethodGet: panics}})
	base := s.serve()
	response, err := http.Get(base + "/panics")
	if err == nil {
		_, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	if err == nil {
		t.Error("the answer looks complete")
	}
	if status, _ := say(t, http.MethodGet, base+"/livez", ""); status != http.StatusOK {
		t.Errorf("afterwards: %d", status)
	}
}

// TestMachinery: what Prometheus and pprof ask for.
func TestMachinery(t *testing.T) {
	s := startSolo(t)
	wantStatus(t, http.StatusOK, s.ask(http.MethodPut, "/api/store/k", "x"))
	metrics := wantStatus(t, http.StatusOK, s.ask(http.MethodGet, "/metrics", ""))
	for _, name := range []string{`torc_requests_total{command="Store",outcome="ok",service="kv"} 1`, "torc_mailbox_commands", "go_goroutines", "process_"} {
		if !strings.Contains(metrics, name) {
			t.Errorf("/metrics has no %s", name)
		}
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/cmdline", "/debug/pprof/symbol"} {
		wantStatus(t, http.StatusOK, s.ask(http.MethodGet, path, ""))
	}
	if w := s.ask(http.MethodGet, "/debug/pprof", ""); w.Header().Get("Location") != "/debug/pprof/" {
		t.Errorf("/debug/pprof: %d %v", w.Code, w.Header())
	}
}
