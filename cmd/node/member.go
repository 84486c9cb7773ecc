package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/gateway"
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
	safe     *httpSecurity
	services []torc.Registration
	listener net.Listener
	api      *httpapi.API
	commands *gateway.Gateway
	server   *http.Server
	test     *selfTest
	node     *torc.Node // nil until started

	// leaveOnStop makes it leave the cluster before it stops.
	leaveOnStop bool
}

// newMember prepares a member that answers clients on listener.
func newMember(config torc.Config, listener net.Listener, safe *httpSecurity) (*member, error) {
	store, pings := kv.New(torc.Quorum{N: replicas}), ping.New()
	registry := httpapi.NewRegistry()
	config.HTTP, config.Metrics = advertised(listener, cmp.Or(config.Advertise, config.Listen)), registry
	if safe.cert != "" {
		config.HTTP = safe.scheme() + config.HTTP // a bare address means HTTP
	}
	logger := config.Logger.With("node", config.Name)
	api := httpapi.New(httpapi.Config{
		KV: store, Ping: pings, Metrics: registry, Rebalance: config.Rebalance,
		RequestTimeout: config.RequestTimeout, Logger: logger,
	})
	commands := gateway.New(gateway.Config{Logger: logger})
	handler, err := safe.handler(front(api, commands), logger)
	if err != nil {
		return nil, err
	}
	secured, err := safe.listener(listener, logger)
	if err != nil {
		return nil, err
	}
	if at, ok := listener.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() && !safe.hasToken() {
		logger.Warn("clients on other machines need no token: whoever reaches the port may read and write", "address", at.String())
	}
	return &member{
		config: config, safe: safe, services: []torc.Registration{store, pings}, listener: secured,
		api: api, commands: commands, server: httpapi.NewServer(handler, logger), test: &selfTest{ping: pings},
	}, nil
}

// front passes what is for the gateway to it, and all else to the API. It is no
// http.ServeMux, which would clean paths that are keys.
func front(api, commands http.Handler) http.Handler {
	paths := gateway.Paths()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isCommand := func(prefix string) bool { return strings.HasPrefix(r.URL.Path, prefix) }
		if slices.ContainsFunc(paths, isCommand) {
			commands.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// advertised returns where others reach a listener: one that takes all addresses
// of the machine is reached where members reach it.
func advertised(l net.Listener, listen string) string {
	at, ok := l.Addr().(*net.TCPAddr)
	host, _, err := net.SplitHostPort(listen)
	if !ok || !at.IP.IsUnspecified() || err != nil || host == "" {
		return l.Addr().String()
	}
	return net.JoinHostPort(host, strconv.Itoa(at.Port))
}

// url returns where the member answers.
func (m *member) url() string {
	return m.safe.scheme() + strings.TrimPrefix(m.config.HTTP, m.safe.scheme())
}

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
	m.test.node.Store(node)
	m.api.Attach(node)
	m.commands.Attach(node)
	return nil
}

// lookEvery is how often a member looks whether it has left: as soon as
// a person would.
const lookEvery = 200 * time.Millisecond

// stay waits until ctx ends or the member has left the cluster: by an operator's
// word, it has nothing any more. It stops then, at once.
func (m *member) stay(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for !m.node.HasLeft() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
	m.config.Logger.Info("left the cluster", "node", m.config.Name)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return stopAll(last, []*member{m})
}

// leave makes the member leave before it stops, if that is wanted. It takes as
// long as it takes: what it would cut short is data on its way.
func (m *member) leave(ctx context.Context) error {
	if !m.leaveOnStop || m.node.HasLeft() {
		return nil
	}
	m.drain()
	m.config.Logger.Info("leaving the cluster", "node", m.config.Name)
	if err := m.node.Leave(ctx); err != nil {
		m.config.Logger.Warn("stopping as a member, without having left", "node", m.config.Name, "error", err)
	}
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

// drain makes a member not ready, and sends its clients to others.
func (m *member) drain() {
	m.api.Drain()
	m.commands.Drain()
}

// noticeWithin is how long clients have to notice that a member is draining. The
// server closes connections that are idle when it stops, and with one of them
// it could cut off a request that has just been sent.
const noticeWithin = 150 * time.Millisecond

// stopAll stops members: not ready, finish requests in flight, stop the nodes.
func stopAll(ctx context.Context, members []*member) error {
	for _, m := range members {
		m.drain()
	}
	notice, cancel := context.WithTimeout(ctx, noticeWithin)
	defer cancel()
	<-notice.Done()
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
		err = await(running, asked, members)
	}
	if err != nil && asked.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // told to stop while it was starting
	}
	if err == nil {
		err = together(members, func(m *member) error { return m.leave(context.WithoutCancel(ctx)) })
	}
	logger.Info("stopping")
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err = errors.Join(err, stopAll(last, members))
	servers.Wait()
	return err
}

// await waits until running ends, or all members have left. If nobody asked for
// the end, a server broke, and await returns how.
func await(running, asked context.Context, members []*member) error {
	err := together(members, func(m *member) error { return m.stay(running) })
	if running.Err() != nil && asked.Err() == nil {
		return errors.Join(err, context.Cause(running))
	}
	return err
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
