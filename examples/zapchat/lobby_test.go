package main

import (
	"context"
	"sync"
	"testing"

	torc "github.com/torc-io/torc"
	chatpb "github.com/torc-io/torc/proto/torc/examples/zapchat/v1"
)

// TestWhatNobodyWasToldOf is found all the same: a line whose news got lost, and a
// member that is said to be here and is not.
func TestWhatNobodyWasToldOf(t *testing.T) {
	c := startCluster(t, 3)
	alex := enters(t, c.members[0].address, "Alex", "room")
	n := c.members[1]
	ghost := &chatpb.Member{Time: 1, Id: 1, User: "Ghost", Inbox: string(torc.OpenInbox[*chatpb.News](n.node, 100).Address())}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if _, err := n.chat.say.Do(ctx, n.node, &chatpb.Say{Key: []byte("room"), Line: &chatpb.Line{Time: 2, Id: 2, User: "Jane", Text: "psst"}}); err != nil {
		t.Fatal(err)
	}
	alex.sees("room - Jane: psst")
	if _, err := n.chat.join.Do(ctx, n.node, &chatpb.Join{Key: []byte("room"), Member: ghost}); err != nil {
		t.Fatal(err)
	}
	alex.sees("* Ghost has joined room")
	ghost = &chatpb.Member{Time: 2, Id: 2, User: "Nobody", Inbox: "n1/closed"}
	if _, err := n.chat.join.Do(ctx, n.node, &chatpb.Join{Key: []byte("room"), Member: ghost}); err != nil {
		t.Fatal(err)
	}
	alex.sees("* Nobody has joined room", "* Nobody has left room")
	alex.seesNothing()
}

// TestANodeThatStops sees its clients off.
func TestANodeThatStops(t *testing.T) {
	c := startCluster(t, 3)
	alex := enters(t, c.members[0].address, "Alex", "room")
	jane := enters(t, c.members[1].address, "Jane", "room")
	alex.sees("* Jane has joined room")
	c.members[1].stop()
	jane.ended()
	alex.sees("* Jane has left room")
	alex.seesNothing()
}

// TestAnInboxThatWasFull: its node opens another one, and its clients are in the
// room again, with nothing missed.
func TestAnInboxThatWasFull(t *testing.T) {
	c := startCluster(t, 2)
	alex := enters(t, c.members[0].address, "Alex", "room")
	jane := enters(t, c.members[1].address, "Jane", "room")
	alex.sees("* Jane has joined room")
	l := c.members[1].lobby
	v, full := l.view("room"), l.current()
	v.mu.Lock() // as if the machine stood still
	goOn := sync.OnceFunc(v.mu.Unlock)
	defer goOn()
	eventually(t, "the inbox is full", func() bool {
		for range inboxSize {
			_ = c.members[0].node.Push(full.Address(), &chatpb.News{Room: "room"})
		}
		return full.Overflowed()
	})
	alex.types("say room anybody here?")
	goOn()
	eventually(t, "there is another inbox", func() bool { return l.current() != full })
	alex.types("say room and now?")
	var got []string
	for range 4 {
		line, _ := alex.next()
		got = append(got, line)
	}
	once(t, "Alex sees", got, []string{"* Jane has left room", "* Jane has joined room", "room - Alex: anybody here?", "room - Alex: and now?"})
	got = nil
	for range 4 {
		line, _ := jane.next()
		got = append(got, line)
	}
	once(t, "Jane sees", got, []string{"* Jane has left room", "* Jane has joined room", "room - Alex: anybody here?", "room - Alex: and now?"})
}
