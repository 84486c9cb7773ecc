package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/consultest"
)

// screen is what a process has printed.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// process is the program, as a member of a cluster.
type process struct {
	*exec.Cmd

	t      *testing.T
	name   string
	listen string // for other members
	input  io.Writer
	output screen
	ended  chan struct{}
}

// begin starts a member. One that starts again takes its old address, by which
// the cluster knows that it is no other one with the same name.
func begin(t *testing.T, agent *consultest.Agent, name, listen string) *process {
	t.Helper()
	p := &process{t: t, name: name, listen: listen, ended: make(chan struct{})}
	p.Cmd = exec.Command(os.Args[0], "--name", name, "--listen", listen, "--consul", agent.Address(), "--bootstrap", "3", "--chat", "127.0.0.1:0")
	p.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	p.Stdout, p.Stderr = &p.output, &p.output
	var err error
	if p.input, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.ended); _ = p.Wait() }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, &p.output)
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

// claimant returns the name of the member that plans joins, once there is one.
func claimant(t *testing.T, agent *consultest.Agent) (name string) {
	t.Helper()
	eventually(t, "there is a claimant", func() bool {
		name = holder(t, "http://"+agent.Address()+"/v1/kv/torc/workshop/claimant?raw")
		return name != ""
	})
	return name
}

// holder returns the node that a value in Consul names, "" if there is none.
func holder(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var of struct {
		Node string `json:"node"`
	}
	_ = json.NewDecoder(response.Body).Decode(&of) // nobody holds it yet
	return of.Node
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.Process.Kill() // it may have ended
	<-p.ended
}

// eventually waits until something holds, and logs how long it took.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	began := time.Now()
	eventuallyQuiet(t, what, holds)
	t.Logf("%s after %v", what, time.Since(began).Round(10*time.Millisecond))
}

func eventuallyQuiet(t testing.TB, what string, holds func() bool) {
	t.Helper()
	over := time.After(2 * deadline)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("not in time: %s", what)
		}
	}
}

// address returns where the process chats, once it does.
func (p *process) address() string {
	p.t.Helper()
	said := regexp.MustCompile(`chat on (\S+)`)
	eventually(p.t, p.name+" serves", func() bool { return said.MatchString(p.output.String()) })
	return said.FindStringSubmatch(p.output.String())[1]
}

// settled waits until a number of members have what they should have of the ring.
func (p *process) settled(members int) {
	p.t.Helper()
	row := regexp.MustCompile(`valid +(\S+%) +(\S+%) `)
	eventually(p.t, "the ring is settled", func() bool {
		before := len(p.output.String())
		_, _ = io.WriteString(p.input, "members\n")
		eventuallyQuiet(p.t, "an answer", func() bool { return strings.Contains(p.output.String()[before:], "Down:") })
		rows := row.FindAllStringSubmatch(p.output.String()[before:], -1)
		for _, r := range rows {
			if r[1] != r[2] || r[1] == "0.0%" {
				return false
			}
		}
		return len(rows) == members
	})
}
