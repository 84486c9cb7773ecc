package client

import (
	"net"
	"net/http"
	"time"
)

const (
	// connectTimeout bounds the making of a connection, and then the TLS of it. On
	// any network that a cluster is used over it takes milliseconds, and a host
	// that is gone answers nothing at all: a call must have time for another.
	connectTimeout = time.Second

	// A connection that is silent for pingAfter is asked for a sign of life, and
	// given up if there is none within pingTimeout.
	pingAfter   = 5 * time.Second
	pingTimeout = 2 * time.Second

	// idleTimeout is below that of the nodes, so that it is this side that closes
	// a connection which nobody uses.
	idleTimeout = 90 * time.Second
)

// newTransport returns what the requests of a client go through.
func newTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout: connectTimeout,
		IdleConnTimeout:     idleTimeout,
		Protocols:           protocols,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}
