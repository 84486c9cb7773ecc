package main

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	torc "github.com/torc-io/torc"
)

// maxConnections is how many clients a node takes, each with two goroutines and
// an outbox.
const maxConnections = 10_000

// keepAlive finds out within half a minute that the other end of a connection is
// no more: its machine lost power, say, and said nothing.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}
}

// server takes connections for a lobby.
type server struct {
	listener net.Listener
	limit    int

	mu      sync.Mutex
	conns   map[net.Conn]bool
	clients sync.WaitGroup
}

func listen(ctx context.Context, address string, limit int) (*server, error) {
	config := net.ListenConfig{KeepAliveConfig: keepAlive()}
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &server{listener: listener, limit: limit, conns: map[net.Conn]bool{}}, nil
}

// run serves clients until ctx ends, and returns when all have been seen off.
func (s *server) run(ctx context.Context, l *lobby) {
	stop := context.AfterFunc(ctx, s.hangUp)
	defer stop()
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil {
			pauseFor(ctx, pause) // no more file descriptors: those who are here may go
			continue
		}
		s.take(ctx, conn, l)
	}
	s.clients.Wait()
}

func pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (s *server) take(ctx context.Context, conn net.Conn, l *lobby) {
	if !s.admit(conn) {
		_ = conn.SetWriteDeadline(time.Now().Add(pause))
		_, _ = conn.Write([]byte("sorry, there are too many here already\n"))
		_ = conn.Close()
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(socketBuffer) // a hint
	}
	s.clients.Go(func() {
		serve(ctx, l, conn)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, conn)
	})
}

func (s *server) admit(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= s.limit {
		return false
	}
	s.conns[conn] = true
	return true
}

// hangUp ends all that clients could still say. What they are yet to be told is
// sent.
func (s *server) hangUp() {
	_ = s.listener.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.SetReadDeadline(time.Now())
	}
}

// start serves in the background. Stop waits until the rooms know that the clients
// here have left.
func (s *server) start(ctx context.Context, node *torc.Node, service *chat) (l *lobby, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	l = openLobby(ctx, node, service)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.run(ctx, l)
		l.close()
	}()
	return l, func() { cancel(); <-ended }
}
