package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	torc "github.com/torc-io/torc"
)

// problemIn reads the problem of an answer.
func problemIn(t *testing.T, w *httptest.ResponseRecorder) Problem {
	t.Helper()
	var p Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d %v: no problem: %v: %s", w.Code, w.Header(), err, w.Body)
	}
	if p.Status != w.Code {
		t.Errorf("the problem says %d, the answer %d", p.Status, w.Code)
	}
	return p
}

// cutOff makes all vanish that a sends to peers.
func cutOff(network *torc.Network, peers ...string) {
	for _, peer := range peers {
		network.Cut("a", peer)
	}
}

// TestWriteThatTimesOutIsUnknown: when replicas are silent, a write that one has
// taken has not failed.
func TestWriteThatTimesOutIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := torc.NewNetwork()
		on := startThree(t, network)[0]
		cutOff(network, "b", "c")
		began := time.Now()
		w := on.ask(http.MethodPut, "/api/store/k?w=3&timeout=300ms", "x")
		p := problemIn(t, w)
		if took := time.Since(began).Round(10 * time.Millisecond); w.Code != http.StatusGatewayTimeout || took != 300*time.Millisecond {
			t.Errorf("%d after %v", w.Code, took)
		}
		if p.Outcome != "unknown" || p.Needed != 3 || p.Got != 1 || p.Of != 3 || len(p.Causes) != 2 {
			t.Errorf("problem: %s", w.Body)
		}
		for _, c := range p.Causes {
			if c.Node != "b" && c.Node != "c" || c.Fallback || !strings.Contains(c.Error, "no reply") {
				t.Errorf("cause: %+v", c)
			}
		}
	})
}

// TestReadThatTimesOut has no effect that could be unknown.
func TestReadThatTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := torc.NewNetwork()
		on := startThree(t, network)[0]
		cutOff(network, "b", "c")
		w := on.ask(http.MethodGet, "/api/store/k?timeout=300ms", "")
		if p := problemIn(t, w); w.Code != http.StatusGatewayTimeout || p.Outcome != "failed" || p.Got != 1 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

// TestTooFewReplicas: what is known to be impossible fails at once, and says
// when to try again.
func TestTooFewReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := torc.NewNetwork()
		on := startThree(t, network)[0]
		cutOff(network, "b", "c")
		time.Sleep(2 * time.Second) // until they count as silent
		began := time.Now()
		w := on.ask(http.MethodPut, "/api/store/k?pw=2", "x")
		p := problemIn(t, w)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" || time.Since(began) != 0 {
			t.Errorf("%d %v after %v", w.Code, w.Header(), time.Since(began))
		}
		if p.Outcome != "failed" || p.Requirement != "primaries" || p.Needed != 2 {
			t.Errorf("problem: %s", w.Body)
		}
		if w := on.ask(http.MethodPut, "/api/store/k", "x"); w.Code != http.StatusOK {
			t.Errorf("without primaries, fallbacks should do: %d %s", w.Code, w.Body)
		}
	})
}

// TestMembersTellsLiveness: and so does where.
func TestMembersTellsLiveness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := torc.NewNetwork()
		on := startThree(t, network)[0]
		cutOff(network, "b")
		time.Sleep(5 * time.Second)
		var m Members
		if err := json.Unmarshal([]byte(wantStatus(t, http.StatusOK, on.ask(http.MethodGet, "/api/members", ""))), &m); err != nil {
			t.Fatal(err)
		}
		var seen []string
		for _, member := range m.Members {
			seen = append(seen, fmt.Sprint(member.Name, " ", member.Status, " ", member.Liveness, " ", member.Partitions))
		}
		if want := []string{"a valid alive 40", "b valid down 40", "c valid alive 40"}; !slices.Equal(seen, want) {
			t.Errorf("members: %q, want %q", seen, want)
		}
		var where Where
		if err := json.Unmarshal([]byte(wantStatus(t, http.StatusOK, on.ask(http.MethodGet, "/api/where/k", ""))), &where); err != nil {
			t.Fatal(err)
		}
		for _, p := range where.List {
			if p.Reachable != (p.Owner != "b") || p.Fallback != (p.Owner == "b") || p.Fallback == (p.Node == p.Owner) {
				t.Errorf("position %+v", p)
			}
		}
	})
}

// TestOverload: a node that has enough to do says so at once.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := torc.NewNetwork()
		on := startThree(t, network, func(c *torc.Config) { c.MaxRequests = 1 })[0]
		cutOff(network, "b", "c")
		first := make(chan int)
		go func() { first <- on.ask(http.MethodPut, "/api/store/k?w=3&timeout=500ms", "x").Code }()
		synctest.Wait()
		w := on.ask(http.MethodGet, "/api/store/k", "")
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		if code := <-first; code != http.StatusGatewayTimeout {
			t.Errorf("the one that waited: %d", code)
		}
	})
}

// TestDefaultDeadline is that of the API.
func TestDefaultDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := torc.NewNetwork()
		on := startThree(t, network)[0]
		on.api.config.RequestTimeout = 250 * time.Millisecond
		cutOff(network, "b", "c")
		began := time.Now()
		w := on.ask(http.MethodPut, "/api/store/k?w=3", "x")
		if took := time.Since(began).Round(10 * time.Millisecond); w.Code != http.StatusGatewayTimeout || took != 250*time.Millisecond {
			t.Errorf("%d after %v", w.Code, took)
		}
	})
}
