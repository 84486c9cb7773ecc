package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/certs"
)

var quiet = slog.New(slog.DiscardHandler)

// issued returns a directory with certificates for nodes.
func issued(t *testing.T, nodes ...string) certs.Directory {
	t.Helper()
	d := certs.Directory(filepath.Join(t.TempDir(), "certs"))
	if created, err := d.Issue(nodes, []string{"example.org", "10.0.0.7"}, false); err != nil || !created {
		t.Fatalf("created %v, %v", created, err)
	}
	return d
}

// leafOf reads the certificate of a node.
func leafOf(t *testing.T, d certs.Directory, node string) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(d.Node(node).Cert, d.Node(node).Key)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

func roots(t *testing.T, d certs.Directory) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(d.CA())
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

// TestIssue: what is written is what a node and its clients need.
func TestIssue(t *testing.T) {
	d := issued(t, "a", "b")
	leaf := leafOf(t, d, "a")
	for _, host := range []string{"a", "localhost", "example.org", "127.0.0.1", "::1", "10.0.0.7"} {
		for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			_, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots(t, d), KeyUsages: []x509.ExtKeyUsage{use}})
			if err != nil {
				t.Errorf("%s: %v", host, err)
			}
		}
	}
	if certs.Names(leaf, "b") || leaf.IsCA {
		t.Errorf("a certificate for %v, a CA: %v", leaf.DNSNames, leaf.IsCA)
	}
	if life := time.Until(leaf.NotAfter); life < 364*24*time.Hour || life > 366*24*time.Hour {
		t.Errorf("valid for %v", life)
	}
	if leaf.SerialNumber.Cmp(leafOf(t, d, "b").SerialNumber) == 0 {
		t.Error("two certificates have one serial number")
	}
	for name, want := range map[string]fs.FileMode{"ca.pem": 0o644, "ca.key": 0o600, "a.pem": 0o644, "a.key": 0o600, ".": 0o700} {
		info, err := os.Stat(filepath.Join(string(d), name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	entries, err := os.ReadDir(string(d))
	if err != nil || len(entries) != 6 {
		t.Errorf("%d files, %v; want 6", len(entries), err)
	}
}

// TestIssueAgain keeps the CA, and replaces a node's files only if told to.
func TestIssueAgain(t *testing.T) {
	d := issued(t, "a")
	first := leafOf(t, d, "a")
	if _, err := d.Issue([]string{"b", "a"}, nil, false); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(d.Node("b").Cert); err == nil {
		t.Error("something was written before all was checked")
	}
	if created, err := d.Issue([]string{"b", "a"}, nil, true); created || err != nil {
		t.Errorf("created %v, %v", created, err)
	}
	if second := leafOf(t, d, "a"); second.Equal(first) {
		t.Error("the certificate is still the first one")
	}
	for _, node := range []string{"a", "b"} {
		if _, err := leafOf(t, d, node).Verify(x509.VerifyOptions{Roots: roots(t, d)}); err != nil {
			t.Errorf("%s: %v", node, err)
		}
	}
}

func TestIssueRefuses(t *testing.T) {
	tests := []struct {
		name, want string
		spoil      func(t *testing.T, d certs.Directory)
		nodes      []string
		hosts      []string
	}{
		{name: "a node called ca", want: "CA's files", nodes: []string{"ca"}},
		{name: "a node called localhost", want: "choose another name", nodes: []string{"LocalHost"}},
		{name: "a node called like an address", want: "choose another name", nodes: []string{"127.0.0.1"}},
		{name: "a path", want: "letters, digits", nodes: []string{"../b"}},
		{name: "no name", want: "letters, digits", nodes: []string{""}},
		{name: "the name of a node as a host", want: "must not have it", nodes: []string{"b", "c"}, hosts: []string{"b"}},
		{name: "the name of an older node as a host", want: "must not have it", nodes: []string{"b"}, hosts: []string{"a"}},
		{name: "a CA without its key", want: "needs both its files", nodes: []string{"b"}, spoil: func(t *testing.T, d certs.Directory) {
			rename(t, filepath.Join(string(d), "ca.key"), filepath.Join(string(d), "elsewhere"))
		}},
		{name: "a CA with another key", want: "not that of the CA", nodes: []string{"b"}, spoil: func(t *testing.T, d certs.Directory) {
			rename(t, d.Node("a").Key, filepath.Join(string(d), "ca.key"))
		}},
		{name: "a node instead of a CA", want: "no CA", nodes: []string{"b"}, spoil: func(t *testing.T, d certs.Directory) {
			rename(t, d.Node("a").Key, filepath.Join(string(d), "ca.key"))
			rename(t, d.Node("a").Cert, d.CA())
		}},
		{name: "no PEM", want: "in PEM", nodes: []string{"b"}, spoil: func(t *testing.T, d certs.Directory) {
			if err := os.WriteFile(d.CA(), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := issued(t, "a")
			if test.spoil != nil {
				test.spoil(t, d)
			}
			if _, err := d.Issue(test.nodes, test.hosts, false); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// TestIssueNeverOutlivesTheCA, and is valid on a machine whose clock is behind.
func TestIssueNeverOutlivesTheCA(t *testing.T) {
	a, err := certs.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := a.Issue(certs.Request{Node: "a", To: time.Now().Add(100 * 365 * 24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	if years := time.Until(certificate.Leaf.NotAfter).Hours() / 24 / 365; years > 10 {
		t.Errorf("valid for %.0f years", years)
	}
	if time.Since(certificate.Leaf.NotBefore) < time.Minute {
		t.Error("valid from now on")
	}
}

// TestIdentityRefuses what the peers of a node would refuse.
func TestIdentityRefuses(t *testing.T) {
	d, other := issued(t, "a"), issued(t, "a")
	a, err := certs.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	late, err := a.Issue(certs.Request{Node: "a", From: now.Add(-2 * time.Hour), To: now.Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	ca, err := a.Pair()
	if err != nil {
		t.Fatal(err)
	}
	expired := certs.Files{CA: t.TempDir() + "/ca", Cert: t.TempDir() + "/cert", Key: t.TempDir() + "/key"}
	for path, text := range map[string][]byte{expired.CA: ca.Cert, expired.Cert: late.Cert, expired.Key: late.Key} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mixed := d.Node("a")
	mixed.CA = other.CA()
	for want, files := range map[string]certs.Files{
		"renew it, or set the clock":          expired,
		"issue it by the CA of this cluster":  mixed,
		"does not match public key":           {CA: d.CA(), Cert: d.Node("a").Cert, Key: other.Node("a").Key},
		"needs three files":                   {CA: d.CA(), Cert: d.Node("a").Cert},
		"no such file":                        d.Node("b"),
		"failed to find certificate PEM data": {CA: d.CA(), Cert: d.Node("a").Key, Key: d.CA()},
	} {
		if _, err := certs.NewIdentity(files, "a", quiet); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestHTTP: a client that trusts the CA, one that does not, and a certificate
// that is replaced meanwhile.
func TestHTTP(t *testing.T) {
	d := issued(t, "a")
	config, err := certs.HTTPServer(d.Node("a").Cert, d.Node("a").Key, quiet)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{
		Handler: http.NotFoundHandler(), TLSConfig: config,
		ErrorLog: slog.NewLogLogger(quiet.Handler(), slog.LevelDebug),
	}
	go server.ServeTLS(listener, "", "")
	defer server.Close()
	get := func(ca string) (*x509.Certificate, error) {
		t.Helper()
		config, err := certs.HTTPClient(ca)
		if err != nil {
			t.Fatal(err)
		}
		transport := &http.Transport{TLSClientConfig: config}
		defer transport.CloseIdleConnections()
		response, err := (&http.Client{Transport: transport}).Get("https://" + listener.Addr().String())
		if err != nil {
			return nil, err
		}
		response.Body.Close()
		return response.TLS.PeerCertificates[0], nil
	}
	first, err := get(d.CA())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get(""); err == nil {
		t.Error("the roots of the system were enough")
	}
	if _, err := d.Issue([]string{"a"}, nil, true); err != nil {
		t.Fatal(err)
	}
	if second, err := get(d.CA()); err != nil || second.Equal(first) || !slices.Contains(second.DNSNames, "a") {
		t.Errorf("after a change: %v", err)
	}
}

func TestHTTPRefuses(t *testing.T) {
	d := issued(t, "a")
	if _, err := certs.HTTPServer(d.CA(), d.Node("a").Key, quiet); err == nil {
		t.Error("took a key that does not fit")
	}
	if _, err := certs.HTTPClient(d.Node("a").Key); err == nil {
		t.Error("took a key for a CA")
	}
}
