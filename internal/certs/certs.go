// Package certs makes nodes know each other by certificates.
//
// # Who is who
//
// A cluster has a certificate authority (CA) of its own, in a file: a certificate
// that it signed is a member's, and no other one is, so the roots of the system
// play no part. The node that a certificate speaks for is its DNS name: one of
// the names in it, byte for byte, must be the name of the node. There are no
// patterns ("*" matches nothing), and the common name counts for nothing. The
// other names are for clients of the HTTP side, and for nodes that share a
// certificate on purpose: it speaks for each of them.
//
// Two clusters that share a CA would take each other's nodes for their own if
// these had equal names. Either give each cluster a CA, or put the cluster in
// the names of its nodes: a.blue and a.green.
//
// # Change
//
// All files are read again when they change, so certificates and the CA are
// replaced without a restart: write the new files over the old ones. New
// connections use them; those that exist are not cut. What does not fit together,
// as while one of three files has been replaced, is not used. To move to another
// CA, let the CA file hold both while nodes have certificates of either.
//
// # For development
//
// [Authority] makes a CA and certificates, and [Directory] keeps them in files.
// A cluster of any weight has a CA elsewhere, with a key that is on no node.
package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/torc-io/torc/internal/reread"
)

// Files are where a node finds what it needs, in PEM.
type Files struct {
	CA   string // one or more certificates: those of the cluster's CA alone
	Cert string // the node's certificate, and others between it and the CA if there are any
	Key  string // the private key of the first
}

// namePattern is what names can be in a certificate, and read alike everywhere.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// CheckName returns why a node of that name cannot be known by a certificate.
// One that is called like every machine calls itself would be anybody.
func CheckName(name string) error {
	switch {
	case !namePattern.MatchString(name):
		return fmt.Errorf("node %q: a certificate can name 1 to 63 letters, digits, '-', '_' and '.', with a letter or digit first and last", name)
	case net.ParseIP(name) != nil || strings.EqualFold(name, "localhost"):
		return fmt.Errorf("node %q: certificates of other nodes may have this name too, for their HTTP side; choose another name", name)
	}
	return nil
}

// Names says whether a certificate speaks for the node of that name.
func Names(certificate *x509.Certificate, node string) bool {
	return slices.Contains(certificate.DNSNames, node)
}

// Identity is by what a node is known, and knows others. Its methods may be
// called from any goroutine.
type Identity struct {
	files Files
	value *reread.Value[*material]
}

// material is what the files held at one time. It is immutable.
type material struct {
	own         tls.Certificate
	authorities *x509.CertPool
}

// NewIdentity reads the files for the node of that name, and checks that its own
// certificate is one that others will accept.
func NewIdentity(f Files, node string, logger *slog.Logger) (*Identity, error) {
	if err := CheckName(node); err != nil {
		return nil, err
	}
	if f.CA == "" || f.Cert == "" || f.Key == "" {
		return nil, fmt.Errorf("TLS needs three files: a CA (%q), a certificate (%q) and its key (%q)", f.CA, f.Cert, f.Key)
	}
	value, err := reread.New(logger, func() (*material, error) { return f.read(node) }, f.CA, f.Cert, f.Key)
	if err != nil {
		return nil, err
	}
	return &Identity{f, value}, nil
}

// Files returns where the identity comes from.
func (i *Identity) Files() Files { return i.files }

// read makes sense of the files.
func (f Files) read(node string) (*material, error) {
	authorities, err := readAuthorities(f.CA)
	if err != nil {
		return nil, err
	}
	own, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", f.Cert, f.Key, err)
	}
	m := &material{own, authorities}
	if err := m.check(node); err != nil {
		return nil, fmt.Errorf("certificate %s: %w", f.Cert, err)
	}
	return m, nil
}

func readAuthorities(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("CA %s: no certificate in PEM", path)
	}
	return pool, nil
}

// check refuses a certificate that the other nodes would refuse: the one who can
// change it learns of it here, and not from their logs.
func (m *material) check(node string) error {
	leaf := m.own.Leaf
	if !Names(leaf, node) {
		return fmt.Errorf("its DNS names are %q, and none is that of the node, %q", leaf.DNSNames, node)
	}
	between := x509.NewCertPool()
	for _, der := range m.own.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots: m.authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{use},
		})
		if err != nil {
			return fmt.Errorf("other nodes will not accept it: %w", Advise(err))
		}
	}
	return nil
}

// Server returns how to answer peers: both sides show a certificate of the
// cluster, in TLS 1.3. Every connection is verified on its own: a session that
// is resumed would carry an old verdict past a new CA.
func (i *Identity) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			m := i.value.Get()
			return &tls.Config{
				MinVersion:             tls.VersionTLS13,
				Certificates:           []tls.Certificate{m.own},
				ClientAuth:             tls.RequireAndVerifyClientCert,
				ClientCAs:              m.authorities,
				SessionTicketsDisabled: true,
			}, nil
		},
	}
}

// Client returns how to call the node of that name, once: whoever answers shows a
// certificate of the cluster with that name. A program that also gives the name
// as the one of the server has it checked twice, here without patterns.
func (i *Identity) Client(node string) *tls.Config {
	m := i.value.Get()
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    m.authorities,
		ServerName: node,
		// Ours even if the peer names other CAs than ours: it then can say who it
		// refuses, and not only that somebody without a certificate came.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &m.own, nil },
		VerifyConnection: func(state tls.ConnectionState) error {
			if leaf := state.PeerCertificates[0]; !Names(leaf, node) {
				return &NameError{node, leaf.DNSNames}
			}
			return nil
		},
	}
}

// NameError says that a certificate does not speak for the node that it should.
type NameError struct {
	Node string
	Has  []string // the DNS names in the certificate
}

// Error says whose certificate it seems to be.
func (e *NameError) Error() string {
	return fmt.Sprintf("its certificate is for %s, and not for %s", strings.Join(e.Has, ", "), e.Node)
}

// Advise adds to the error of a verification what to do about it.
func Advise(err error) error {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w (valid from %s to %s); renew it, or set the clock", err,
			invalid.Cert.NotBefore.Format(time.RFC3339), invalid.Cert.NotAfter.Format(time.RFC3339))
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return fmt.Errorf("%w; issue it for both client and server authentication", err)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; issue it by the CA of this cluster, or add its CA to the CA file", err)
	}
	return err
}
