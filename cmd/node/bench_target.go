package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	torc "github.com/torc-io/torc"
	outside "github.com/torc-io/torc/client"
	"github.com/torc-io/torc/internal/load"
	"github.com/torc-io/torc/kv"
	"github.com/torc-io/torc/membership/local"
)

// open makes the way to the cluster, and a function that ends it.
func (b *benching) open(ctx context.Context) (load.Target, func() error, error) {
	none := func() error { return nil }
	switch b.over {
	case overHTTP:
		target, err := b.openHTTP()
		return target, none, err
	case overConnect:
		return b.openConnect()
	default:
		return b.openInside(ctx)
	}
}

// addresses are those of the nodes that requests go to.
func (b *benching) addresses() []string { return append([]string{b.address}, b.also...) }

// openHTTP sends to each node in turn.
func (b *benching) openHTTP() (load.Target, error) {
	var nodes []*client
	for _, address := range b.addresses() {
		c := newClient(address, &b.credentials)
		if c.err != nil {
			return nil, c.err
		}
		// A connection for each request under way, or the connecting is measured.
		pooled := transportOf(&c.http)
		pooled.MaxIdleConns, pooled.MaxIdleConnsPerHost = 0, b.load.Clients
		nodes = append(nodes, c)
	}
	reads, writes := b.parameters("n", "r"), b.parameters("n", "w")
	var turn atomic.Uint64
	return func(ctx context.Context, op load.Op) error {
		node := nodes[turn.Add(1)%uint64(len(nodes))]
		r := request{method: http.MethodGet, path: keyPath(storePath, op.Key), query: reads}
		if op.Kind == load.Write {
			r.method, r.query, r.body = http.MethodPut, writes, op.Value
		}
		_, err := node.once(ctx, r)
		return err
	}, nil
}

// transportOf returns what a client that has been equipped sends through.
func transportOf(c *http.Client) *http.Transport {
	return c.Transport.(*bearerTransport).RoundTripper.(*http.Transport)
}

// parameters are those of a request over HTTP.
func (b *benching) parameters(names ...string) url.Values {
	values := url.Values{"timeout": {b.timeout.String()}}
	for _, name := range names {
		if text := b.quorum.values.Get(name); text != "" {
			values.Set(name, text)
		}
	}
	return values
}

// openConnect sends through package client.
func (b *benching) openConnect() (load.Target, func() error, error) {
	var secured http.Client
	if err := b.credentials.equip(&secured); err != nil {
		return nil, nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	transportOf(&secured).Protocols = protocols
	var addresses []string
	for _, address := range b.addresses() {
		if b.credentials.secures(address) && !strings.Contains(address, "://") {
			address = "https://" + address
		}
		addresses = append(addresses, address)
	}
	cluster, err := outside.New(outside.Config{Addresses: addresses, HTTPClient: &secured, Timeout: b.timeout})
	if err != nil {
		return nil, nil, usageError{err}
	}
	end := func() error {
		cluster.Close()
		secured.CloseIdleConnections()
		return nil
	}
	return b.through(kv.New(torc.Quorum{N: replicas}).On(cluster)), end, nil
}

// openInside starts a cluster in this process, whose members talk over loopback
// as those of others do. Requests go to each member in turn.
func (b *benching) openInside(ctx context.Context) (load.Target, func() error, error) {
	nodes, service, err := b.startInside(ctx)
	end := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		var errs []error
		for _, node := range nodes {
			errs = append(errs, node.Shutdown(ctx))
		}
		return errors.Join(errs...)
	}
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	var through []load.Target
	for _, node := range nodes {
		through = append(through, b.through(service.On(node)))
	}
	var turn atomic.Uint64
	return func(ctx context.Context, op load.Op) error {
		return through[turn.Add(1)%uint64(len(through))](ctx, op)
	}, end, nil
}

// startInside starts the members, who wait for each other. It returns those that
// have started even if others have not.
func (b *benching) startInside(ctx context.Context) ([]*torc.Node, *kv.Service, error) {
	store, service := local.NewStore(), kv.New(torc.Quorum{N: replicas})
	started, errs := make([]*torc.Node, b.members), make([]error, b.members)
	var all sync.WaitGroup
	for i := range b.members {
		config := torc.Config{
			Name: fmt.Sprintf("n%d", i+1), Membership: store.Connect(), Bootstrap: b.members, RequestTimeout: b.timeout,
		}
		if b.members == 1 {
			config.Membership = nil // then it opens no port
		}
		all.Go(func() { started[i], errs[i] = torc.Start(ctx, config, service) })
	}
	all.Wait()
	var nodes []*torc.Node
	for _, node := range started {
		if node != nil {
			nodes = append(nodes, node)
		}
	}
	return nodes, service, errors.Join(errs...)
}

// through executes operations by a client of the key/value service.
func (b *benching) through(store *kv.Client) load.Target {
	reads, writes := b.options("r", torc.R), b.options("w", torc.W)
	return func(ctx context.Context, op load.Op) error {
		if op.Kind == load.Write {
			_, err := store.Store(ctx, op.Key, kv.Value{Bytes: op.Value}, writes...)
			return err
		}
		_, err := store.Fetch(ctx, op.Key, reads...)
		return err
	}
}

// options are the counts of a request that needs that many answers.
func (b *benching) options(name string, need func(int) torc.CallOption) (options []torc.CallOption) {
	counts, _ := b.counts() // check has seen the error
	if n, given := counts["n"]; given {
		options = append(options, torc.N(n))
	}
	if value, given := counts[name]; given {
		options = append(options, need(value))
	}
	return options
}

// failureKinds are words for errors, the surest first. Those of HTTP have the
// same in the type of their problem.
var failureKinds = []struct {
	is   error
	word string
}{
	{torc.ErrTooLarge, "too large"},
	{torc.ErrInvalid, "bad request"},
	{torc.ErrOverloaded, "overloaded"},
	{torc.ErrStopping, "not ready"},
	{torc.ErrRecovering, "recovering"},
	{torc.ErrUnreachable, "unreachable"},
	{torc.ErrLost, "lost"},
	{context.DeadlineExceeded, "timeout"},
	{torc.ErrNoReply, "timeout"},
	{syscall.ECONNREFUSED, "unreachable"},
	{syscall.ECONNRESET, "lost"},
}

// kindOfFailure names the kind of an error in a word or two.
func kindOfFailure(err error) string {
	if refused, ok := errors.AsType[*problemError](err); ok {
		if slug, ours := strings.CutPrefix(refused.Type, "urn:torc:"); ours {
			return strings.ReplaceAll(slug, "-", " ")
		}
		return fmt.Sprintf("status %d", refused.Status)
	}
	for _, k := range failureKinds {
		if errors.Is(err, k.is) {
			return k.word
		}
	}
	if _, short := errors.AsType[*torc.QuorumError](err); short {
		return "too few replicas"
	}
	if errors.Is(err, torc.ErrNotFound) {
		return "not found"
	}
	return "other"
}
