package handoff_test

import (
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/*.txt with what the dialogues print now")

// TestDialogues plays testdata/*.txt, in the manner of etcd raft's interaction
// tests. A file is blocks of commands, each followed by ---- and the same with
// what they print, indented. What the commands are is said where they are played:
// transferPlay, standingPlay and schedulePlay, by the first word of the file.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, file) })
	}
}

// player plays one command, and returns what it prints.
type player interface {
	command(t *testing.T, verb string, args []string) string
}

func newPlayer(file string) player {
	kind, _, _ := strings.Cut(filepath.Base(file), "-")
	switch kind {
	case "standing":
		return &standingPlay{}
	case "schedule":
		return &schedulePlay{}
	}
	return &transferPlay{}
}

func play(t *testing.T, file string) {
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlayer(file)
	var blocks []string
	for block := range strings.SplitSeq(strings.TrimSpace(string(old)), "\n\n") {
		blocks = append(blocks, playBlock(t, p, block))
	}
	now := strings.Join(blocks, "\n")
	if *rewrite {
		if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if now != string(old) {
		t.Errorf("%s differs. Now:\n%s\nIf that is right: go test ./handoff/ -rewrite", file, now)
	}
}

// playBlock plays one block and returns it with its output.
func playBlock(t *testing.T, p player, text string) string {
	commands, _, _ := strings.Cut(text, "----")
	commands = strings.TrimSpace(commands) + "\n"
	var out strings.Builder
	for line := range strings.Lines(commands) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		out.WriteString(line)
		if said := p.command(t, words[0], words[1:]); said != "" {
			out.WriteString("    " + strings.ReplaceAll(said, "\n", "\n    ") + "\n")
		}
	}
	if out.Len() == 0 {
		return commands
	}
	return commands + "----\n" + out.String()
}

// typeOf reads a type of transfer.
func typeOf(t *testing.T, word string) (kind handoff.Type) {
	if err := kind.UnmarshalText([]byte(word)); err != nil {
		t.Fatal(err)
	}
	return kind
}

func number(t *testing.T, word string) int {
	n, err := strconv.Atoi(word)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sourcesOf reads 1@a 2@b.
func sourcesOf(t *testing.T, words []string) (sources []handoff.Source) {
	for _, word := range words {
		p, node, _ := strings.Cut(word, "@")
		sources = append(sources, handoff.Source{Partition: ring.Partition(number(t, p)), Node: ring.NodeName(node)})
	}
	return sources
}
