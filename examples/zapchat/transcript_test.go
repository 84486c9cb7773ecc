package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestTranscripts plays what people type and see, on three nodes.
func TestTranscripts(t *testing.T) {
	c := startCluster(t, 3)
	playAll(t, c.addresses())
}

func playAll(t *testing.T, addresses []string) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { perform(t, file, addresses) })
	}
}

// perform plays a transcript; the first lines of stages.txt say how to read it.
func perform(t *testing.T, file string, addresses []string) {
	script, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string]*client{}
	for i, line := range strings.Split(string(script), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		at := strings.IndexAny(line, "@:< ")
		who, what := line[:at], strings.TrimPrefix(line[at+1:], " ")
		t.Logf("%s:%d: %s", file, i+1, line)
		switch line[at] {
		case '@':
			n, _ := strconv.Atoi(what)
			clients[who] = dial(t, who, addresses[(n-1)%len(addresses)])
		case ':':
			clients[who].types(what)
		case '<':
			clients[who].sees(what)
		case ' ':
			_ = clients[who].Close()
			delete(clients, who)
		}
	}
	for _, c := range clients {
		c.seesNothing()
	}
}

// TestPrompts: every answer ends with one, and what comes by itself begins a line.
func TestPrompts(t *testing.T) {
	c := startCluster(t, 1)
	alex := rawDial(t, c.members[0].address)
	alex.reads("connected! 'set-name <name>' and 'join <chat name>' to get started\n> ")
	for _, step := range [][2]string{
		{"\n", "> "},
		{"\r\n", "> "},
		{"set-name Alex\r\n", "ok your name is Alex\n> "},
		{"join room\n", "joined room! 'say room <message>' to chat\n* Alex has joined room\n> "},
		{"say room hi\n", "room - Alex: hi\n> "},
		{"what?\n", "sorry, I don't understand 'what?'\n> "},
	} {
		alex.writes(step[0])
		alex.reads(step[1])
	}
	enters(t, c.members[0].address, "Jane", "room")
	alex.reads("\n* Jane has joined room\n> ")
	alex.writes("say room last words") // and the end of input is the end of a connection
}
