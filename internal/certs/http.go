package certs

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"github.com/torc-io/torc/internal/reread"
)

// HTTPServer returns how to answer clients over TLS, with a certificate that is
// read again when it changes. Clients show none: they have a token, or a proxy.
func HTTPServer(cert, key string, logger *slog.Logger) (*tls.Config, error) {
	value, err := reread.New(logger, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", cert, key, err)
		}
		return &pair, nil
	}, cert, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12, // what other people's programs may have at best
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return value.Get(), nil },
	}, nil
}

// HTTPClient returns how to call a server whose certificate a CA of that file
// has signed; without a file, one of the system's.
func HTTPClient(ca string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return config, nil
	}
	var err error
	config.RootCAs, err = readAuthorities(ca)
	return config, err
}
