package main

import (
	"context"

	chatpb "github.com/torc-io/torc/proto/torc/examples/zapchat/v1"
)

// shownOnJoin is how much of a room's history a client sees when it joins.
const shownOnJoin = 20

// sit takes a seat in a room for a user. From the lines that it returns on, and
// the member's own joining, the outbox gets all that happens there.
func (l *lobby) sit(ctx context.Context, room, user string, out *outbox) (*seat, []*chatpb.Line, error) {
	v := l.enter(room)
	s := &seat{view: v, out: out, member: l.newMember(user)}
	v.mu.Lock()
	v.seats[s.member.GetId()] = s // before others can hear of it
	v.mu.Unlock()
	before, err := v.ask(ctx, user)
	var to *chatpb.Audience
	if err == nil {
		to, err = send(ctx, l.join.Do, l.node, &chatpb.Join{Key: []byte(room), Member: s.member})
	}
	if err != nil {
		s.vacate()
		return nil, nil, err
	}
	l.spread(room, to, &chatpb.Room{Members: []*chatpb.Member{s.member}})
	return s, s.begin(markOf(before, user)), nil
}

// begin is the moment from which on the outbox gets what is new, and returns what
// was there before.
func (s *seat) begin(last *chatpb.Mark) []*chatpb.Line {
	v := s.view
	v.mu.Lock()
	defer v.mu.Unlock()
	s.open = true
	s.missed = unread(v.room, last)
	return latest(v.room.GetLines(), shownOnJoin)
}

// rise gives the seat up: the user has seen all up to this moment.
func (s *seat) rise(ctx context.Context) error {
	v := s.view
	v.mu.Lock()
	s.open = false
	seen := mark(v.room, s.member.GetUser(), v.lobby.clock.next())
	member := s.member
	v.mu.Unlock()
	defer s.vacate()
	return v.leave(ctx, []*chatpb.Member{member}, []*chatpb.Mark{seen})
}

// vacate forgets the seat. If the room was not told, it finds out: see bury.
func (s *seat) vacate() {
	v := s.view
	v.mu.Lock()
	delete(v.seats, s.member.GetId())
	v.mu.Unlock()
	v.lobby.exit(v)
}
