package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/proto"

	torc "github.com/torc-io/torc"
)

// DefaultTimeout is the deadline of a call whose context has none. It is that of
// a node.
const DefaultTimeout = 5 * time.Second

// Config says where the nodes are. Addresses or Resolve is required.
type Config struct {
	// Addresses are the HTTP addresses of nodes: host:port, or a URL with http or
	// https. They need not be all.
	Addresses []string

	// Resolve finds the addresses of nodes, beside those of Addresses, for
	// instance in Consul. It is asked at the first call, at most every ten seconds
	// from then on, and when no node can be reached. It runs within a call and its
	// deadline; while it fails, the addresses of before are used.
	Resolve func(context.Context) ([]string, error)

	// HTTPClient sends the requests. By default it is one of the client's own that
	// speaks HTTP/2, without TLS to host:port and http, and waits a second for a
	// connection. HTTP/2 is what tells a client of a server that stops, before it
	// sends a command in vain. Its transport must not send a POST again by itself,
	// and those of net/http do not.
	HTTPClient *http.Client

	// Token is the bearer token that nodes ask for; empty sends none. Over http
	// everybody on the way can read it.
	Token string

	// Timeout is the deadline of a call whose context has none; the default is
	// [DefaultTimeout].
	Timeout time.Duration
}

// Client sends commands to a cluster. Its methods may be called from any
// goroutine.
type Client struct {
	config Config
	pool   *pool
	own    *http.Client // nil if it is the caller's
}

var _ torc.Sender = (*Client)(nil)

// New returns a client. It connects when it is used. Close it in the end.
func New(config Config) (*Client, error) {
	if len(config.Addresses) == 0 && config.Resolve == nil {
		return nil, errors.New("client: neither Addresses nor Resolve is given: where are the nodes?")
	}
	config.Timeout = cmp.Or(config.Timeout, DefaultTimeout)
	c := &Client{config: config}
	if config.HTTPClient == nil {
		c.own = &http.Client{Transport: newTransport()}
		c.config.HTTPClient = c.own
	}
	c.pool = newPool(&c.config)
	if err := c.pool.set(nil); err != nil {
		return nil, err
	}
	return c, nil
}

// Close lets go of the connections. Calls that are under way end as they would.
func (c *Client) Close() {
	c.pool.close()
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// Send executes one command, through as many nodes as it takes and is safe. The
// methods of a torc.Command call it.
func (c *Client) Send(ctx context.Context, r torc.Request) (torc.Response, error) {
	if size := proto.Size(r.Message); size > torc.MaxMessageBytes {
		return torc.Response{}, fmt.Errorf("%w: the command has %d bytes, the most is %d", torc.ErrTooLarge, size, torc.MaxMessageBytes)
	}
	asked, err := encodeRequest(r)
	if err != nil {
		return torc.Response{}, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.config.Timeout)
		defer cancel()
	}
	sent := &call{asked: asked, writes: r.Method.Writes(), token: c.config.Token}
	answer, failed := sent.run(ctx, c.pool)
	if failed != nil {
		return torc.Response{Receipt: failed.receipt}, failed.err
	}
	return decodeResponse(answer, r.Method)
}
