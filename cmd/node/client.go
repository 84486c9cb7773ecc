package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/torc-io/torc/internal/httpapi"
)

// defaultHTTP is where a node answers clients unless it is told otherwise.
const defaultHTTP = "127.0.0.1:4000"

// clientTimeout is above any deadline that a request can have at the node, so
// that its answer arrives and not our impatience.
const clientTimeout = httpapi.MaxTimeout + 5*time.Second

// maxAnswer bounds what is read of an answer. The largest is a ring of the most
// partitions with the longest names: 1.1 MB.
const maxAnswer = 16 << 20

// client speaks to a node's HTTP address.
type client struct {
	address string // host:port
	base    string // the URL of that
	http    http.Client
	err     error // why no request can be sent
}

func newClient(address string, with *credentials) *client {
	c := &client{base: "http://", http: http.Client{Timeout: clientTimeout}}
	if with.secures(address) {
		c.base = "https://"
	}
	address = strings.TrimPrefix(strings.TrimPrefix(address, "http://"), "https://")
	c.address = strings.TrimSuffix(address, "/")
	c.base += c.address
	c.err = with.equip(&c.http)
	return c
}

// answer is what a node answered.
type answer struct {
	header http.Header
	body   []byte
}

// request is what a node is asked.
type request struct {
	method      string
	path        string // escaped
	query       url.Values
	body        []byte
	contentType string
}

// keyPath returns the escaped path of a key below prefix. Dots are escaped too:
// a key may look like a path segment that somebody between here and there would
// take away.
func keyPath(prefix string, key []byte) string {
	return prefix + strings.ReplaceAll(url.PathEscape(string(key)), ".", "%2E")
}

const (
	// startPatience is how long a node may be starting until a command gives up:
	// one that has just been started is there in less.
	startPatience = 5 * time.Second
	// startPause is how soon it is asked again.
	startPause = 100 * time.Millisecond
)

// do sends a request, again as long as the node is starting: it has done nothing
// then. An answer that is an error comes as a *problemError.
func (c *client) do(ctx context.Context, r request) (*answer, error) {
	patience := time.NewTimer(startPatience)
	defer patience.Stop()
	for {
		a, err := c.once(ctx, r)
		if !isNotReady(err) {
			return a, err
		}
		select {
		case <-time.After(startPause):
		case <-patience.C:
			return a, err
		case <-ctx.Done():
			return a, err
		}
	}
}

// isNotReady says whether a node is starting, or stopping.
func isNotReady(err error) bool {
	var refused *problemError
	return errors.As(err, &refused) && refused.Type == "urn:torc:not-ready"
}

// once sends a request.
func (c *client) once(ctx context.Context, r request) (*answer, error) {
	if c.err != nil {
		return nil, c.err
	}
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, usagef("--http %s is no address: %w", c.address, err)
	}
	if r.contentType != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	response, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(err)
	}
	defer func() { _ = response.Body.Close() }() // it has been read, or its error is known
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, c.explain(err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return nil, problemFrom(response, body)
	}
	return &answer{response.Header, body}, nil
}

// get asks for a JSON value.
func (c *client) get(ctx context.Context, path string, query url.Values, into any) error {
	a, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return err
	}
	return a.decode(into)
}

// glance asks for a JSON value, and waits for no node that is not ready.
func (c *client) glance(ctx context.Context, path string, into any) error {
	a, err := c.once(ctx, request{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	return a.decode(into)
}

func (a *answer) decode(into any) error {
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("the answer is not what a node answers (is there another program at this address?): %w", err)
	}
	return nil
}

// explain says what to do if there was no answer.
func (c *client) explain(err error) error {
	var failed *net.OpError
	if errors.As(err, &failed) && failed.Op == "dial" {
		return fmt.Errorf("cannot reach a node at %s: start one with `node` or give --http (%w)", c.address, failed.Err)
	}
	return fmt.Errorf("no answer from the node at %s: %w", c.address, err)
}

// problemError is an error that the node answered.
type problemError struct {
	httpapi.Problem
}

// Error returns the node's words.
func (e *problemError) Error() string {
	switch {
	case e.ID != "":
		return fmt.Sprintf("%s (%s)", e.Detail, e.ID)
	case e.Detail != "":
		return e.Detail
	}
	return fmt.Sprintf("the node answered %d %s", e.Status, http.StatusText(e.Status))
}

// problemFrom reads an error that the node answered. If it is none of the
// node's own, for instance one of net/http itself, it is the status and the text.
func problemFrom(response *http.Response, body []byte) error {
	var e problemError
	if response.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal(body, &e.Problem) != nil {
		return fmt.Errorf("the node answered %s: %s", response.Status, bytes.TrimSpace(body))
	}
	return &e
}
