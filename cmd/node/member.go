package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/kv"
	"github.com/torc-io/torc/ping"
)

// replicas is the N of the key/value service: the least that outlives the loss
// of a member with a majority left.
const replicas = 3

// stopTimeout bounds a clean stop. It is above any request's usual deadline, and
// below the half minute after which supervisors lose patience.
const stopTimeout = 20 * time.Second

// member is one member of a cluster in this process, with its HTTP server.
type member struct {
	config   torc.Config
	services []torc.Registration
	listener net.Listener
	api      *httpapi.API
	server   *http.Server
	node     *torc.Node // nil until started
}

// newMember prepares a member that answers HTTP on listener.
func newMember(config torc.Config, listener net.Listener) *member {
	store, pings := kv.New(torc.Quorum{N: replicas}), ping.New()
	registry := httpapi.NewRegistry()
	config.HTTP, config.Metrics = listener.Addr().String(), registry
	logger := config.Logger.With("node", config.Name)
	if at, ok := listener.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
		logger.Warn("HTTP is open to other machines: whoever reaches it may read and write", "address", at.String())
	}
	api := httpapi.New(httpapi.Config{
		KV: store, Ping: pings, Metrics: registry,
		RequestTimeout: config.RequestTimeout, Logger: logger,
	})
	return &member{
		config: config, services: []torc.Registration{store, pings},
		listener: listener, api: api, server: httpapi.NewServer(api, logger),
	}
}

// url returns where the member answers.
func (m *member) url() string { return "http://" + m.listener.Addr().String() }

// serveHTTP answers HTTP until the server stops, and returns what ended it.
func (m *member) serveHTTP() error {
	if err := m.server.Serve(m.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP on %s: %w", m.listener.Addr(), err)
	}
	return nil
}

// start runs the node and makes the API serve it.
func (m *member) start(ctx context.Context) error {
	node, err := torc.Start(ctx, m.config, m.services...)
	if err != nil {
		return err
	}
	m.node = node
	m.api.Attach(node)
	return nil
}

// together calls do for all members at once, and returns all errors.
func together(members []*member, do func(*member) error) error {
	errs := make([]error, len(members))
	var all sync.WaitGroup
	for i, m := range members {
		all.Go(func() { errs[i] = do(m) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// startAll starts members that wait for each other. If one fails, the others
// do not wait any longer.
func startAll(ctx context.Context, members []*member) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	err := together(members, func(m *member) error {
		err := m.start(ctx)
		if err != nil {
			giveUp(err)
		}
		return err
	})
	if err != nil {
		return context.Cause(ctx) // the first of them, which the others follow from
	}
	return nil
}

// stopAll stops members: not ready, finish requests in flight, stop the nodes.
func stopAll(ctx context.Context, members []*member) error {
	for _, m := range members {
		m.api.Drain()
	}
	served := together(members, func(m *member) error { return httpapi.Stop(ctx, m.server) })
	stopped := together(members, func(m *member) error {
		if m.node == nil {
			return nil
		}
		return m.node.Shutdown(ctx)
	})
	return errors.Join(served, stopped)
}

// serve runs members until ctx ends, a signal comes, or one of them breaks. It
// calls ready once they all serve. The second signal ends the process.
func serve(ctx context.Context, logger *slog.Logger, members []*member, ready func() error) error {
	asked, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(asked, stop)
	running, fail := context.WithCancelCause(asked)
	defer fail(nil)
	servers := serveAll(members, fail)

	err := startAll(running, members)
	if err == nil {
		err = ready()
	}
	if err == nil {
		err = await(running, asked)
	}
	logger.Info("stopping")
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err = errors.Join(err, stopAll(last, members))
	servers.Wait()
	return err
}

// await waits until running ends. If nobody asked for that, a server broke, and
// await returns how.
func await(running, asked context.Context) error {
	<-running.Done()
	if asked.Err() == nil {
		return context.Cause(running)
	}
	return nil
}

// serveAll answers HTTP for all members, and calls fail if one cannot any more.
func serveAll(members []*member, fail func(error)) *sync.WaitGroup {
	var servers sync.WaitGroup
	for _, m := range members {
		servers.Go(func() {
			if err := m.serveHTTP(); err != nil {
				fail(err)
			}
		})
	}
	return &servers
}

// listen opens a TCP port for HTTP; flag is what chooses another one.
func listen(ctx context.Context, address, flag string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, explainListen(err, address, flag)
	}
	return l, nil
}

// explainListen says what to do about a port that cannot be opened.
func explainListen(err error, address, flag string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use: stop what listens there, or choose another port with %s", address, flag)
	}
	return fmt.Errorf("cannot listen on %s: choose another address with %s: %w", address, flag, err)
}
