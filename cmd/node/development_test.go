package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/httpapi"
)

// TestDevelopmentCluster does what the README shows.
func TestDevelopmentCluster(t *testing.T) {
	began := time.Now()
	r := startDevelopment(t)
	t.Logf("ready after %v; the aim is 2 s", time.Since(began).Round(time.Millisecond))
	at := r.addresses()
	if len(at) != 3 {
		t.Fatalf("addresses %v in:\n%s", at, &r.out)
	}
	status, body := curl(t, http.MethodPut, "http://"+at[0]+"/api/store/my_key", `{"a":"b"}`)
	var written httpapi.Written
	if err := json.Unmarshal([]byte(body), &written); err != nil || status != http.StatusOK {
		t.Fatalf("PUT: %d %v %s", status, err, body)
	}
	if written.Text != "my_key" || written.N != 3 || written.W != 2 || len(written.Acks) < 2 || written.Acks[0].Node == written.Acks[1].Node {
		t.Errorf("PUT answered %s", body)
	}
	if status, body := curl(t, http.MethodGet, "http://"+at[1]+"/api/store/my_key", ""); status != http.StatusOK || body != `{"a":"b"}` {
		t.Errorf("GET: %d %s", status, body)
	}
	r.stop()
	if code := <-r.ended; code != exitDone {
		t.Errorf("exit code %d:\n%s", code, &r.log)
	}
	r.ended <- exitDone // for the cleanup
}

// TestAnnouncement: what the cluster says when it is ready can be pasted.
func TestAnnouncement(t *testing.T) {
	r := startDevelopment(t, "--members", "2", "--ring-size", "16")
	at := r.addresses()
	out := r.out.String()
	for _, want := range []string{
		"2 members in this process, 16 partitions, ready in ",
		"curl -XPUT -d '{\"a\":\"b\"}' http://" + at[0] + "/api/store/my_key\n",
		"curl http://" + at[1] + "/api/store/my_key\n",
		"node where my_key --http " + at[0] + "\n",
		"  a  n1  valid     50.0%  8 ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("colour where there is no terminal:\n%q", out)
	}
}

// TestPortsFollowEachOther: members take the ports from --http-base on, and one
// that is taken stops everything, with all ports given back.
func TestPortsFollowEachOther(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	base := *taken.Addr().(*net.TCPAddr)
	base.Port--
	free, err := net.Listen("tcp", base.String())
	if err != nil {
		t.Skipf("the port before a free one is taken: %v", err)
	}
	free.Close()
	code, _, complaint := execute(t, "--http-base", base.String())
	if code != exitFailed || !strings.Contains(complaint, taken.Addr().String()+" is in use") || !strings.Contains(complaint, "--http-base") {
		t.Errorf("exit code %d: %s", code, complaint)
	}
	again, err := net.Listen("tcp", base.String())
	if err != nil {
		t.Fatalf("the first port was not given back: %v", err)
	}
	again.Close()
}

// process is the program in a process of its own.
type process struct {
	*exec.Cmd

	t       *testing.T
	address string
}

func startProcess(t *testing.T) *process {
	t.Helper()
	p := &process{exec.Command("node", "start", "--name", "a", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0"), t, ""}
	p.Stderr = os.Stderr
	if !testing.Verbose() {
		p.Stderr = nil
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("it says nothing: %v", err)
	}
	p.address = regexp.MustCompile(`http://(\S+),`).FindStringSubmatch(line)[1]
	return p
}

// putSlowly begins a PUT whose body is not complete, and returns how to complete it.
func (p *process) putSlowly() (finish func() string) {
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	// The node asks for the body, so it is at this request for sure.
	_, err = io.WriteString(conn, "PUT /api/store/k HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
	if err != nil {
		p.t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
		p.t.Fatalf("%q %v", line, err)
	}
	return func() string {
		if _, err := io.WriteString(conn, "x"); err != nil {
			p.t.Error(err)
		}
		rest, err := io.ReadAll(answers)
		if err != nil {
			p.t.Error(err)
		}
		return string(rest)
	}
}

func (p *process) signal(s syscall.Signal) {
	if err := p.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) untilItTakesNoMore() {
	within(p.t, "it takes no more connections", func() bool {
		conn, err := net.Dial("tcp", p.address)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

// TestSignalFinishesRequests: what is in flight is answered before it stops.
func TestSignalFinishesRequests(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			p := startProcess(t)
			finish := p.putSlowly()
			p.signal(signal)
			p.untilItTakesNoMore()
			if answer := finish(); !strings.Contains(answer, "HTTP/1.1 200 OK") {
				t.Errorf("the request in flight: %s", answer)
			}
			if err := p.Wait(); err != nil {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// TestSecondSignalStopsAtOnce: whatever is in flight.
func TestSecondSignalStopsAtOnce(t *testing.T) {
	p := startProcess(t)
	p.putSlowly()
	p.signal(syscall.SIGINT)
	p.untilItTakesNoMore()
	p.signal(syscall.SIGINT)
	err := p.Wait()
	if state, ok := p.ProcessState.Sys().(syscall.WaitStatus); !ok || state.Signal() != syscall.SIGINT {
		t.Errorf("ended with %v", err)
	}
}
