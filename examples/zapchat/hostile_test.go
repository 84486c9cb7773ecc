package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// raw is a client that does not behave.
type raw struct {
	*net.TCPConn

	t testing.TB
}

func rawDial(t testing.TB, address string) raw {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(deadline))
	return raw{conn.(*net.TCPConn), t}
}

func (r raw) writes(text string) {
	r.t.Helper()
	if _, err := r.Write([]byte(text)); err != nil {
		r.t.Fatal(err)
	}
}

// reads wants exactly these bytes next.
func (r raw) reads(want string) {
	r.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		r.t.Fatalf("read %q, %v; want %q", got[:n], err, want)
	}
}

// rest reads up to the end of the connection.
func (r raw) rest() string {
	r.t.Helper()
	all, err := io.ReadAll(r)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Fatalf("the server does not hang up after %q", all)
	}
	return string(all)
}

func TestALineWithoutEnd(t *testing.T) {
	c := startCluster(t, 1)
	for what, bytes := range map[string]string{
		"no end":         strings.Repeat("x", maxLineBytes+1),
		"an end at last": strings.Repeat("x", maxLineBytes+1) + "\n",
	} {
		r := rawDial(t, c.members[0].address)
		r.writes(bytes)
		if got := r.rest(); !strings.HasSuffix(got, "sorry, a line has at most 1024 bytes\n> ") {
			t.Errorf("%s: read %q", what, got)
		}
	}
	longest := strings.Repeat("x", maxLineBytes-len("say room "))
	alex := enters(t, c.members[0].address, "Alex", "room")
	alex.types("say room " + longest)
	alex.sees("room - Alex: " + longest)
}

// TestWhatOthersSee: neither what telnet says of a terminal, nor what a terminal
// would obey.
func TestWhatOthersSee(t *testing.T) {
	c := startCluster(t, 1)
	jane := enters(t, c.members[0].address, "Jane", "room")
	alex := rawDial(t, c.members[0].address)
	alex.writes("\xff\xfb\x1f\xff\xfa\x1f\x00P\xff\xff\x00\x18\xff\xf0set-name \xff\xf1Alex\r\x00\njoin room\r\n")
	jane.sees("* Alex has joined room")
	for said, want := range map[string]string{
		"\x1b[2J\x1b[1;1Hgone?":                          "gone?",
		"\x1b]0;title\x07and \x1b]8;;http://x\x1b\\link": "and link",
		"a\x1bcb\u009b31mred\x08\x7f\x00":                "abred",
		"\u202eesrever\u2066":                            "esrever",
		"not \xff\xffutf-8 \xc3(":                        "not \uFFFDutf-8 \uFFFD(",
		"tab\there \x1b[":                                "tab here",
		"one\rline":                                      "oneline",
		"zażółć \U0001F469\u200D\U0001F680":              "zażółć \U0001F469\u200D\U0001F680",
	} {
		alex.writes("say room " + said + "\n")
		jane.sees("room - Alex: " + want)
	}
	alex.writes("say room \x1b[2J\n\x1b[31m\n")
	jane.seesNothing()
}

func TestOddNames(t *testing.T) {
	c := startCluster(t, 1)
	alex := dial(t, "alex", c.members[0].address)
	alex.next()
	long := strings.Repeat("ż", maxNameRunes)
	for _, name := range []string{long + "x", "a/b", "'", "\U0001F469", "*", "\x01", "\xfe", "<b>"} {
		alex.types("set-name " + name)
		switch got, _ := alex.next(); {
		case clean("set-name "+name) == "set-name": // nothing is left of it
		case got != strings.TrimSpace(badName):
			t.Errorf("name %q: %q", name, got)
		}
	}
	alex.types("set-name " + long)
	alex.sees("ok your name is " + long)
	alex.types("join " + long + "x")
	alex.sees(strings.TrimSpace(badName))
	alex.types("join " + long)
	alex.sees(fmt.Sprintf("joined %s! 'say %[1]s <message>' to chat", long), fmt.Sprintf("* %s has joined %s", long, long))
	alex.types("join " + long)
	alex.sees(fmt.Sprintf("you are in %s already", long))
	alex.types("set-name Bob")
	alex.sees("leave your rooms before you change your name")
	for _, line := range []string{"say", "join", "say " + long, "guess", "set-name", "set-name a b"} {
		alex.types(line)
		alex.sees(fmt.Sprintf("sorry, I don't understand '%s'", line))
	}
}

// TestAClientThatNeverReads is dropped, and the room does not wait for it.
func TestAClientThatNeverReads(t *testing.T) {
	c := startCluster(t, 1)
	deaf := rawDial(t, c.members[0].address)
	_ = deaf.SetReadBuffer(4 << 10)
	deaf.writes("set-name Deaf\njoin room\n")
	deaf.reads("connected! 'set-name")
	jane := enters(t, c.members[0].address, "Jane", "room")
	text := strings.Repeat("x", 900)
	longest := time.Duration(0)
	for i := range 5000 {
		began := time.Now()
		jane.types(fmt.Sprintf("say room %d %s", i, text))
		line, _ := jane.next()
		longest = max(longest, time.Since(began))
		if line == "* Deaf has left room" || line == "* Deaf has joined room" {
			if line, _ = jane.next(); strings.HasPrefix(line, "room - ") && i > outboxSize {
				t.Logf("dropped after %d lines; the slowest took %v", i, longest)
				return
			}
		}
	}
	t.Error("the one who does not read is still there")
}

// TestTheEndOfInput: what was typed before it is done and answered.
func TestTheEndOfInput(t *testing.T) {
	c := startCluster(t, 1)
	jane := enters(t, c.members[0].address, "Jane", "room")
	alex := rawDial(t, c.members[0].address)
	alex.writes("set-name Alex\njoin room\nsay room bye\nsay room not said")
	_ = alex.CloseWrite()
	if got := alex.rest(); !strings.HasSuffix(got, "room - Alex: bye\n> ") {
		t.Errorf("got %q", got)
	}
	jane.sees("* Alex has joined room", "room - Alex: bye", "* Alex has left room")
	jane.seesNothing()
}

func TestTooManyConnections(t *testing.T) {
	c := startCluster(t, 0)
	n := c.start(0, 1, 2)
	first := enters(t, n.address, "First", "room")
	second := enters(t, n.address, "Second", "room")
	first.sees("* Second has joined room")
	third := dial(t, "third", n.address)
	third.sees("sorry, there are too many here already")
	third.ended()
	_ = second.Close()
	first.sees("* Second has left room")
	for { // its place is free a moment later
		again := dial(t, "again", n.address)
		if line, _ := again.next(); strings.HasPrefix(line, "connected!") {
			return
		}
	}
}

// TestGarbage throws bytes at a server, which goes on.
func TestGarbage(t *testing.T) {
	c := startCluster(t, 1)
	everything := make([]byte, 0, 512)
	for b := range 256 {
		everything = append(everything, byte(b), '\n')
	}
	r := rawDial(t, c.members[0].address)
	r.writes(string(bytes.Repeat(everything, 20)))
	_ = r.CloseWrite()
	r.rest()
	enters(t, c.members[0].address, "Alex", "room").seesNothing()
}
