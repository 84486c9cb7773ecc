package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/membership/local"
)

// asProgram makes the test binary the program, for tests with real processes.
const asProgram = "SESSIONS_TEST_IS_THE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// deadline bounds every wait of these tests.
const deadline = 30 * time.Second

// startCluster starts nodes of this process, each with a site, and returns where
// those are.
func startCluster(t *testing.T, nodes int) []string {
	t.Helper()
	store, network, sites := local.NewStore(), torc.NewNetwork(), make([]string, nodes)
	var wg sync.WaitGroup
	for i := range sites {
		wg.Go(func() {
			service := newLive()
			node, err := torc.Start(context.Background(), torc.Config{
				Name: fmt.Sprint("n", i+1), Membership: store.Connect(), Network: network, Bootstrap: nodes,
			}, service)
			if err != nil {
				t.Error(err)
				return
			}
			s := newSite(node, service)
			server := httptest.NewServer(s)
			sites[i] = server.URL
			t.Cleanup(func() {
				s.stop()
				server.Close()
				ctx, cancel := context.WithTimeout(context.Background(), deadline)
				defer cancel()
				if err := node.Shutdown(ctx); err != nil {
					t.Error(err)
				}
			})
		})
	}
	wg.Wait()
	return sites
}

// browser is a tab without a browser.
type browser struct {
	*websocket.Conn

	t testing.TB
}

func visit(t testing.TB, site, user string) browser {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), strings.Replace(site, "http", "ws", 1)+"/live?user="+url.QueryEscape(user), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.Body != nil {
		_ = response.Body.Close()
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return browser{conn, t}
}

func (b browser) asks(a asked) {
	b.t.Helper()
	if err := wsjson.Write(b.t.Context(), b.Conn, a); err != nil {
		b.t.Fatal(err)
	}
}

// sees waits until the tab shows a name, a counter, and tabs on these nodes, in
// any order.
func (b browser) sees(name string, counter int64, nodes ...string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), deadline)
	defer cancel()
	for {
		var s shown
		if err := wsjson.Read(ctx, b.Conn, &s); err != nil {
			b.t.Fatalf("waiting for %q, %d, %v: %v", name, counter, nodes, err)
		}
		if s.Name == name && s.Counter == counter && sameNodes(s.Tabs, nodes) {
			return
		}
	}
}

func sameNodes(tabs []shownTab, nodes []string) bool {
	count := map[string]int{}
	for _, tab := range tabs {
		count[tab.Node]++
	}
	for _, n := range nodes {
		count[n]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// TestTwoTabsOnTwoNodes: each sees at once what is done in the other.
func TestTwoTabsOnTwoNodes(t *testing.T) {
	sites := startCluster(t, 3)
	one := visit(t, sites[0], "42")
	one.sees("", 0, "n1")
	two := visit(t, sites[1], "42")
	two.sees("", 0, "n1", "n2")
	one.sees("", 0, "n1", "n2")
	stranger := visit(t, sites[1], "43")
	stranger.sees("", 0, "n2")

	one.asks(asked{Click: true})
	two.asks(asked{Click: true})
	one.sees("", 2, "n1", "n2")
	two.sees("", 2, "n1", "n2")
	name := "Ann"
	two.asks(asked{Name: &name})
	one.sees("Ann", 2, "n1", "n2")
	two.sees("Ann", 2, "n1", "n2")
	_ = two.CloseNow()
	one.sees("Ann", 2, "n1")
	three := visit(t, sites[2], "42") // the counter knows what closed tabs did
	three.sees("Ann", 2, "n1", "n3")
	stranger.asks(asked{Click: true})
	stranger.sees("", 1, "n2")
}

func TestTheSiteRefuses(t *testing.T) {
	site := startCluster(t, 1)[0]
	get := func(path string, header ...string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, site+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	socket := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg=="}
	for what, got := range map[string][2]int{
		"the page":         {get("/?user=42"), http.StatusOK},
		"nothing else":     {get("/etc"), http.StatusNotFound},
		"no user":          {get("/live"), http.StatusBadRequest},
		"a long one":       {get("/live?user=" + strings.Repeat("x", maxNameBytes+1)), http.StatusBadRequest},
		"no websocket":     {get("/live?user=42"), http.StatusUpgradeRequired},
		"another's origin": {get("/live?user=42", append(socket, "Origin", "https://example.com")...), http.StatusForbidden},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: status %d, want %d", what, got[0], got[1])
		}
	}
	loud, long := visit(t, site, "42"), strings.Repeat("x", 3*maxNameBytes)
	loud.sees("", 0, "n1")
	_ = wsjson.Write(t.Context(), loud.Conn, asked{Name: &long})
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if _, _, err := loud.Read(ctx); websocket.CloseStatus(err) == -1 && err == nil {
		t.Error("too long a message was taken")
	}
	long = strings.Repeat("ż", maxNameBytes/2)
	quiet := visit(t, site, "42")
	quiet.asks(asked{Name: &long})
	quiet.sees(long, 0, "n1")
}
