package main

import (
	"fmt"
	"slices"

	chatpb "github.com/torc-io/torc/proto/torc/examples/zapchat/v1"
)

// shown returns a line as clients see it.
func shown(room string, l *chatpb.Line) string {
	if l.GetAct() {
		return fmt.Sprintf("%s - %s", room, l.GetText())
	}
	return fmt.Sprintf("%s - %s: %s", room, l.GetUser(), l.GetText())
}

// news returns what those who have seen a room before it came to be what it is
// now are yet to see: each fact once, since a fact in both is not new.
func news(room string, before, now *chatpb.Room) []string {
	var all []string
	say := func(format string, m *chatpb.Member) {
		all = append(all, fmt.Sprintf(format, m.GetUser(), room))
	}
	for _, m := range without(now.GetMembers(), before.GetMembers()) {
		say("* %s has joined %s", m)
	}
	for _, l := range newLines(before, now) {
		all = append(all, shown(room, l))
	}
	for _, m := range leftSince(before, now) {
		say("* %s has left %s", m)
	}
	return all
}

// newLines leaves out those that are older than all that a full room remembers:
// they were seen and forgotten.
func newLines(before, now *chatpb.Room) []*chatpb.Line {
	fresh := without(now.GetLines(), before.GetLines())
	if len(before.GetLines()) < maxLines {
		return fresh
	}
	oldest := before.GetLines()[0]
	return only(fresh, func(l *chatpb.Line) bool { return byStamp(l, oldest) > 0 })
}

// leftSince returns those who have left, among them who is forgotten already.
func leftSince(before, now *chatpb.Room) []*chatpb.Member {
	here := func(room *chatpb.Room, m *chatpb.Member) (known, here bool) {
		at, found := slices.BinarySearchFunc(room.GetMembers(), m, byStamp)
		return found, found && room.GetMembers()[at].GetLeft() == 0
	}
	return only(union(before.GetMembers(), now.GetMembers(), byStamp, either), func(m *chatpb.Member) bool {
		known, was := here(before, m)
		_, is := here(now, m)
		return !is && (was || !known)
	})
}
