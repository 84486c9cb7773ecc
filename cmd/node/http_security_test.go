package main

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/torc-io/torc/internal/certs"
	"github.com/torc-io/torc/internal/httpapi"
)

const someToken = "0123456789abcdef"

var noLog = slog.New(slog.DiscardHandler)

func writeFile(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestHTTPSecurity: a server with a certificate and a token, and clients that have
// what it takes, or not.
func TestHTTPSecurity(t *testing.T) {
	d := certs.Directory(t.TempDir())
	if _, err := d.Issue([]string{"a"}, nil, false); err != nil {
		t.Fatal(err)
	}
	tokens := writeFile(t, someToken+"\n")
	s := httpSecurity{d.Node("a").Cert, d.Node("a").Key, tokens}
	address := serveSecurely(t, &s)

	put := func(c credentials) (int, error) {
		t.Helper()
		var client http.Client
		if err := c.equip(&client); err != nil {
			t.Fatal(err)
		}
		defer client.CloseIdleConnections()
		request, err := http.NewRequest(http.MethodPut, "https://"+address+"/api/store/k", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
	if status, err := put(credentials{tokens, d.CA()}); status != http.StatusOK {
		t.Errorf("with all: %d, %v", status, err)
	}
	if status, err := put(credentials{"", d.CA()}); status != http.StatusUnauthorized {
		t.Errorf("without the token: %d, %v", status, err)
	}
	if status, err := put(credentials{tokens, ""}); err == nil {
		t.Errorf("without the CA: %d", status)
	}
	t.Setenv(tokenVariable, someToken)
	if status, err := put(credentials{"", d.CA()}); status != http.StatusOK {
		t.Errorf("with the token from the environment: %d, %v", status, err)
	}
	if err := os.WriteFile(tokens, []byte(strings.ToUpper(someToken)), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, err := put(credentials{"", d.CA()}); status != http.StatusUnauthorized {
		t.Errorf("with the old token: %d, %v", status, err)
	}
	if status, err := put(credentials{tokens, d.CA()}); status != http.StatusOK {
		t.Errorf("with the new token: %d, %v", status, err)
	}
}

// serveSecurely serves something that answers 200, and returns where.
func serveSecurely(t *testing.T, s *httpSecurity) (address string) {
	t.Helper()
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := s.listener(plain, noLog)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := s.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), noLog)
	if err != nil {
		t.Fatal(err)
	}
	server := httpapi.NewServer(handler, noLog)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { server.Close(); <-served })
	return listener.Addr().String()
}

func TestHTTPSecurityFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"https://":    {"--http-tls-cert", "a", "--http-tls-key", "b"},
		"http://":     {"--token-file", "c"},
		"go together": {"--http-tls-key", "b"},
	} {
		var s httpSecurity
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		s.flags(f)
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		if err := s.check(); err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %v, want %q", args, err, want)
			}
		} else if s.scheme() != want {
			t.Errorf("%v: %s, want %q", args, s.scheme(), want)
		}
	}
}

func TestTokenFrom(t *testing.T) {
	if token, err := tokenFrom("", noLog); token != nil || err != nil {
		t.Errorf("no token: %v", err)
	}
	for text, want := range map[string]string{
		"":                      "has 0 bytes",
		"short":                 "openssl rand -hex 32",
		someToken + "\nanother": "no header can carry",
		someToken + "ü":         "no header can carry",
	} {
		if _, err := tokenFrom(writeFile(t, text), noLog); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := tokenFrom(filepath.Join(t.TempDir(), "none"), noLog); err == nil {
		t.Error("took a file that is not there")
	}
	t.Setenv(tokenVariable, "short")
	if _, err := tokenFrom("", noLog); err == nil || !strings.Contains(err.Error(), "$TORC_TOKEN") {
		t.Errorf("got %v", err)
	}
	t.Setenv(tokenVariable, someToken)
	if token, err := tokenFrom("", noLog); err != nil || token() != someToken {
		t.Errorf("got %v", err)
	}
}

func TestCredentialsFlags(t *testing.T) {
	var c credentials
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	c.flags(f)
	if err := f.Parse([]string{"--http-ca", "none", "--token-file", ""}); err != nil {
		t.Fatal(err)
	}
	if !c.secures("127.0.0.1:4000") || !(&credentials{}).secures("https://x") || (&credentials{}).secures("http://x") {
		t.Error("TLS or not is decided otherwise")
	}
	if err := c.equip(&http.Client{}); err == nil || !strings.Contains(err.Error(), "--http-ca") {
		t.Errorf("got %v", err)
	}
}
