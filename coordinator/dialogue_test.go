package coordinator_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/ring"
)

var rewrite = flag.Bool("rewrite", false, "rewrite testdata/*.txt with what the dialogues print now")

// TestDialogues plays testdata/*.txt, in the manner of etcd raft's interaction
// tests. A file is blocks of commands, each followed by ---- and what they
// print, one line an event:
//
//	ring ab…                       partition i is owned by the i-th letter
//	down|up NODE                   what Reachable says from now on
//	read|write p=P n=N r|w=N …     Init and Start; also pr, pw, nodes
//	reply P@NODE[*] OUTCOME [TEXT] a star: it calls itself a fallback; the text
//	                               is a read's value, or the cause of a failure
//	nodedown NODE                  down, and the request is told
//	expire                         the deadline
//	repair TEXT                    Repairs, with that as the resolved value
//	show                           the request as text
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, file) })
	}
}

func play(t *testing.T, file string) {
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := dialogue{t: t}
	var now strings.Builder
	for i, block := range strings.Split(strings.TrimSpace(string(old)), "\n\n") {
		if i > 0 {
			now.WriteString("\n")
		}
		now.WriteString(d.block(block))
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(now.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if now.String() != string(old) {
		t.Errorf("%s differs. Now:\n%s\nIf that is right: go test ./coordinator/ -rewrite", file, &now)
	}
}

// dialogue is one file as it is played.
type dialogue struct {
	t       *testing.T
	ring    *ring.Ring
	down    map[ring.NodeName]bool
	request coordinator.Request
	texts   map[int]string
}

// block plays one block and returns it with its output.
func (d *dialogue) block(text string) string {
	commands, _, _ := strings.Cut(text, "----")
	var script, events, out []string
	width := 0
	for line := range strings.Lines(commands) {
		line = strings.TrimSpace(line)
		script = append(script, line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		events, out = append(events, line), append(out, d.command(strings.Fields(line)))
		width = max(width, len(line))
	}
	body := strings.TrimSpace(strings.Join(script, "\n")) + "\n"
	if len(events) == 0 {
		return body
	}
	body += "----\n"
	for i := range events {
		body += strings.TrimRight(fmt.Sprintf("%-*s  %s", width, events[i], out[i]), " ") + "\n"
	}
	return body
}

func (d *dialogue) command(words []string) string {
	switch verb, args := words[0], words[1:]; verb {
	case "ring":
		d.ring, d.down = ringOf(d.t, letters(args[0])...), map[ring.NodeName]bool{}
		return fmt.Sprintf("%d partitions", d.ring.Size())
	case "down", "up":
		d.down[ring.NodeName(args[0])] = verb == "down"
		return ""
	case "read", "write":
		return d.start(verb, args)
	case "reply":
		return d.reply(args)
	case "nodedown":
		d.down[ring.NodeName(args[0])] = true
		return d.step("", d.request.NodeDown(ring.NodeName(args[0])))
	case "expire":
		return d.step("", d.request.Expire())
	case "repair":
		return d.repair(strings.Join(args, " "))
	case "show":
		return d.request.String()
	default:
		d.t.Fatalf("unknown command %q", words)
		return ""
	}
}

func (d *dialogue) start(verb string, args []string) string {
	cfg := coordinator.Config{Ring: d.ring, Reachable: func(n ring.NodeName) bool { return !d.down[n] }}
	if verb == "write" {
		cfg.Kind = coordinator.Write
	}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		count, err := coordinator.ParseCount(value, cfg.Quorum.N)
		if err != nil {
			return err.Error()
		}
		switch name {
		case "p":
			cfg.Partition = ring.Partition(count)
		case "n":
			cfg.Quorum.N = count
		case "r", "w":
			cfg.Quorum.Need = count
		case "pr", "pw":
			cfg.Quorum.Primaries = count
		case "nodes":
			cfg.Quorum.Nodes = count
		}
	}
	d.texts = map[int]string{}
	if err := d.request.Init(cfg); err != nil {
		return err.Error()
	}
	return d.step("", d.request.Start())
}

func (d *dialogue) reply(args []string) string {
	p, node, _ := strings.Cut(args[0], "@")
	number, err := strconv.Atoi(p)
	if err != nil {
		d.t.Fatal(err)
	}
	name, fallback := strings.CutSuffix(node, "*")
	from := ring.Target{Partition: ring.Partition(number), Node: ring.NodeName(name), Fallback: fallback}
	i, counted, step := d.request.Reply(from, outcome(d.t, args[1]))
	note := "ignored"
	switch {
	case counted:
		note = fmt.Sprintf("counts at %d", i)
	case i >= 0:
		note = fmt.Sprintf("fails at %d", i)
	}
	if i >= 0 {
		d.texts[i] = strings.Join(args[2:], " ")
	}
	return d.step(note, step)
}

func outcome(t *testing.T, name string) coordinator.Outcome {
	for o := coordinator.Unknown; o <= coordinator.Behind; o++ {
		if o.String() == name {
			return o
		}
	}
	t.Fatalf("unknown outcome %q", name)
	return 0
}

// step prints what an event led to, and the error if it failed the request.
func (d *dialogue) step(note string, s coordinator.Step) string {
	words := []string{fmt.Sprintf("%-13s", note)}
	if s.Answer != coordinator.None {
		words = append(words, strings.ToUpper(s.Answer.String()))
	}
	if s.Closed {
		words = append(words, "closed")
	}
	if len(s.Sends) > 0 {
		words = append(words, "send "+targets(s.Sends))
	}
	if s.Answer == coordinator.Impossible || s.Answer == coordinator.Expired {
		words = append(words, "\n  "+d.request.Error(d.cause).Error())
	}
	return strings.ReplaceAll(strings.Join(words, " "), " \n", "\n")
}

func (d *dialogue) cause(i int) error {
	if d.texts[i] == "" {
		return nil
	}
	return errors.New(d.texts[i])
}

func (d *dialogue) repair(value string) string {
	same := func(i int) bool { return d.texts[i] == value }
	return "write back to " + cmp.Or(targets(d.request.Repairs(same)), "nobody")
}
