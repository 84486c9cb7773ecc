package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCerts: the files, what is said of them, and that they are not lost by accident.
func TestCerts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	code, out, errs := executeCerts(t, "--dir", dir, "--host", "example.org", "a", "b")
	if code != exitDone || errs != "" {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	file := func(base string) string { return filepath.Join(dir, base) }
	for _, want := range []string{
		"a new CA",
		"node start --name a --tls-ca " + file("ca.pem") + " --tls-cert " + file("a.pem") + " --tls-key " + file("a.key") + "\n",
		"node start --name b ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	verifies(t, dir, "b", "example.org")
	for _, key := range []string{"ca.key", "a.key", "b.key"} {
		if info, err := os.Stat(file(key)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", key, info.Mode(), err)
		}
	}

	code, _, errs = executeCerts(t, "--dir", dir, "c", "a")
	if code != exitFailed || !strings.Contains(errs, "a.pem") || !strings.Contains(errs, "--force") {
		t.Errorf("again: exit code %d: %s", code, errs)
	}
	if _, err := os.Stat(file("c.pem")); err == nil {
		t.Error("something was written nevertheless")
	}
	if code, out, errs = executeCerts(t, "--dir", dir, "--force", "c", "a"); code != exitDone || !strings.Contains(out, "was there") {
		t.Errorf("by force: exit code %d: %s%s", code, out, errs)
	}
	for _, name := range []string{"a", "b", "c"} {
		verifies(t, dir, name, name)
	}
}

func TestCertsUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"needs the name of a node": nil,
		"choose another name":      {"localhost"},
		"letters, digits":          {"a/b"},
	} {
		code, _, errs := executeCerts(t, append([]string{"--dir", t.TempDir()}, args...)...)
		if code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%v: exit code %d, %s; want %q", args, code, errs, want)
		}
	}
}

// executeCerts runs the command by itself.
func executeCerts(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := newCerts(streams{out: &stdout, err: &stderr})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	code = report(&stderr, cmd, cmd.ExecuteContext(t.Context()))
	return code, stdout.String(), stderr.String()
}

// verifies fails unless a node's certificate is of the directory's CA and has a host.
func verifies(t *testing.T, dir, name, host string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots}); err != nil {
		t.Error(err)
	}
}
