package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/ring"
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

// cannedNode answers as a node would that has these transfers and members.
func cannedNode(t *testing.T, transfers httpapi.Transfers, members *httpapi.Members) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any = transfers
		if r.URL.Path == "/api/members" {
			answer = members
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestTransfersAreGathered: each reason from the node that knows it.
func TestTransfersAreGathered(t *testing.T) {
	since := time.Now().Add(-2 * time.Minute)
	pending := func(p ring.Partition, from ring.NodeName, reason string) httpapi.PendingTransfer {
		return httpapi.PendingTransfer{Transfer: httpapi.Transfer{Partition: p, From: from, To: "d"}, Reason: reason, Since: since}
	}
	unknown := func(p ring.Partition, from ring.NodeName) httpapi.PendingTransfer {
		return httpapi.PendingTransfer{Transfer: httpapi.Transfer{Partition: p, From: from, To: "d"}}
	}
	var members httpapi.Members
	b := cannedNode(t, httpapi.Transfers{Via: "b", Transfers: []httpapi.PendingTransfer{unknown(1, "a"), pending(2, "b", "d cannot be reached"), unknown(3, "c")}}, &members)
	a := cannedNode(t, httpapi.Transfers{Epoch: 7, Via: "a", Transfers: []httpapi.PendingTransfer{pending(1, "a", "busy"), unknown(2, "b"), unknown(3, "c")}}, &members)
	for name, at := range map[ring.NodeName]string{"a": a, "b": b, "c": "127.0.0.1:1"} {
		members.Members = append(members.Members, httpapi.MemberShare{Member: httpapi.Member{Name: name, Status: ring.Valid}, HTTP: at})
	}
	_, out, _ := execute(t, "transfers", "--http", a)
	want := `Partition   From   To   State                 Since
1           a      d    busy                  2m0s
2           b      d    d cannot be reached   2m0s
3           c      d    pending
3 transfers pending at epoch 7
`
	if out != want {
		t.Errorf("got:\n%s\nwant:\n%s", out, want)
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
	if asked != 3 {
		t.Errorf("asked %d times", asked)
	}
}

// TestLeaveCanBeLeftAlone: who stops waiting is told that the leave goes on.
func TestLeaveCanBeLeftAlone(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	begun := false
	members := httpapi.Members{Members: []httpapi.MemberShare{{Member: httpapi.Member{Name: "a", Status: ring.Leaving}, Partitions: 3}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any = members
		switch {
		case r.Method == http.MethodPost:
			answer, begun = httpapi.Leaving{Node: "a", Partitions: 4}, true
		case begun:
			stop()
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer server.Close()
	var out, complaint bytes.Buffer
	code := run(ctx, []string{"leave", "--http", server.URL}, streams{strings.NewReader(""), &out, &complaint})
	if code != exitFailed || !strings.Contains(complaint.String(), "a goes on leaving") {
		t.Errorf("exit code %d: %s%s", code, &out, &complaint)
	}
}

// TestBar: as long as it is, the line has the same width.
func TestBar(t *testing.T) {
	var out bytes.Buffer
	b := bar{&out, true}
	b.draw(0, 0)
	b.draw(1, 4)
	b.end()
	want := fmt.Sprintf("\r[%s] 0 of 0 partitions handed off\r[%s%s] 1 of 4 partitions handed off\n",
		strings.Repeat("#", 40), strings.Repeat("#", 10), strings.Repeat(".", 30))
	if out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
	out.Reset()
	b.live = false
	b.draw(1, 2)
	b.end()
	if out.Len() > 0 {
		t.Errorf("%q, where nobody looks", &out)
	}
}
