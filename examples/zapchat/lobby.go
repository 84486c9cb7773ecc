package main

import (
	"context"
	"errors"
	"sync"
	"time"

	torc "github.com/torc-io/torc"
	chatpb "github.com/torc-io/torc/proto/torc/examples/zapchat/v1"
)

const (
	// inboxSize is how many news may wait on a node. Reading them takes no time,
	// since nobody waits for a client.
	inboxSize = 10_000
	// askEvery is how often a node asks for what it was not told.
	askEvery = 2 * time.Second
	// patience bounds what a client waits for, with all attempts. It is shorter
	// than grace.
	patience = 8 * time.Second
	// pause is between two attempts.
	pause = 100 * time.Millisecond
)

// lobby is what the clients of one node share: the inbox, the views of the rooms
// that they are in, and the watch for nodes that die.
type lobby struct {
	*chat

	node  *torc.Node
	clock clock
	done  context.Context // ends with the lobby
	tasks sync.WaitGroup  // of the goroutines that serve the views

	mu      sync.Mutex
	inbox   *torc.Inbox[*chatpb.News]
	views   map[string]*view
	watched map[string]bool // inboxes of other nodes; true once they are gone
}

// openLobby serves until ctx ends.
func openLobby(ctx context.Context, node *torc.Node, service *chat) *lobby {
	l := &lobby{chat: service, node: node, done: ctx, views: map[string]*view{}, watched: map[string]bool{}}
	l.inbox = torc.OpenInbox[*chatpb.News](node, inboxSize)
	l.tasks.Go(l.listen)
	return l
}

// close ends the inbox, and waits until nothing is under way.
func (l *lobby) close() {
	l.current().Close()
	l.tasks.Wait()
}

func (l *lobby) current() *torc.Inbox[*chatpb.News] {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inbox
}

// address is where this node hears of its rooms.
func (l *lobby) address() string { return string(l.current().Address()) }

// listen learns what arrives. An inbox that ended since it was full is gone for
// all others, and with it our members: they join again with a new one.
func (l *lobby) listen() {
	for {
		for news := range l.current().All {
			if v := l.view(news.GetRoom()); v != nil {
				v.learn(news.GetFacts())
			}
		}
		if !l.current().Overflowed() || l.done.Err() != nil {
			return
		}
		l.mu.Lock()
		l.inbox = torc.OpenInbox[*chatpb.News](l.node, inboxSize)
		l.mu.Unlock()
		for _, v := range l.all() {
			l.tasks.Go(v.rejoin)
		}
	}
}

// view returns what this node knows of a room, nil if nobody here is in it.
func (l *lobby) view(room string) *view {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.views[room]
}

func (l *lobby) all() (all []*view) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range l.views {
		all = append(all, v)
	}
	return all
}

// enter counts a client in, and makes the view for the first one. Exit counts it
// out again.
func (l *lobby) enter(room string) *view {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := l.views[room]
	if v == nil {
		ctx, stop := context.WithCancel(l.done)
		v = &view{lobby: l, name: room, stop: stop, seats: map[uint64]*seat{}}
		l.views[room] = v
		l.tasks.Go(func() { v.keepUp(ctx) })
	}
	v.users++
	return v
}

func (l *lobby) exit(v *view) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v.users--
	if v.users == 0 {
		v.stop()
		delete(l.views, v.name)
	}
}

// spread carries facts, which enough replicas have now, to all in the room. Those
// on this node see them at once. What gets lost on the way to others they find
// when they ask.
func (l *lobby) spread(room string, to *chatpb.Audience, facts *chatpb.Room) {
	if v := l.view(room); v != nil {
		v.learn(facts)
	}
	own := l.address()
	for _, inbox := range to.GetInboxes() {
		if inbox != own {
			_ = l.node.Push(torc.Address(inbox), &chatpb.News{Room: room, Facts: facts})
		}
	}
}

// watch has gone called when the inbox of another node is not there any more. The
// empty news go nowhere; they are how one hears of a node that came back anew.
func (l *lobby) watch(inbox string) {
	l.mu.Lock()
	_, known := l.watched[inbox]
	if !known {
		l.watched[inbox] = false
	}
	l.mu.Unlock()
	if !known {
		l.node.Watch(torc.Address(inbox), func() { l.gone(inbox) })
	}
	_ = l.node.Push(torc.Address(inbox), &chatpb.News{})
}

func (l *lobby) gone(inbox string) {
	l.mu.Lock()
	l.watched[inbox] = true
	l.mu.Unlock()
	for _, v := range l.all() {
		v.bury(l.done)
	}
}

func (l *lobby) isGone(inbox string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.watched[inbox]
}

// send sends a command, again and again while it is no use to give up. Doing it
// twice is harmless, for it has the same stamp each time.
func send[Q torc.Keyed, A any](ctx context.Context, do func(context.Context, torc.Sender, Q, ...torc.CallOption) (A, error), on torc.Sender, command Q) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		answer, err := try(ctx, do, on, command)
		if err == nil || errors.Is(err, torc.ErrInvalid) || errors.Is(err, torc.ErrTooLarge) {
			return answer, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return answer, err
		}
	}
}

// try leaves time for another attempt.
func try[Q torc.Keyed, A any](ctx context.Context, do func(context.Context, torc.Sender, Q, ...torc.CallOption) (A, error), on torc.Sender, command Q) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, patience/3)
	defer cancel()
	return do(ctx, on, command)
}
