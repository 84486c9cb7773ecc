package doctest_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/consultest"
	"github.com/torc-io/torc/internal/doctest"
)

var rewrite = flag.Bool("rewrite", false, "put the listed files into the pages")

// patience bounds every command of a page; the first may have to compile.
const patience = 2 * time.Minute

// isServer finds the commands that go on running until the page ends. Their ports
// are the page's own: no two of them listen at the same address.
var isServer = regexp.MustCompile(`^(go run ./cmd/node|make agent|bin/node start .*)$`)

// elsewhere are commands that a test of the tests cannot run.
var elsewhere = map[string]string{
	"make test":  "this test is part of it",
	"make check": "this test is part of it",
	"make race":  "this test is part of it",
	"make bench": "takes minutes; internal/bench has tests of its own",
}

// root is the project's.
const root = "../.."

func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestListings: a program shown in a page is the program in the repository.
func TestListings(t *testing.T) {
	for _, path := range pages(t) {
		text := read(t, path)
		for _, l := range doctest.Parse(text).Listings {
			want := read(t, filepath.Join(root, l.File))
			if l.Text == want {
				continue
			}
			if !*rewrite {
				t.Errorf("%s:%d: the listing differs from %s; go test ./internal/doctest -rewrite brings it in", path, l.Line, l.File)
				continue
			}
			fence := "```go " + l.File + "\n"
			text = strings.Replace(text, fence+strings.TrimPrefix(l.Text, "\n"), fence+want, 1)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestCommands runs every command of every page, in the order of the page.
func TestCommands(t *testing.T) {
	for _, path := range pages(t) {
		page := doctest.Parse(read(t, path))
		if filepath.Base(path) != "CONTRIBUTING.md" { // its commands are about the tests themselves
			for _, line := range page.Unchecked {
				t.Errorf("%s:%d: a shell block that nothing runs; make it a console block", path, line)
			}
		}
		if len(page.Steps) > 0 {
			t.Run(filepath.ToSlash(path), func(t *testing.T) { run(t, page.Steps) })
		}
	}
}

func run(t *testing.T, steps []doctest.Step) {
	for _, s := range steps {
		if s.Command == "make agent" {
			_, err := consultest.Find()
			consultest.Need(t, err) // to build it takes longer than anybody waits here
		}
		switch {
		case elsewhere[s.Command] != "":
		case isServer.MatchString(s.Command):
			serve(t, s)
		default:
			execute(t, s)
		}
		if t.Failed() {
			return // the next command builds on this one
		}
	}
}

func execute(t *testing.T, s doctest.Step) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var output bytes.Buffer
	command := shell(ctx, s.Command)
	command.Stdout = &output
	complaints := &bytes.Buffer{}
	command.Stderr = complaints
	if err := command.Run(); err != nil {
		t.Errorf("line %d: %s: %v\n%s%s", s.Line, s.Command, err, output.String(), complaints)
		return
	}
	if len(s.Output) > 0 && !s.Matches(output.String()) {
		t.Errorf("line %d: %s printed\n%s\nand the page says\n%s", s.Line, s.Command, output.String(), strings.Join(s.Output, "\n"))
	}
}

// shell runs a line as a reader's terminal would, from the project's root, in a
// process group of its own so that all of it can be ended.
func shell(ctx context.Context, line string) *exec.Cmd {
	command := exec.CommandContext(ctx, "sh", "-c", line)
	command.Dir = root
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGINT) }
	command.WaitDelay = 30 * time.Second
	return command
}

// serve starts a command that goes on running, waits until it has printed what
// the page shows, if anything, and ends it with the page.
func serve(t *testing.T, s doctest.Step) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	command := shell(ctx, s.Command)
	output := &transcript{said: make(chan struct{}, 1)}
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = command.Wait() }()
	t.Cleanup(func() { cancel(); <-ended })
	deadline := time.After(patience)
	for len(s.Output) > 0 && !s.Begins(output.String()) {
		select {
		case <-output.said:
		case <-ended:
			t.Fatalf("line %d: %s ended:\n%s", s.Line, s.Command, output)
		case <-deadline:
			t.Fatalf("line %d: %s has not printed what the page says, but\n%s", s.Line, s.Command, output)
		}
	}
}

// transcript collects what a running command prints, and tells of each piece.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	said chan struct{}
}

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.said <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func TestParse(t *testing.T) {
	page := doctest.Parse("text\n```console\n$ a\nx ... y\n...\n$ b\n```\n```go f.go\npackage f\n```\n```sh\nc\n```\n")
	if len(page.Steps) != 2 || page.Steps[0].Line != 3 || page.Steps[1].Command != "b" {
		t.Errorf("steps: %+v", page.Steps)
	}
	if len(page.Listings) != 1 || page.Listings[0].File != "f.go" || page.Listings[0].Text != "package f\n" {
		t.Errorf("listings: %+v", page.Listings)
	}
	if !slices.Equal(page.Unchecked, []int{11}) {
		t.Errorf("unchecked: %v", page.Unchecked)
	}
	for output, want := range map[string]bool{"x 1 y\nmore\n": true, "x  y\n\n": true, "x y\nz": false, "z\nx 1 y\n": false} {
		if got := page.Steps[0].Matches(output); got != want {
			t.Errorf("Matches(%q) = %v", output, got)
		}
	}
}
