package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/torc-io/torc/internal/httpapi"
)

// TestStart: one member with everything that its flags say.
func TestStart(t *testing.T) {
	t.Setenv("TORC_ZONE", "z1")
	t.Setenv("TORC_RING_SIZE", "32")
	t.Setenv("TORC_TRANSFER_RATE", "1MiB")
	r := startProgram(t, "start", "--name", "solo", "--ring-size", "16", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0",
		"--request-timeout", "2s", "--transfer-limit", "2", "--listen-handoff", "127.0.0.1:0")
	at := r.addresses()[0]
	if status, body := curl(t, http.MethodPut, "http://"+at+"/api/store/k", "x"); status != http.StatusOK {
		t.Errorf("PUT: %d %s", status, body)
	}
	_, out, _ := execute(t, "members", "-o", "json", "--http", at)
	var members httpapi.Members
	if err := json.Unmarshal([]byte(out), &members); err != nil {
		t.Fatal(err)
	}
	// The flag for the size came before its twin, the twin of the zone alone.
	if m := members.Members[0]; len(members.Members) != 1 || m.Name != "solo" || m.Zone != "z1" || m.Partitions != 16 {
		t.Errorf("members: %s", out)
	}
	wants(t, exitDone, `"out": 2,`, "transfer-limit", "-o", "json", "--http", at)
	wants(t, exitDone, `"rate": 1048576`, "transfer-limit", "-o", "json", "--http", at)
	if address := nodeAddress.FindStringSubmatch(r.out.String())[1]; address != members.Members[0].Address {
		t.Errorf("it says %s, and the ring %s", address, members.Members[0].Address)
	}
	if conn, err := net.Dial("tcp", members.Members[0].Address); err != nil {
		t.Errorf("nobody listens for other members: %v", err)
	} else {
		conn.Close()
	}
}

// TestLogIsJSONOffTerminals: one object a line.
func TestLogIsJSONOffTerminals(t *testing.T) {
	r := startProgram(t, "start", "--name", "solo", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-level", "debug")
	r.stop()
	<-r.ended
	r.ended <- exitDone // for the cleanup
	for line := range strings.Lines(r.log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry["level"] == nil {
			t.Errorf("no JSON: %s", line)
		}
	}
	if !strings.Contains(r.log.String(), `"msg":"stopping"`) {
		t.Errorf("nothing about stopping in:\n%s", &r.log)
	}
}

// TestVersion names at least the toolchain.
func TestVersion(t *testing.T) {
	code, out, _ := execute(t, "version", "-o", "json")
	var b build
	if err := json.Unmarshal([]byte(out), &b); err != nil || code != exitDone || !strings.HasPrefix(b.Go, "go1.") {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
	b = build{Version: "v1.2.3", Revision: "abc", Time: "today", Modified: true, Go: "go1.26", Platform: "os/arch"}
	if got, want := b.String(), "node v1.2.3, revision abc of today, modified, go1.26 os/arch\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestPutReadsStandardInput: without a value, and for a dash.
func TestPutReadsStandardInput(t *testing.T) {
	s := storing{operator: &operator{streams: streams{in: strings.NewReader("from in")}}}
	if value, err := s.read([]string{"-"}); err != nil || string(value) != "from in" {
		t.Errorf("%q %v", value, err)
	}
	file := t.TempDir() + "/value"
	if err := os.WriteFile(file, []byte("from file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if value, err := s.read([]string{"@" + file}); err != nil || string(value) != "from file" {
		t.Errorf("%q %v", value, err)
	}
}
