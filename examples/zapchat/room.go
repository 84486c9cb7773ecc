package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	chatpb "github.com/torc-io/torc/proto/torc/examples/zapchat/v1"
)

// What a room keeps. Facts beyond the bounds are forgotten, the oldest first, by
// every replica alike.
const (
	maxLines    = 500
	maxGone     = 200  // members who have left
	maxMarks    = 1000 // users
	maxGames    = 50
	maxAttempts = 100 // in a game, which is over then
)

// grace is for how long a line may be under way: the time in which its sender
// tries to have it stored, and more. See mark.
const grace = 10 * time.Second

// merge returns the room that knows what either knows. The result does not depend
// on order or repetition: each part is a union by the stamps, and what a bound
// cuts off is the same in any order. A room is never modified.
func merge(a, b *chatpb.Room) *chatpb.Room {
	return &chatpb.Room{
		Lines:   latest(union(a.GetLines(), b.GetLines(), byStamp, either), maxLines),
		Members: forgetGone(union(a.GetMembers(), b.GetMembers(), byStamp, lastToLeave)),
		Marks:   forgetMarks(union(a.GetMarks(), b.GetMarks(), byUser, newerMark)),
		Games:   latest(union(a.GetGames(), b.GetGames(), byStamp, joinGames), maxGames),
	}
}

// lastToLeave lets "has left" win over "is here", which is the older news: who
// joins again is a new member.
func lastToLeave(a, b *chatpb.Member) *chatpb.Member {
	if b.GetLeft() > a.GetLeft() {
		return b
	}
	return a
}

// forgetGone keeps those who left last. They must be remembered for a while, or
// a replica that missed their leaving would bring them back.
func forgetGone(members []*chatpb.Member) []*chatpb.Member {
	var left []int64
	for _, m := range members {
		if m.GetLeft() != 0 {
			left = append(left, m.GetLeft())
		}
	}
	if len(left) <= maxGone {
		return members
	}
	slices.Sort(left)
	oldest := left[len(left)-maxGone]
	return only(members, func(m *chatpb.Member) bool { return m.GetLeft() == 0 || m.GetLeft() >= oldest })
}

func byUser(a, b *chatpb.Mark) int { return strings.Compare(a.GetUser(), b.GetUser()) }

func newerMark(a, b *chatpb.Mark) *chatpb.Mark {
	if cmp.Or(cmp.Compare(b.GetTime(), a.GetTime()), slices.Compare(b.GetRecent(), a.GetRecent())) > 0 {
		return b
	}
	return a
}

func forgetMarks(marks []*chatpb.Mark) []*chatpb.Mark {
	if len(marks) <= maxMarks {
		return marks
	}
	var times []int64
	for _, m := range marks {
		times = append(times, m.GetTime())
	}
	slices.Sort(times)
	oldest := times[len(times)-maxMarks]
	return only(marks, func(m *chatpb.Mark) bool { return m.GetTime() >= oldest })
}

func joinGames(a, b *chatpb.Game) *chatpb.Game {
	attempts := union(a.GetAttempts(), b.GetAttempts(), byStamp, either)
	return &chatpb.Game{
		Time: a.GetTime(), Id: a.GetId(), User: a.GetUser(), Number: a.GetNumber(),
		Attempts: attempts[:min(len(attempts), maxAttempts)],
	}
}

// present returns the members who have not left.
func present(room *chatpb.Room) []*chatpb.Member {
	return only(room.GetMembers(), func(m *chatpb.Member) bool { return m.GetLeft() == 0 })
}

// audience returns where news of the room go.
func audience(room *chatpb.Room) *chatpb.Audience {
	var inboxes []string
	for _, m := range present(room) {
		inboxes = append(inboxes, m.GetInbox())
	}
	return joinAudiences(&chatpb.Audience{Inboxes: inboxes}, nil)
}

func joinAudiences(a, b *chatpb.Audience) *chatpb.Audience {
	all := slices.Concat(a.GetInboxes(), b.GetInboxes())
	slices.Sort(all)
	return &chatpb.Audience{Inboxes: slices.Compact(all)}
}

// digest is a number that two rooms with the same lines and members share. Ids
// are random, so their sum is as good as a hash.
func digest(room *chatpb.Room) (sum uint64) {
	for _, l := range room.GetLines() {
		sum += l.GetId()
	}
	for _, m := range room.GetMembers() {
		sum += m.GetId()
		if m.GetLeft() != 0 {
			sum += m.GetId() << 1
		}
	}
	return sum
}

// mark says that a user has seen the lines of the room up to now. Lines that are
// under way at this moment will be ordered before it, so the mark names those of
// the last seconds that have arrived.
func mark(room *chatpb.Room, user string, now int64) *chatpb.Mark {
	m := &chatpb.Mark{User: user, Time: now}
	for _, l := range room.GetLines() {
		if l.GetTime() > now-int64(grace) {
			m.Recent = append(m.Recent, l.GetId())
		}
	}
	return m
}

// unread returns what was said and is not under the mark. Who has no mark was
// never here, and has missed nothing.
func unread(room *chatpb.Room, m *chatpb.Mark) []*chatpb.Line {
	if m == nil {
		return nil
	}
	return only(room.GetLines(), func(l *chatpb.Line) bool {
		return !l.GetAct() && l.GetTime() > m.GetTime()-int64(grace) && !slices.Contains(m.GetRecent(), l.GetId())
	})
}

// markOf returns a user's mark, nil if there is none.
func markOf(room *chatpb.Room, user string) *chatpb.Mark {
	if at, found := slices.BinarySearchFunc(room.GetMarks(), &chatpb.Mark{User: user}, byUser); found {
		return room.GetMarks()[at]
	}
	return nil
}
