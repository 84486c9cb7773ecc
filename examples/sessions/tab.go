package main

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"google.golang.org/protobuf/proto"

	torc "github.com/torc-io/torc"
	sessionspb "github.com/torc-io/torc/proto/torc/examples/sessions/v1"
)

const (
	// inboxSize is how many changes may wait for a tab. It only ever needs the last.
	inboxSize = 256
	// askEvery is how often a tab asks for what it was not told.
	askEvery = 2 * time.Second
	// writeTimeout is how long a browser may take to take a message. It is also how
	// soon one finds out that it has vanished.
	writeTimeout = 10 * time.Second
	// maxNameBytes bounds a name, and by it what a browser may send at once.
	maxNameBytes = 256
)

// asked is what a browser sends: one of the two.
type asked struct {
	Click bool    `json:"click,omitempty"`
	Name  *string `json:"name,omitempty"`
}

// shown is what a browser is shown.
type shown struct {
	User    string     `json:"user"`
	Node    string     `json:"node"` // where this tab is connected
	Name    string     `json:"name"`
	Counter int64      `json:"counter"`
	Tabs    []shownTab `json:"tabs"`
}

type shownTab struct {
	Node   string `json:"node"`
	Clicks int64  `json:"clicks"`
	You    bool   `json:"you,omitempty"`
}

// tab is one open page of a user. Its fields belong to the goroutine of run.
type tab struct {
	*live

	ctx     context.Context // ends with the tab
	node    *torc.Node
	user    string
	socket  *websocket.Conn
	inbox   *torc.Inbox[*sessionspb.Session]
	self    *sessionspb.Tab
	session *sessionspb.Session // as far as this tab has heard
	watched map[string]func()   // tabs on other nodes, and how to stop watching
	gone    chan *sessionspb.Tab
}

// serveTab opens a tab, and serves it until the browser is gone or ctx ends.
func serveTab(ctx context.Context, node *torc.Node, service *live, user string, socket *websocket.Conn) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	inbox := torc.OpenInbox[*sessionspb.Session](node, inboxSize)
	t := &tab{
		live: service, ctx: ctx, node: node, user: user, socket: socket, inbox: inbox,
		self:    &sessionspb.Tab{Id: rand.Text(), Inbox: string(inbox.Address())},
		watched: map[string]func(){}, gone: make(chan *sessionspb.Tab, inboxSize),
	}
	defer t.end()
	return t.run()
}

// run does one thing after the other: what the browser asks for, what the inbox
// brings, and what is due.
func (t *tab) run() error {
	lines, failed := t.listen()
	news := t.receive()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	err := t.learn(t.open.Do(t.ctx, t.node, &sessionspb.Open{Key: t.key(), Tab: t.self}))
	for err == nil {
		select {
		case a := <-lines:
			err = t.do(a)
		case s := <-news:
			err = t.learn(s, nil)
		case other := <-t.gone:
			err = t.bury(other)
		case <-tick.C:
			err = t.ask()
		case err = <-failed:
		case <-t.ctx.Done():
			err = t.ctx.Err()
		}
	}
	return err
}

func (t *tab) key() []byte { return []byte(t.user) }

// listen returns what the browser asks for, and why it stopped.
func (t *tab) listen() (<-chan asked, <-chan error) {
	lines, failed := make(chan asked), make(chan error, 1)
	go func() {
		for {
			var a asked
			if err := wsjson.Read(t.ctx, t.socket, &a); err != nil {
				failed <- err
				return
			}
			select {
			case lines <- a:
			case <-t.ctx.Done():
				return
			}
		}
	}()
	return lines, failed
}

// receive returns what the inbox brings. If the inbox was full, what is missed is
// asked for, but a new tab begins: the browser connects again.
func (t *tab) receive() <-chan *sessionspb.Session {
	news := make(chan *sessionspb.Session)
	go func() {
		for s := range t.inbox.All {
			select {
			case news <- s:
			case <-t.ctx.Done():
				return
			}
		}
		if t.inbox.Overflowed() {
			_ = t.socket.Close(websocket.StatusTryAgainLater, "too slow")
		}
	}()
	return news
}

// do does what the browser asks for.
func (t *tab) do(a asked) error {
	switch {
	case a.Click:
		t.self = proto.CloneOf(t.self)
		t.self.Clicks++
		return t.learn(t.click.Do(t.ctx, t.node, &sessionspb.Click{Key: t.key(), Tab: t.self}))
	case a.Name != nil:
		// Later than what it replaces, whatever the clock says.
		at := max(time.Now().UnixNano(), t.session.GetName().GetTime()+1)
		name := &sessionspb.Name{Text: strings.ToValidUTF8((*a.Name)[:min(len(*a.Name), maxNameBytes)], ""), Time: at}
		return t.learn(t.rename.Do(t.ctx, t.node, &sessionspb.Rename{Key: t.key(), Name: name}))
	}
	return nil
}

// ask finds out what this tab was not told, and whether the browser is there.
func (t *tab) ask() error {
	for _, other := range t.session.GetTabs() {
		if t.watched[other.GetId()] != nil { // if its node came back without it, this tells
			_ = t.node.Push(torc.Address(other.GetInbox()), t.session)
		}
	}
	within, cancel := context.WithTimeout(t.ctx, writeTimeout)
	defer cancel()
	if err := t.socket.Ping(within); err != nil {
		return err
	}
	return t.learn(t.look.Do(t.ctx, t.node, &sessionspb.Look{Key: t.key()}))
}

// learn merges a session into what is known here, and shows it if it is news. A
// request that failed is no reason to end: what it asked for is asked for again, or
// was done and is told.
func (t *tab) learn(s *sessionspb.Session, err error) error {
	if err != nil {
		return t.ctx.Err()
	}
	before := t.session
	t.session = merge(before, s)
	t.watch()
	if before != nil && proto.Equal(before, t.session) {
		return nil
	}
	within, cancel := context.WithTimeout(t.ctx, writeTimeout)
	defer cancel()
	return wsjson.Write(within, t.socket, t.show())
}

func (t *tab) show() shown {
	s := shown{User: t.user, Node: string(t.node.Name()), Name: t.session.GetName().GetText(), Counter: counter(t.session)}
	for _, other := range t.session.GetTabs() {
		if !other.GetClosed() {
			s.Tabs = append(s.Tabs, shownTab{string(torc.Address(other.GetInbox()).Node()), other.GetClicks(), other.GetId() == t.self.GetId()})
		}
	}
	return s
}

// watch looks after the other tabs: who dies with a node cannot say so.
func (t *tab) watch() {
	for _, other := range t.session.GetTabs() {
		id, stop := other.GetId(), t.watched[other.GetId()]
		switch {
		case id == t.self.GetId():
		case other.GetClosed() && stop != nil:
			stop()
			delete(t.watched, id)
		case !other.GetClosed() && stop == nil:
			t.watched[id] = t.node.Watch(torc.Address(other.GetInbox()), func() { t.lost(other) })
		}
	}
}

// lost is called on a goroutine of its own.
func (t *tab) lost(other *sessionspb.Tab) {
	select {
	case t.gone <- other:
	case <-t.ctx.Done():
	}
}

// bury says for a tab that it is closed. The other tabs do too, and no harm is done.
func (t *tab) bury(other *sessionspb.Tab) error {
	other = proto.CloneOf(other)
	other.Closed = true
	err := t.learn(t.close.Do(t.ctx, t.node, &sessionspb.Close{Key: t.key(), Tab: other}))
	delete(t.watched, other.GetId()) // if it did not work, the next look watches again
	return err
}

// end closes the tab: the others see it at once.
func (t *tab) end() {
	for _, stop := range t.watched {
		stop()
	}
	t.inbox.Close()
	_ = t.socket.CloseNow()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), writeTimeout)
	defer cancel()
	t.self = proto.CloneOf(t.self)
	t.self.Closed = true
	// If this fails, another tab finds out, or the next one that is opened.
	_, _ = t.close.Do(ctx, t.node, &sessionspb.Close{Key: t.key(), Tab: t.self})
}
