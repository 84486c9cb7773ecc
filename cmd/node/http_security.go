package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/torc-io/torc/internal/certs"
	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/internal/reread"
)

// tokenVariable holds the token itself. It has no flag, since everyone on a
// machine can read the command lines of all programs.
const tokenVariable = "TORC_TOKEN"

// minTokenBytes keeps out tokens that can be found by trying.
const minTokenBytes = 16

// httpSecurity is by what a member is safe from clients, and they from others.
type httpSecurity struct{ cert, key, tokenFile string }

func (s *httpSecurity) flags(f *pflag.FlagSet) {
	f.StringVar(&s.cert, "http-tls-cert", "", "file with a certificate, in PEM: clients are answered by HTTPS, and not by HTTP")
	f.StringVar(&s.key, "http-tls-key", "", "file with the key of --http-tls-cert")
	tokenFlag(f, &s.tokenFile, "token that clients must have to write and to operate")
	fromEnv(f, "http-tls-cert", "http-tls-key")
}

// tokenFlag adds the flag for a file with a token.
func tokenFlag(f *pflag.FlagSet, path *string, usage string) {
	f.StringVar(path, "token-file", "", "file with the "+usage+" [or $"+tokenVariable+", the token itself]")
	fromEnv(f, "token-file")
}

// check refuses what is only half given.
func (s *httpSecurity) check() error {
	if (s.cert == "") != (s.key == "") {
		return usagef("--http-tls-cert and --http-tls-key go together")
	}
	return nil
}

// scheme is how the URLs of the member begin.
func (s *httpSecurity) scheme() string {
	if s.cert == "" {
		return "http://"
	}
	return "https://"
}

// listener makes a listener for HTTPS of one for HTTP, if there is a certificate.
func (s *httpSecurity) listener(l net.Listener, logger *slog.Logger) (net.Listener, error) {
	if s.cert == "" {
		return l, nil
	}
	config, err := certs.HTTPServer(s.cert, s.key, logger)
	if err != nil {
		return nil, fmt.Errorf("--http-tls-cert: %w", err)
	}
	config.NextProtos = []string{"h2", "http/1.1"} // gRPC needs the first
	return tls.NewListener(l, config), nil
}

// handler puts the token before an API.
func (s *httpSecurity) handler(api http.Handler, logger *slog.Logger) (http.Handler, error) {
	token, err := tokenFrom(s.tokenFile, logger)
	if err != nil {
		return nil, err
	}
	return httpapi.RequireToken(token, api), nil
}

// tokenFrom returns the token in a file, as it is now, or in the environment; nil
// if there is none. The file comes first: it can change.
func tokenFrom(path string, logger *slog.Logger) (token func() string, err error) {
	if path == "" {
		text := os.Getenv(tokenVariable)
		if text == "" {
			return nil, nil //nolint:nilnil // no token is what most have
		}
		return func() string { return text }, checkToken(text, "$"+tokenVariable)
	}
	value, err := reread.New(logger, func() (string, error) {
		text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
		if err != nil {
			return "", err
		}
		token := string(bytes.TrimSpace(text))
		return token, checkToken(token, path)
	}, path)
	if err != nil {
		return nil, fmt.Errorf("--token-file: %w", err)
	}
	return value.Get, nil
}

// checkToken refuses a token that no header can carry, or anybody can guess.
func checkToken(token, where string) error {
	switch {
	case len(token) < minTokenBytes:
		return fmt.Errorf("the token in %s has %d bytes, want %d or more: make one with `openssl rand -hex 32`", where, len(token), minTokenBytes)
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }):
		return fmt.Errorf("the token in %s has spaces, or characters outside of ASCII, which no header can carry", where)
	}
	return nil
}

// credentials are by what an operator's command is let in, and knows the node.
type credentials struct{ tokenFile, ca string }

func (c *credentials) flags(f *pflag.FlagSet) {
	tokenFlag(f, &c.tokenFile, "token of the cluster")
	f.StringVar(&c.ca, "http-ca", "", "CA that has signed the node's certificate for HTTPS (PEM file); by default one that the system trusts")
	fromEnv(f, "http-ca")
}

// secures says whether a node is called over TLS: by its address, or since there
// is no other reason to give a CA.
func (c *credentials) secures(address string) bool {
	return c.ca != "" || strings.HasPrefix(address, "https://")
}

// equip gives them to a client.
func (c *credentials) equip(client *http.Client) error {
	token, err := tokenFrom(c.tokenFile, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	config, err := certs.HTTPClient(c.ca)
	if err != nil {
		return fmt.Errorf("--http-ca: %w", err)
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = config
	client.Transport = &bearerTransport{base, token}
	// No node redirects what it is told to do, and the token is for it alone.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return nil
}

// bearerTransport sends a token along.
type bearerTransport struct {
	http.RoundTripper

	token func() string // nil, if there is none
}

// RoundTrip implements [http.RoundTripper].
func (b *bearerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.token == nil {
		return b.RoundTripper.RoundTrip(r)
	}
	r = r.Clone(r.Context()) // the caller's is not ours to change
	r.Header.Set("Authorization", "Bearer "+b.token())
	return b.RoundTripper.RoundTrip(r)
}

// hasToken says whether clients need one.
func (s *httpSecurity) hasToken() bool { return s.tokenFile != "" || os.Getenv(tokenVariable) != "" }
