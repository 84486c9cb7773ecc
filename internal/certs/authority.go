package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

const (
	// authorityLife and nodeLife are how long certificates are valid. The CA
	// outlives several generations of what it signs.
	authorityLife = 10 * 365 * 24 * time.Hour
	nodeLife      = 365 * 24 * time.Hour

	// clockSkew is how far the clock of another machine may be behind ours.
	clockSkew = 5 * time.Minute
)

// Authority is a CA for development and tests. Its keys are ECDSA on P-256, which
// every TLS library has.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Pair is a certificate and its private key, in PEM.
type Pair struct{ Cert, Key []byte }

// Request is what a certificate shall be for.
type Request struct {
	// Node is the name of the node.
	Node string
	// Hosts are further names and IP addresses, by which clients call the node.
	Hosts []string
	// From and To are when it is valid; zero values mean a year from now. It
	// never outlives the CA.
	From, To time.Time
}

// NewAuthority makes a CA.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of a CA: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "Torc development CA " + now.UTC().Format(time.DateOnly)},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // it signs nodes, and no further CA
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign a CA: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read a new CA: %w", err)
	}
	return &Authority{certificate, key}, nil
}

// ParseAuthority reads what Pair has written.
func ParseAuthority(p Pair) (*Authority, error) {
	cert, _ := pem.Decode(p.Cert)
	private, _ := pem.Decode(p.Key)
	if cert == nil || private == nil {
		return nil, errors.New("a CA and its key, in PEM, are expected")
	}
	certificate, err := x509.ParseCertificate(cert.Bytes)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(private.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	switch {
	case !ok || !key.PublicKey.Equal(certificate.PublicKey):
		return nil, errors.New("the key is not that of the CA")
	case !certificate.IsCA || time.Now().After(certificate.NotAfter):
		return nil, fmt.Errorf("the certificate is no CA, or has expired (%s)", certificate.NotAfter.Format(time.DateOnly))
	}
	return &Authority{certificate, key}, nil
}

// Pair returns the CA, for a file.
func (a *Authority) Pair() (Pair, error) { return pairOf(a.certificate.Raw, a.key) }

// Issue makes a certificate, for both ends of a connection.
func (a *Authority) Issue(r Request) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key for %s: %w", r.Node, err)
	}
	template := r.template(time.Now())
	if template.NotAfter.After(a.certificate.NotAfter) {
		template.NotAfter = a.certificate.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("sign a certificate for %s: %w", r.Node, err)
	}
	return pairOf(der, key)
}

// template returns what a certificate is to say.
func (r Request) template(now time.Time) *x509.Certificate {
	if r.From.IsZero() {
		r.From = now.Add(-clockSkew)
	}
	if r.To.IsZero() {
		r.To = now.Add(nodeLife)
	}
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: r.Node},
		NotBefore:   r.From,
		NotAfter:    r.To,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    []string{r.Node},
	}
	for _, host := range r.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else if !slices.Contains(t.DNSNames, host) {
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	return t
}

func pairOf(der []byte, key *ecdsa.PrivateKey) (Pair, error) {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode a key: %w", err)
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}
