package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files with what the program prints now")

// TestMain makes this binary the program too: scripts and tests that need a
// process of its own find it as "node" in their path.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"node": main})
}

// screen is what a running program has printed so far.
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

// within polls until a condition holds, for a minute.
func within(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// running is a program of members within this process.
type running struct {
	out, log screen
	stop     context.CancelFunc
	ended    chan int // the exit code
}

// startProgram runs a command that serves, until the test ends.
func startProgram(t testing.TB, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{stop: stop, ended: make(chan int, 1)}
	go func() { r.ended <- run(ctx, args, streams{strings.NewReader(""), &r.out, &r.log}) }()
	t.Cleanup(func() { stop(); <-r.ended; close(r.ended) })
	within(t, "it says where it answers", func() bool {
		if len(r.ended) > 0 {
			t.Fatalf("it ended:\n%s\n%s", &r.out, &r.log)
		}
		return len(r.addresses()) > 0 && strings.HasSuffix(r.out.String(), "\n")
	})
	return r
}

// startDevelopment runs a development cluster on free ports.
func startDevelopment(t testing.TB, args ...string) *running {
	t.Helper()
	r := startProgram(t, append([]string{"--http-base", "127.0.0.1:0"}, args...)...)
	within(t, "it says how to stop it", func() bool { return strings.Contains(r.out.String(), "Ctrl-C") })
	return r
}

var (
	httpAddress = regexp.MustCompile(`(?m)^n\d+ +http://(\S+)|answers at https?://(\S+),`)
	nodeAddress = regexp.MustCompile(`(?:reach it|members) at ([^\s)]+)`)
)

// addresses returns where the members answer HTTP.
func (r *running) addresses() []string {
	var all []string
	for _, match := range httpAddress.FindAllStringSubmatch(r.out.String(), -1) {
		all = append(all, match[1]+match[2])
	}
	return all
}

// execute runs a command that ends, and returns its exit code and output.
func execute(t testing.TB, args ...string) (code int, out, err string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, streams{strings.NewReader(""), &stdout, &stderr})
	return code, stdout.String(), stderr.String()
}

// curl sends a request as curl -X METHOD -d BODY does.
func curl(t testing.TB, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestScripts runs testdata/script against a development cluster. $HTTP1 … are
// its HTTP addresses, and $NODE1 is where other members reach the first.
func TestScripts(t *testing.T) {
	cluster := startDevelopment(t)
	addresses := cluster.addresses()
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *rewrite,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TORC_HTTP_ADDR", addresses[0])
			env.Setenv("GORACE", "atexit_sleep_ms=0") // by default a second for each program
			for i, address := range addresses {
				env.Setenv("HTTP"+strconv.Itoa(i+1), address)
			}
			env.Setenv("NODE1", nodeAddress.FindStringSubmatch(cluster.out.String())[1])
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits is a command of scripts: "exits 2 node get" wants that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [args...]")
	}
	code := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		code = failed.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// TestHelp compares the help of every command with testdata/help.txt, which is
// its reference manual, and wants an example in each.
func TestHelp(t *testing.T) {
	var all strings.Builder
	var describe func(*cobra.Command, []string)
	describe = func(c *cobra.Command, path []string) {
		code, out, _ := execute(t, append(path, "--help")...)
		if code != exitDone || c.Example == "" || c.Short == "" {
			t.Errorf("%s: exit code %d, example %q, short %q", c.CommandPath(), code, c.Example, c.Short)
		}
		all.WriteString("===== " + c.CommandPath() + " =====\n" + out + "\n")
		for _, sub := range c.Commands() {
			if sub.Name() != "help" && sub.Name() != "completion" {
				describe(sub, append(slices.Clip(path), sub.Name()))
			}
		}
	}
	describe(newRoot(streams{}), nil)
	const file = "testdata/help.txt"
	if *rewrite {
		if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if all.String() != string(want) {
		t.Errorf("%s differs. Now:\n%s\nIf that is right: go test ./cmd/node -rewrite", file, &all)
	}
}
