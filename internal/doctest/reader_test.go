package doctest_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/consultest"
	"github.com/torc-io/torc/internal/doctest"
)

// reader does what a page says, step by step.
type reader struct {
	dir  string   // where it types
	env  []string // besides that of the test
	open map[string]*program
}

// follow does one step, and says whether the next one may build on it.
func (r *reader) follow(t *testing.T, s doctest.Step) bool {
	t.Helper()
	if s.Command == "make agent" {
		_, err := consultest.Find()
		consultest.Need(t, err) // to build it takes longer than anybody waits here
	}
	switch {
	case elsewhere[s.Command] != "":
	case s.Terminal != "":
		r.attend(t, s)
	case isServer.MatchString(s.Command):
		r.serve(t, s)
	default:
		r.execute(t, s)
	}
	return !t.Failed()
}

// attend does a step in the terminal that the page names.
func (r *reader) attend(t *testing.T, s doctest.Step) {
	t.Helper()
	if r.open == nil {
		r.open = map[string]*program{}
	}
	switch p := r.open[s.Terminal]; {
	case s.Command != "":
		r.open[s.Terminal] = r.serve(t, s)
	case p == nil:
		t.Fatalf("line %d: nothing runs in terminal %s", s.Line, s.Terminal)
	default:
		p.obey(t, s)
	}
}

// execute runs a command to its end.
func (r *reader) execute(t *testing.T, s doctest.Step) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var output, complaints bytes.Buffer
	command := r.shell(ctx, s.Command)
	command.Stdout, command.Stderr = &output, &complaints
	if err := command.Run(); err != nil {
		t.Errorf("line %d: %s: %v\n%s%s", s.Line, s.Command, err, &output, &complaints)
		return
	}
	if len(s.Output) > 0 && !s.Matches(output.String()) {
		t.Errorf("line %d: %s printed\n%s\nand the page says\n%s", s.Line, s.Command, &output, strings.Join(s.Output, "\n"))
	}
}

// serve starts a command that goes on running, waits until it has printed what
// the page shows, if anything, and ends it with the page.
func (r *reader) serve(t *testing.T, s doctest.Step) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	command := r.shell(ctx, "exec "+s.Command) // the program itself, to have its end
	p := &program{output: &transcript{said: make(chan struct{}, 1)}, ended: make(chan struct{})}
	command.Stdout, command.Stderr = p.output, p.output
	var err error
	if p.input, err = command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.ended); _ = command.Wait() }()
	p.interrupt = cancel
	t.Cleanup(func() { cancel(); <-p.ended })
	if len(s.Output) > 0 {
		p.await(t, s, s.Begins)
	}
	return p
}

// shell runs a line as a reader's terminal would, in a process group of its own so
// that all of it can be ended.
func (r *reader) shell(ctx context.Context, line string) *exec.Cmd {
	command := exec.CommandContext(ctx, "sh", "-c", line)
	command.Dir, command.Env = r.dir, append(os.Environ(), r.env...)
	if strings.HasSuffix(line, "make agent") {
		command.Dir = root // the page says so
	}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGINT) }
	command.WaitDelay = 30 * time.Second
	return command
}
