package main

import (
	"context"

	torc "github.com/torc-io/torc"
	chatpb "github.com/torc-io/torc/proto/torc/examples/zapchat/v1"
)

// vnode holds the rooms of one partition, each under its name. What it has, and
// all that it does with a command, is a union of facts: see merge.
type vnode struct{ *torc.Store[*chatpb.Room] }

func open(context.Context, torc.Host) (*vnode, error) {
	return &vnode{torc.NewStore(merge)}, nil
}

// add adds facts to a room, and tells where the news must go. The one who sent
// the command carries them there, once enough replicas have them.
func (v *vnode) add(key []byte, facts *chatpb.Room) *chatpb.Room {
	room, _ := v.Get(key)
	room = merge(room, facts)
	v.Put(key, room)
	return room
}

// Say adds a line.
func (v *vnode) Say(_ context.Context, c *chatpb.Say) (*chatpb.Audience, error) {
	return audience(v.add(c.GetKey(), &chatpb.Room{Lines: []*chatpb.Line{c.GetLine()}})), nil
}

// Join adds a member.
func (v *vnode) Join(_ context.Context, c *chatpb.Join) (*chatpb.Audience, error) {
	return audience(v.add(c.GetKey(), &chatpb.Room{Members: []*chatpb.Member{c.GetMember()}})), nil
}

// Leave remembers that members have left, and what they had read.
func (v *vnode) Leave(_ context.Context, c *chatpb.Leave) (*chatpb.Audience, error) {
	return audience(v.add(c.GetKey(), &chatpb.Room{Members: c.GetMembers(), Marks: c.GetMarks()})), nil
}

// Read remembers what users have read, which is no news to anybody.
func (v *vnode) Read(_ context.Context, c *chatpb.Read) (*chatpb.Audience, error) {
	v.add(c.GetKey(), &chatpb.Room{Marks: c.GetMarks()})
	return &chatpb.Audience{}, nil
}

// Start adds a game.
func (v *vnode) Start(_ context.Context, c *chatpb.Start) (*chatpb.Audience, error) {
	return audience(v.add(c.GetKey(), &chatpb.Room{Games: []*chatpb.Game{c.GetGame()}})), nil
}

// Guess adds an attempt to a game, and returns the games for the sender to judge
// it by. A replica alone may not know all that was placed before.
func (v *vnode) Guess(_ context.Context, c *chatpb.Guess) (*chatpb.Room, error) {
	room := v.add(c.GetKey(), &chatpb.Room{Games: []*chatpb.Game{c.GetGame()}})
	return &chatpb.Room{Games: room.GetGames()}, nil
}

// Mend adds what other replicas have.
func (v *vnode) Mend(_ context.Context, c *chatpb.Mend) (*chatpb.Audience, error) {
	v.add(c.GetKey(), c.GetRoom())
	return &chatpb.Audience{}, nil
}

// Look returns what there is in a room, or nothing to one who has it already. A
// room that nobody was ever in is an empty one.
func (v *vnode) Look(_ context.Context, c *chatpb.Look) (*chatpb.Room, error) {
	room, _ := v.Get(c.GetKey())
	if c.GetDigest() != 0 && c.GetDigest() == digest(room) {
		return &chatpb.Room{}, nil
	}
	all := &chatpb.Room{Lines: room.GetLines(), Members: room.GetMembers(), Games: room.GetGames()}
	if m := markOf(room, c.GetUser()); m != nil {
		all.Marks = []*chatpb.Mark{m}
	}
	return all, nil
}

// chat is the service and its commands.
type chat struct {
	*torc.Service[*vnode]
	say   torc.Command[*chatpb.Say, *chatpb.Audience]
	join  torc.Command[*chatpb.Join, *chatpb.Audience]
	leave torc.Command[*chatpb.Leave, *chatpb.Audience]
	read  torc.Command[*chatpb.Read, *chatpb.Audience]
	start torc.Command[*chatpb.Start, *chatpb.Audience]
	guess torc.Command[*chatpb.Guess, *chatpb.Room]
	look  torc.Command[*chatpb.Look, *chatpb.Room]
}

// newChat keeps three replicas of a room. A line that two of them have is said,
// and two of three that are asked have met it.
func newChat() *chat {
	s := torc.NewService("zapchat", torc.Quorum{N: 3, R: 2, W: 2}, open)
	all := torc.Resolve(joinAudiences)
	mend := torc.HandleWrite(s, (*vnode).Mend)
	return &chat{
		Service: s,
		say:     torc.HandleWrite(s, (*vnode).Say, all),
		join:    torc.HandleWrite(s, (*vnode).Join, all),
		leave:   torc.HandleWrite(s, (*vnode).Leave, all),
		read:    torc.HandleWrite(s, (*vnode).Read, all),
		start:   torc.HandleWrite(s, (*vnode).Start, all),
		guess:   torc.HandleWrite(s, (*vnode).Guess, torc.Resolve(merge)),
		look: torc.HandleRead(s, (*vnode).Look, torc.Resolve(merge), torc.Repair(mend, func(key []byte, room *chatpb.Room) *chatpb.Mend {
			return &chatpb.Mend{Key: key, Room: room}
		})),
	}
}
