package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/consultest"
)

// process is the program, as a member of a cluster.
type process struct {
	*exec.Cmd

	t     *testing.T
	ended chan struct{}

	mu      sync.Mutex
	printed bytes.Buffer
}

// Write takes what the process prints.
func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.printed.Write(text)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.printed.String()
}

func begin(t *testing.T, agent *consultest.Agent, name string) *process {
	t.Helper()
	p := &process{t: t, ended: make(chan struct{})}
	p.Cmd = exec.Command(os.Args[0], "--name", name, "--consul", agent.Address(), "--bootstrap", "3", "--http", freePort(t))
	p.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	p.Stdout, p.Stderr = p, p
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.ended); _ = p.Wait() }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, p.output())
		}
	})
	return p
}

func freePort(t *testing.T) string {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.Process.Kill() // it may have ended
	<-p.ended
}

// site returns where the process serves, once it does.
func (p *process) site() string {
	p.t.Helper()
	said := regexp.MustCompile(`open (http://[^/]+)`)
	over := time.After(deadline)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !said.MatchString(p.output()) {
		select {
		case <-tick.C:
		case <-over:
			p.t.Fatal("it does not serve")
		}
	}
	return said.FindStringSubmatch(p.output())[1]
}

// TestANodeThatIsKilled takes the tabs that are connected to it along, and nothing
// else of the session.
func TestANodeThatIsKilled(t *testing.T) {
	agent := consultest.Start(t)
	a, b, c := begin(t, agent, "a"), begin(t, agent, "b"), begin(t, agent, "c")
	one, two := visit(t, a.site(), "42"), visit(t, c.site(), "42")
	one.sees("", 0, "a", "c")
	name := "Ann"
	two.asks(asked{Name: &name})
	for range 10 {
		two.asks(asked{Click: true})
	}
	two.sees("Ann", 10, "a", "c")
	c.kill()
	began := time.Now()
	one.sees("Ann", 10, "a")
	t.Logf("the tab on c is gone after %v", time.Since(began).Round(10*time.Millisecond))
	three := visit(t, b.site(), "42") // where the browser's page may connect again
	three.sees("Ann", 10, "a", "b")
	three.asks(asked{Click: true})
	one.sees("Ann", 11, "a", "b")
	three.sees("Ann", 11, "a", "b")
}
