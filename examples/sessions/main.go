// Sessions is a web program whose users have live state in memory: a profile, a
// counter, and their open tabs. Any node takes any websocket, and all of a user's
// tabs see each change at once, wherever they are connected.
//
//	tab ── websocket ──▶ node a ──▶ command ──▶ the user's vnodes, on three nodes
//	                                                 │ each pushes the new session
//	tab ◀─ websocket ─── node b ◀── inbox ◀──────────┘ to the inbox of every tab
package main

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"sync"

	"github.com/coder/websocket"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/examples/member"
)

//go:embed page.html
var page string

func main() { member.Main(run) }

func run(ctx context.Context, m *member.Member) error {
	if m.HTTP == "" {
		m.HTTP = "127.0.0.1:4000"
	}
	config, err := m.Config()
	if err != nil {
		return err
	}
	service := newLive()
	node, err := torc.Start(ctx, config, service)
	if err != nil {
		return err
	}
	site := newSite(node, service)
	if err := m.Serve(ctx, site); err != nil {
		return err
	}
	fmt.Printf("open http://%s/?user=42\n", m.HTTP)
	m.HTTP, m.Last = "", site.stop // it is taken: by this
	return m.Attend(ctx, node)
}

// site is the web program.
type site struct {
	http.Handler

	node    *torc.Node
	service *live
	done    context.Context
	end     context.CancelFunc
	tabs    sync.WaitGroup
}

func newSite(node *torc.Node, service *live) *site {
	s := &site{node: node, service: service}
	s.done, s.end = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.page)
	mux.HandleFunc("GET /live", s.live)
	s.Handler = mux
	return s
}

// stop closes all tabs, and waits until the others know.
func (s *site) stop() {
	s.end()
	s.tabs.Wait()
}

func (*site) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(page))
}

// live is the websocket of a tab. The user's name stands for what a program would
// know from a login. Pages of other sites are refused by their Origin.
func (s *site) live(w http.ResponseWriter, r *http.Request) {
	user := r.URL.Query().Get("user")
	if user == "" || len(user) > maxNameBytes {
		http.Error(w, "whose session?", http.StatusBadRequest)
		return
	}
	socket, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has answered
	}
	socket.SetReadLimit(2 * maxNameBytes)
	s.tabs.Add(1)
	defer s.tabs.Done()
	_ = serveTab(s.done, s.node, s.service, user, socket) // the browser went, or we do
}
