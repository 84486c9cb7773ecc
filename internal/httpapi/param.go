package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	torc "github.com/torc-io/torc"
)

// MaxTimeout bounds the deadline that a request may ask for. Who waits longer
// than a minute for a quorum has lost interest, and the server's own timeouts
// stand above it.
const MaxTimeout = time.Minute

// badRequestError is what is wrong with a request itself.
type badRequestError struct{ error }

// Unwrap returns it.
func (b badRequestError) Unwrap() error { return b.error }

func badRequestf(format string, args ...any) error {
	return badRequestError{fmt.Errorf(format, args...)}
}

// params are the query of a request, each parameter once.
type params map[string]string

// readParams returns the query of a request. A parameter that nobody would look
// at is an error: it is a mistake, and to go on would be to do something else
// than what was asked for.
func readParams(r *http.Request, known ...string) (params, error) {
	var p params
	if r.URL.RawQuery == "" {
		return p, nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequestf("the query: %w", err)
	}
	p = make(params)
	for name, values := range query {
		if !slices.Contains(known, name) {
			return nil, badRequestf("unknown parameter %q, known here: %s", name, cmp.Or(strings.Join(known, ", "), "none"))
		}
		if len(values) > 1 {
			return nil, badRequestf("parameter %q is given %d times", name, len(values))
		}
		p[name] = values[0]
	}
	return p, nil
}

// count returns a count of replicas as [torc.ParseCount] reads it, and
// whether it is given.
func (p params) count(name string, n int) (int, bool, error) {
	text, given := p[name]
	if !given {
		return 0, false, nil
	}
	value, err := torc.ParseCount(text, n)
	if err != nil {
		return 0, false, badRequestf("parameter %s: %w", name, err)
	}
	return value, true, nil
}

// timeout returns how long a request may take: what it asks for, in its query or
// its header, or else what the API allows.
func (a *API) timeout(r *http.Request, p params) (time.Duration, error) {
	text, given := p["timeout"]
	if !given {
		text = r.Header.Get("X-Request-Timeout")
	}
	if !given && text == "" {
		return a.config.RequestTimeout, nil
	}
	asked, err := time.ParseDuration(text)
	if err != nil || asked <= 0 || asked > MaxTimeout {
		return 0, badRequestf("timeout %q: want a duration such as 500ms or 2s, at most %v", text, MaxTimeout)
	}
	return asked, nil
}

// withDeadline returns the context of a request with its deadline.
func (a *API) withDeadline(r *http.Request, p params) (context.Context, context.CancelFunc, error) {
	timeout, err := a.timeout(r, p)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	return ctx, cancel, nil
}

// commandContext is the context of a request to the store. It tells its deadline,
// and does not end by it: the node does so for every command, and a second timer
// for the same end costs eight allocations.
type commandContext struct {
	context.Context
	deadline time.Time
}

// Deadline is when the node answers at the latest.
func (c *commandContext) Deadline() (time.Time, bool) {
	if sooner, ok := c.Context.Deadline(); ok && sooner.Before(c.deadline) {
		return sooner, true
	}
	return c.deadline, true
}

// reading and writing are the two kinds of requests to the store: the parameters
// for how many replicas must answer, and how many primaries among them.
var (
	reading = quorumParams{"r", "pr", torc.R}
	writing = quorumParams{"w", "pw", torc.W}
)

type quorumParams struct {
	need, primaries string
	option          func(int) torc.CallOption // of need
}

// call is what a request asks of the store.
type call struct {
	key     []byte
	ctx     commandContext
	options []torc.CallOption
	receipt torc.Receipt
}

// readCall reads the key and the parameters of a request, and starts its clock.
func (s *served) readCall(r *http.Request, names quorumParams) (*call, error) {
	key, err := keyOf(r, storePrefix)
	if err != nil {
		return nil, err
	}
	p, err := readParams(r, "n", names.need, names.primaries, "nodes", "timeout")
	if err != nil {
		return nil, err
	}
	c := &call{key: key}
	if err := c.readQuorum(p, names, s.api.config.KV.Quorum().N); err != nil {
		return nil, err
	}
	timeout, err := s.api.timeout(r, p)
	c.ctx = commandContext{r.Context(), time.Now().Add(timeout)}
	return c, err
}

// readQuorum turns the counts into options. What they are relative to is the
// request's n, or else the service's. Bounds are the coordinator's business.
func (c *call) readQuorum(p params, names quorumParams, n int) error {
	asked, given, err := p.count("n", n)
	if err != nil {
		return err
	}
	if given {
		n = asked
		c.options = append(c.options, torc.N(n))
	}
	for _, count := range [...]struct {
		name   string
		option func(int) torc.CallOption
	}{{names.need, names.option}, {names.primaries, torc.Primaries}, {"nodes", torc.Nodes}} {
		value, given, err := p.count(count.name, n)
		if err != nil {
			return err
		}
		if given {
			c.options = append(c.options, count.option(value))
		}
	}
	return nil
}
