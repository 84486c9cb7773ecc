package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/torc-io/torc/internal/certs"
)

const fetchPath = "/torc.v1.CommandService/Execute"

// fetch asks the command service for a key that nobody has, and returns the
// status, and the major version of HTTP.
func fetch(t *testing.T, c *http.Client, base string) (status, version int) {
	t.Helper()
	body := `{"service": "kv", "command": "Fetch", "message": {"key": "bXlfa2V5"}}`
	response, err := c.Post(base+fetchPath, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode, response.ProtoMajor
}

// TestCommandService: it is beside the API, which keeps keys that look like it.
func TestCommandService(t *testing.T) {
	base := "http://" + startDevelopment(t, "--members", "1").addresses()[0]
	if status, _ := fetch(t, http.DefaultClient, base); status != http.StatusNotFound {
		t.Errorf("fetch: %d", status)
	}
	key := base + "/api/store/" + fetchPath
	if status, body := curl(t, http.MethodPut, key, "x"); status != http.StatusOK {
		t.Errorf("PUT: %d %s", status, body)
	}
	if status, body := curl(t, http.MethodGet, key, ""); status != http.StatusOK || body != "x" {
		t.Errorf("GET: %d %s", status, body)
	}
}

// TestSecuredMember: HTTPS and a token, for the API and for commands; and its
// address says that it is HTTPS.
func TestSecuredMember(t *testing.T) {
	d := certs.Directory(t.TempDir())
	if _, err := d.Issue([]string{"a"}, nil, false); err != nil {
		t.Fatal(err)
	}
	tokens := writeFile(t, someToken+"\n")
	r := startProgram(t, "start", "--name", "a", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--consul=",
		"--http-tls-cert", d.Node("a").Cert, "--http-tls-key", d.Node("a").Key, "--token-file", tokens)
	at := "https://" + r.addresses()[0]
	known := []string{"--http", at, "--http-ca", d.CA()}
	wants(t, exitDone, at, append(known, "members")...)
	wants(t, exitFailed, "needs the cluster's token", append(known, "plan")...)
	wants(t, exitDone, "Nothing would change", append(known, "plan", "--token-file", tokens)...)
	wants(t, exitFailed, "", "members", "--http", at)

	var c http.Client
	with := credentials{tokens, d.CA()}
	if err := with.equip(&c); err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	if status, version := fetch(t, &c, at); status != http.StatusNotFound || version != 2 {
		t.Errorf("fetch: %d by HTTP/%d", status, version)
	}
}
