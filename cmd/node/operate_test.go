package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/torc-io/torc/internal/httpapi"
)

// wants runs a command, and wants that exit code and that text in what it prints.
func wants(t *testing.T, code int, text string, args ...string) string {
	t.Helper()
	got, out, complaint := execute(t, args...)
	if got != code || !strings.Contains(out+complaint, text) {
		t.Errorf("node %s: exit code %d, want %d and %q:\n%s%s", strings.Join(args, " "), got, code, text, out, complaint)
	}
	return out
}

// TestMembersGo: by a plan, by leaving, and never while they are needed.
func TestMembersGo(t *testing.T) {
	r := startDevelopment(t, "--members", "5")
	at := r.addresses()
	first := "--http=" + at[0]

	wants(t, exitDone, "no transfers are pending at epoch 1", "transfers", first)
	wants(t, exitDone, "no transfers are pending", "transfers", "--watch", first)
	wants(t, exitDone, "Nothing would change", "plan", first)
	wants(t, exitDone, `"idle": true`, "plan", first, "-o", "json")
	wants(t, exitFailed, `no such member at epoch 1: "n9"`, "plan", "--leave", "n9", first)
	wants(t, exitFailed, "n2 can be reached from n1: let it leave, or stop it first, or force it (--force)", "down", "n2", first)
	wants(t, exitFailed, "no such member", "down", "n9", first)
	wants(t, exitUsage, "is none: a plan prints its own", "commit", "x", first)

	plan := wants(t, exitDone, "leave n5", "plan", "--leave", "n5", first)
	line := plan[strings.LastIndex(plan, "node commit"):]
	if !strings.Contains(line, ":leave=n5 --http "+at[0]) {
		t.Fatalf("the plan ends with %s", line)
	}
	commit := strings.Fields(line)[1:]
	wants(t, exitDone, "committed on epoch 1: ", commit...)
	wants(t, exitFailed, "plan again", commit...)
	within(t, "n5 has stopped by itself", func() bool { return !answers(at[4]) })

	wants(t, exitDone, "n4 has left: it handed off 30 partitions", "leave", "--http", at[3])
	within(t, "n4 has stopped by itself", func() bool { return !answers(at[3]) })
	wants(t, exitDone, `"node": "n3"`, "leave", "-o", "json", "--http", at[2])
	within(t, "the three are no members", func() bool {
		_, out, _ := execute(t, "members", first)
		return strings.Contains(out, "Valid:2 / Leaving:0 / Exiting:0")
	})
	wants(t, exitDone, "n2 is down, and 60 partitions with new owners", "down", "n2", "--force", first)
	wants(t, exitFailed, "nobody else claims", "leave", first)
	if len(r.ended) > 0 {
		t.Errorf("the program ended, and n1 is still a member:\n%s", &r.log)
	}
}

func answers(address string) bool {
	response, err := http.Get("http://" + address + "/livez")
	if err == nil {
		response.Body.Close()
	}
	return err == nil
}

// TestStartFlags: what makes no sense together.
func TestStartFlags(t *testing.T) {
	start := func(flags ...string) []string {
		return append([]string{"start", "--name", "a", "--http", "127.0.0.1:0", "--listen", "127.0.0.1:0"}, flags...)
	}
	wants(t, exitUsage, "want 1 or more", start("--bootstrap", "0")...)
	wants(t, exitUsage, "would wait for ever", start("--bootstrap", "3", "--consul=")...)
	wants(t, exitUsage, "neither auto nor manual", start("--rebalance", "never")...)
	wants(t, exitUsage, "0 for never", start("--evict-after", "-1s")...)
	wants(t, exitUsage, "only a committed plan may", start("--leave-on-stop", "--rebalance", "manual")...)
	wants(t, exitUsage, "name of the cluster", start("--consul", "127.0.0.1:1", "--cluster", "a/b")...)
	wants(t, exitUsage, "go together", start("--tls-ca", "x")...)
	wants(t, exitUsage, "go together", start("--http-tls-key", "x")...)
	wants(t, exitFailed, "--http-tls-cert", start("--http-tls-cert", "none", "--http-tls-key", "none")...)
}

// TestPlanIsPiped: commit takes what plan prints, in either form.
func TestPlanIsPiped(t *testing.T) {
	const token = "ABCD@3-01234567:join=d,leave=b"
	for input, want := range map[string]string{
		"text\n  node commit " + token + " --http h:1\n": token,
		`{"text": "x@y", "token": "` + token + `"}`:      token,
		"nothing would change\n":                         "",
	} {
		o := operator{streams: streams{in: strings.NewReader(input)}}
		if got, err := o.readToken("-"); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", input, got, err)
		}
	}
}

// TestCommandsWaitForTheStart: of a node that has just been started.
func TestCommandsWaitForTheStart(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		if asked < 3 {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(httpapi.Problem{Type: "urn:torc:not-ready", Status: http.StatusServiceUnavailable})
			return
		}
		_ = json.NewEncoder(w).Encode(httpapi.Transfers{Epoch: 3})
	}))
	defer server.Close()
	wants(t, exitDone, "pending at epoch 3", "transfers", "--http", server.URL)
	if asked != 4 { // once more for the members
		t.Errorf("asked %d times", asked)
	}
}
