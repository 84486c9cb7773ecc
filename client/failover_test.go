package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/client"
	"github.com/torc-io/torc/internal/failure"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
)

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// hang answers nothing until the client goes away.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// cut takes a request and breaks the connection.
func cut(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	panic(http.ErrAbortHandler)
}

// answer makes a member answer every request with an error.
func (m *member) answer(err error, writes bool) {
	m.be(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		coded := failure.Encode(err, writes)
		_ = errorWriter().Write(w, r, coded)
	})
}

// write and read send one command, with a deadline that no test should need.
func (c *cluster) write(t *testing.T, on torc.Sender, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	_, err := c.puppet.Act.Do(ctx, on, act("x"))
	return err
}

func (c *cluster) read(t *testing.T, on torc.Sender, within time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	_, err := c.puppet.Look.Do(ctx, on, look("deadline"))
	return err
}

// TestFailOver has what may become of a request at the first node of two, and
// whether the second is asked then.
func TestFailOver(t *testing.T) {
	unknown := &torc.QuorumError{Kind: 1, Needed: 2, Of: 3, Outcome: torc.OutcomeUnknown}
	nothing := &torc.QuorumError{Kind: 1, Needed: 2, Of: 3, Outcome: torc.OutcomeFailed}
	for name, c := range map[string]struct {
		first       http.HandlerFunc
		err         error
		write, read error // what the call ends with
	}{
		"stopping":             {err: torc.ErrStopping},
		"overloaded":           {err: torc.ErrOverloaded},
		"too few, none of it":  {err: nothing},
		"unknown outcome":      {err: unknown, write: errAny},
		"a handler failed":     {err: torc.ErrFailed, write: torc.ErrFailed, read: torc.ErrFailed},
		"a handler panicked":   {err: torc.ErrPanic, write: torc.ErrPanic, read: torc.ErrPanic},
		"invalid":              {err: torc.ErrInvalid, write: torc.ErrInvalid, read: torc.ErrInvalid},
		"not found":            {err: torc.ErrNotFound, write: torc.ErrNotFound, read: torc.ErrNotFound},
		"unknown command":      {err: torc.ErrUnknownCommand, write: torc.ErrUnknownCommand, read: torc.ErrUnknownCommand},
		"connection cut":       {first: cut, write: torc.ErrLost},
		"a proxy without node": {first: status(http.StatusBadGateway), write: torc.ErrLost},
		"another program":      {first: http.NotFound, write: torc.ErrLost},
		"no entrance":          {first: status(http.StatusUnauthorized), write: errAny, read: errAny},
	} {
		t.Run(name, func(t *testing.T) {
			for _, writes := range []bool{true, false} {
				cluster := startCluster(t, 2)
				first, second := cluster.members[1], cluster.members[0] // turns begin at the second address
				if c.err != nil {
					first.answer(c.err, writes)
				} else {
					first.be(c.first)
				}
				want, send := c.read, cluster.read
				if writes {
					want, send = c.write, cluster.write
				}
				err := send(t, cluster.client(t), 20*time.Second)
				check(t, err, want)
				if n := first.asked.Load(); n != 1 {
					t.Errorf("writes %v: the first node was asked %d times", writes, n)
				}
				if n := second.asked.Load(); (n == 1) != (want == nil) || n > 1 {
					t.Errorf("writes %v: the second node was asked %d times after %v", writes, n, err)
				}
			}
		})
	}
}

// errAny is for a test that wants one.
var errAny = errors.New("any error")

func check(t *testing.T, got, want error) {
	t.Helper()
	switch {
	case want == nil && got == nil:
	case want == nil || got == nil, want != errAny && !errors.Is(got, want): //nolint:errorlint // a mark of this test
		t.Errorf("got %v, want %v", got, want)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// TestNobodyListens: without a connection nothing was executed, so a write goes
// on; and if that is so everywhere, the error names each node.
func TestNobodyListens(t *testing.T) {
	c := startCluster(t, 1)
	gone := closedPort(t)
	for _, on := range []*client.Client{
		c.client(t, c.members[0].address, gone), // HTTP/2
		newClient(t, client.Config{Addresses: []string{c.members[0].address, gone}, HTTPClient: http.DefaultClient}),
	} {
		for range 4 {
			if err := c.write(t, on, 20*time.Second); err != nil {
				t.Error(err)
			}
		}
	}
	other := closedPort(t)
	err := c.write(t, c.client(t, gone, other), 20*time.Second)
	if !errors.Is(err, torc.ErrUnreachable) || !strings.Contains(err.Error(), gone) || !strings.Contains(err.Error(), other) {
		t.Errorf("got %v", err)
	}
}

// TestStoppedNodes: a node that has shut down behind its gateway, and one whose
// server is gone, cost no request.
func TestStoppedNodes(t *testing.T) {
	c := startCluster(t, 3)
	outside := c.client(t)
	for range 3 {
		if err := c.write(t, outside, 20*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	c.members[1].stop(t)
	for range 9 {
		if err := c.write(t, outside, 20*time.Second); err != nil {
			t.Error(err)
		}
	}
	c.members[1].server.CloseClientConnections()
	c.members[1].server.Close()
	for range 9 {
		if err := c.write(t, outside, 20*time.Second); err != nil {
			t.Error(err)
		}
	}
}

// TestServersStopUnderLoad: one server after the other shuts down cleanly while
// writes go through all of them. None fails, and none is executed twice.
func TestServersStopUnderLoad(t *testing.T) {
	c := startCluster(t, 3)
	outside := c.client(t)
	var sent atomic.Int64
	stop, ended := make(chan struct{}), make(chan error, 8)
	for i := range cap(ended) {
		go func() { ended <- c.load(outside, byte(i), &sent, stop) }()
	}
	for _, m := range c.members[:2] {
		until(t, &sent, sent.Load()+200)
		m.gateway.Drain()
		until(t, &sent, sent.Load()+100) // more than the writers that might not know yet
		if err := m.server.Config.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	until(t, &sent, sent.Load()+200)
	close(stop)
	for range cap(ended) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if got, want := c.puppet.Executed.Load(), 3*sent.Load(); got != want {
		t.Errorf("%d executions of %d writes on 3 replicas", got, sent.Load())
	}
}

// load writes until it is told to stop.
func (c *cluster) load(on torc.Sender, writer byte, sent *atomic.Int64, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		_, err := c.puppet.Act.Do(context.Background(), on, &testingpb.Act{Key: []byte{writer}}, torc.W(3))
		if err != nil {
			return err
		}
		sent.Add(1)
	}
}

// until waits for a count that others raise.
func until(t *testing.T, count *atomic.Int64, least int64) {
	t.Helper()
	end := time.After(20 * time.Second)
	for tick := time.Tick(time.Millisecond); count.Load() < least; {
		select {
		case <-tick:
		case <-end:
			t.Fatalf("%d of %d", count.Load(), least)
		}
	}
}

// TestHangingNodeIsLeftAlone: it costs one read half of its time, and the reads
// after it nothing.
func TestHangingNodeIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startMembers(t, 3)
		c.members[1].be(hang)
		outside, began := c.near(t), time.Now()
		for range 6 {
			if err := c.read(t, outside, time.Second); err != nil {
				t.Error(err)
			}
		}
		if n := c.members[1].asked.Load(); n != 1 {
			t.Errorf("the node that hangs was asked %d times", n)
		}
		if took := time.Since(began); took != time.Second/2 {
			t.Errorf("six reads took %v", took)
		}
	})
}

// TestHangingNodeCostsAWrite: what became of it nobody knows, so it is not sent to
// another.
func TestHangingNodeCostsAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startMembers(t, 2)
		c.members[1].be(hang)
		check(t, c.write(t, c.near(t), time.Second), torc.ErrNoReply)
		if first, second := c.members[1].asked.Load(), c.members[0].asked.Load(); first != 1 || second != 0 {
			t.Errorf("the node that hangs was asked %d times, and the other %d times", first, second)
		}
	})
}

// TestNodeThatComesBack: after a while it is asked something of no consequence,
// and then has its share again.
func TestNodeThatComesBack(t *testing.T) {
	c := startCluster(t, 2)
	m := c.members[1]
	m.be(cut)
	outside := c.client(t)
	if err := c.read(t, outside, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	arrived := make(chan int64, 1000)
	m.be(func(w http.ResponseWriter, r *http.Request) {
		arrived <- r.ContentLength
		m.gateway.ServeHTTP(w, r)
	})
	var sizes []int64 // of the requests that arrived at the node
	for tick := time.Tick(5 * time.Millisecond); len(sizes) == 0 || sizes[len(sizes)-1] == 0; {
		if err := c.read(t, outside, 20*time.Second); err != nil {
			t.Fatal(err)
		}
		select {
		case n := <-arrived:
			sizes = append(sizes, n)
		case <-tick:
		}
	}
	if sizes[0] != 0 {
		t.Errorf("requests of %d bytes came; want an empty one before a command", sizes)
	}
}

// TestResolver: nodes that are found later are used, and those of before while
// it fails.
func TestResolver(t *testing.T) {
	c := startCluster(t, 2)
	var found atomic.Pointer[[]string]
	found.Store(&[]string{closedPort(t)})
	outside := newClient(t, client.Config{Resolve: func(context.Context) ([]string, error) {
		if found.Load() == nil {
			return nil, errors.New("no Consul")
		}
		return *found.Load(), nil
	}})
	if err := c.write(t, outside, 20*time.Second); !errors.Is(err, torc.ErrUnreachable) {
		t.Fatalf("got %v", err)
	}
	found.Store(&[]string{c.members[0].address})
	if err := c.write(t, outside, 20*time.Second); err != nil {
		t.Fatalf("nobody was reached, and Resolve not asked again: %v", err)
	}
	found.Store(nil)
	if err := c.write(t, outside, 20*time.Second); err != nil {
		t.Errorf("Resolve fails, and what it had said before is forgotten: %v", err)
	}
}

func TestResolverThatFails(t *testing.T) {
	c := startCluster(t, 1)
	for name, resolve := range map[string]func(context.Context) ([]string, error){
		"resolving found none": func(context.Context) ([]string, error) { return nil, nil },
		"no Consul":            func(context.Context) ([]string, error) { return nil, errors.New("no Consul") },
		"want host:port":       func(context.Context) ([]string, error) { return []string{"x y"}, nil },
		"deadline": func(ctx context.Context) ([]string, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	} {
		err := c.write(t, newClient(t, client.Config{Resolve: resolve}), 20*time.Second)
		if !errors.Is(err, torc.ErrUnreachable) || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}

func TestToken(t *testing.T) {
	c := startCluster(t, 1)
	m := c.members[0]
	m.be(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		m.gateway.ServeHTTP(w, r)
	})
	with := newClient(t, client.Config{Addresses: []string{"http://" + m.address + "/"}, Token: "secret"})
	if err := c.write(t, with, 20*time.Second); err != nil {
		t.Error(err)
	}
	if err := c.write(t, c.client(t), 20*time.Second); err == nil || !strings.Contains(err.Error(), "unauthenticated") {
		t.Errorf("without: %v", err)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	outside, err := client.New(client.Config{Addresses: []string{closedPort(t)}})
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{puppet: startCluster(t, 1).puppet}
	if err := c.write(t, outside, 20*time.Second); !errors.Is(err, torc.ErrUnreachable) {
		t.Error(err)
	}
	outside.Close()
}
