package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/kv"
	"github.com/torc-io/torc/ping"
)

// webSystem is a server of HTTP, and connections to it. A client is as little as
// can be, a connection and the bytes of a request: that of net/http costs more
// than the server, and would make all servers look alike.
type webSystem struct {
	*keyspace

	address string
	method  string
	server  *http.Server
	served  chan error
	node    *torc.Node // nil for the bare server

	mu    sync.Mutex
	conns []net.Conn
}

// storePath is where both servers have their values.
const storePath = "/api/store/"

// openWeb starts the framework's surface on one node.
func openWeb(method string) func(context.Context, int) (System, error) {
	return func(ctx context.Context, keys int) (System, error) {
		service, pings := kv.New(torc.Quorum{N: replicas, R: need, W: need}), ping.New()
		node, err := torc.Start(ctx, torc.Config{Name: "solo"}, service, pings)
		if err != nil {
			return nil, err
		}
		api := httpapi.New(httpapi.Config{KV: service, Ping: pings})
		api.Attach(node)
		s := &kvSystem{solo: newSolo(ctx, node, keys), kv: service.On(node)}
		w, err := serveWeb(ctx, api, s.keyspace, method)
		if err == nil {
			w.node, err = node, s.fillAll(ctx, replicas)
		}
		if err != nil {
			return nil, errors.Join(err, shutDown(node))
		}
		return w, nil
	}
}

// openBareWeb starts a plain handler that keeps values in a map.
func openBareWeb(method string) func(context.Context, int) (System, error) {
	return func(ctx context.Context, keys int) (System, error) {
		space := newKeyspace(keys)
		h := &bareHandler{values: make(map[string][]byte)}
		for _, key := range space.keys {
			h.values[string(key)] = space.value
		}
		return serveWeb(ctx, h, space, method)
	}
}

// bareHandler is a key/value service as a page of Go: no replicas, no versions.
type bareHandler struct {
	mu     sync.RWMutex
	values map[string][]byte
}

// ServeHTTP answers GET and PUT.
func (h *bareHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, storePath)
	if r.Method == http.MethodPut {
		value, err := io.ReadAll(io.LimitReader(r.Body, kv.MaxValueBytes))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		h.mu.Lock()
		h.values[key] = value
		h.mu.Unlock()
		return
	}
	h.mu.RLock()
	value, ok := h.values[key]
	h.mu.RUnlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(value) // the client sees that it breaks off
}

func serveWeb(ctx context.Context, h http.Handler, space *keyspace, method string) (*webSystem, error) {
	listener, err := listenLoopback(ctx)
	if err != nil {
		return nil, err
	}
	s := &webSystem{
		keyspace: space, address: listener.Addr().String(), method: method,
		server: httpapi.NewServer(h, slog.New(slog.DiscardHandler)), served: make(chan error, 1),
	}
	go func() { s.served <- s.server.Serve(listener) }()
	return s, nil
}

// Client returns the operation of one client, on a connection of its own.
func (s *webSystem) Client(number int) Op {
	conn, err := net.Dial("tcp", s.address) //nolint:noctx // it is on loopback, and listens
	if err != nil {
		return func() error { return err }
	}
	s.mu.Lock()
	s.conns = append(s.conns, conn)
	s.mu.Unlock()
	key, answers := s.draw(number), bufio.NewReader(conn)
	var asked bytes.Buffer
	return func() error {
		asked.Reset()
		_, _ = fmt.Fprintf(&asked, "%s %s%s HTTP/1.1\r\nHost: %s\r\n", s.method, storePath, key(), s.address)
		if s.method == http.MethodPut {
			_, _ = fmt.Fprintf(&asked, "Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%s", len(s.value), s.value)
		} else {
			_, _ = asked.WriteString("\r\n")
		}
		if _, err := conn.Write(asked.Bytes()); err != nil {
			return err
		}
		return readAnswer(answers)
	}
}

// readAnswer reads an answer of HTTP/1.1 and throws it away. An answer without a
// length, which none of these servers gives, or with another status is an error.
func readAnswer(r *bufio.Reader) error {
	status, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("the server answered %s", bytes.TrimSpace(status))
	}
	size := -1
	for {
		line, err := r.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case len(line) <= len("\r\n") && size < 0:
			return errors.New("an answer without a length")
		case len(line) <= len("\r\n"):
			_, err := r.Discard(size)
			return err
		}
		if text, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if size, err = strconv.Atoi(string(bytes.TrimSpace(text))); err != nil {
				return err
			}
		}
	}
}

// Close ends the connections, the server and the node.
func (s *webSystem) Close() (err error) {
	for _, conn := range s.conns {
		err = errors.Join(err, conn.Close())
	}
	err = errors.Join(err, s.server.Close())
	if served := <-s.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	if s.node != nil {
		err = errors.Join(err, shutDown(s.node))
	}
	return err
}
