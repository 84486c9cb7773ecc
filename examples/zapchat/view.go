package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	chatpb "github.com/torc-io/torc/proto/torc/examples/zapchat/v1"
)

// view is a room as the clients of one node have seen it. It is merged like a
// replica, and whatever a merge adds is shown to those clients: so each line is
// shown once, on whatever way and however often the node hears of it.
type view struct {
	lobby *lobby
	name  string
	users int // guarded by the lobby
	stop  context.CancelFunc

	mu     sync.Mutex
	room   *chatpb.Room     // lines and members
	seats  map[uint64]*seat // by the id of the member
	marked uint64           // digest of what the stored marks cover
}

// seat is a client's place in a room.
type seat struct {
	view   *view
	out    *outbox
	member *chatpb.Member // guarded by the view
	open   bool           // shown what the view learns
	missed []*chatpb.Line
}

// learn takes facts about the room, and shows what is new.
func (v *view) learn(facts *chatpb.Room) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.learnLocked(facts)
}

func (v *view) learnLocked(facts *chatpb.Room) {
	before := v.room
	v.room = merge(before, &chatpb.Room{Lines: facts.GetLines(), Members: facts.GetMembers()})
	for _, l := range facts.GetLines() {
		v.lobby.clock.saw(l.GetTime())
	}
	for _, text := range news(v.name, before, v.room) {
		for _, s := range v.seats {
			if s.open {
				s.out.notice(text)
			}
		}
	}
}

// seen returns the room as it is known here.
func (v *view) seen() *chatpb.Room {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.room
}

// keepUp asks every few seconds for what this node was not told, and looks after
// members whose node has died.
func (v *view) keepUp(ctx context.Context) {
	for {
		// Not all at the same moment.
		select {
		case <-time.After(askEvery/2 + rand.N(askEvery/2)):
		case <-ctx.Done():
			return
		}
		_, _ = v.ask(ctx, "") // it is asked again
		v.bury(ctx)
		v.keepMarks(ctx)
	}
}

// ask learns what two replicas know. With a user it returns the whole room, with
// the user's mark.
func (v *view) ask(ctx context.Context, user string) (*chatpb.Room, error) {
	command := &chatpb.Look{Key: []byte(v.name), User: user}
	if user == "" {
		command.Digest = digest(v.seen())
	}
	room, err := send(ctx, v.lobby.look.Do, v.lobby.node, command)
	if err == nil {
		v.learn(room)
	}
	return room, err
}

// bury says of members whose node is gone, and of those of this node whom nobody
// here knows, that they have left. All nodes in the room do it, and the first
// makes it true.
func (v *view) bury(ctx context.Context) {
	var dead []*chatpb.Member
	own := v.lobby.address()
	for _, m := range present(v.seen()) {
		switch {
		case m.GetInbox() != own:
			v.lobby.watch(m.GetInbox())
			if v.lobby.isGone(m.GetInbox()) {
				dead = append(dead, m)
			}
		case !v.has(m.GetId()):
			dead = append(dead, m)
		}
	}
	if len(dead) > 0 {
		_ = v.leave(ctx, dead, nil) // it is tried again
	}
}

func (v *view) has(member uint64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.seats[member] != nil
}

// leave stores that members have left.
func (v *view) leave(ctx context.Context, members []*chatpb.Member, marks []*chatpb.Mark) error {
	now := v.lobby.clock.next()
	var left []*chatpb.Member
	for _, m := range members {
		gone := proto.CloneOf(m)
		gone.Left = now
		left = append(left, gone)
	}
	to, err := send(ctx, v.lobby.leave.Do, v.lobby.node, &chatpb.Leave{Key: []byte(v.name), Members: left, Marks: marks})
	if err == nil {
		v.lobby.spread(v.name, to, &chatpb.Room{Members: left})
	}
	return err
}

// keepMarks stores how far the clients here have read, in case this node dies.
func (v *view) keepMarks(ctx context.Context) {
	v.mu.Lock()
	now, state := v.lobby.clock.next(), digest(v.room)
	var marks []*chatpb.Mark
	for _, s := range v.seats {
		if s.open && state != v.marked {
			marks = append(marks, mark(v.room, s.member.GetUser(), now))
		}
	}
	v.mu.Unlock()
	marks = oneEach(marks)
	if len(marks) == 0 {
		return
	}
	if _, err := send(ctx, v.lobby.read.Do, v.lobby.node, &chatpb.Read{Key: []byte(v.name), Marks: marks}); err == nil {
		v.mu.Lock()
		v.marked = state
		v.mu.Unlock()
	}
}

// oneEach orders marks by user, of which each has one.
func oneEach(marks []*chatpb.Mark) (all []*chatpb.Mark) {
	for _, m := range marks {
		all = union(all, []*chatpb.Mark{m}, byUser, newerMark)
	}
	return all
}

// rejoin makes members anew for those who are here.
func (v *view) rejoin() {
	v.mu.Lock()
	var joins []*chatpb.Join
	for id, s := range v.seats {
		delete(v.seats, id)
		s.member = v.lobby.newMember(s.member.GetUser())
		v.seats[s.member.GetId()] = s
		joins = append(joins, &chatpb.Join{Key: []byte(v.name), Member: s.member})
	}
	v.mu.Unlock()
	for _, j := range joins {
		if to, err := send(v.lobby.done, v.lobby.join.Do, v.lobby.node, j); err == nil {
			v.lobby.spread(v.name, to, &chatpb.Room{Members: []*chatpb.Member{j.GetMember()}})
		}
	}
}

func (l *lobby) newMember(user string) *chatpb.Member {
	return &chatpb.Member{Time: l.clock.next(), Id: newID(), User: user, Inbox: l.address()}
}
