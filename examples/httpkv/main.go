// Httpkv is an ordinary web program: a net/http server with a few routes. What
// they store is in the program itself, and in the others like it.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/examples/member"
	"github.com/torc-io/torc/gateway"
)

const (
	// anyoneAt is where the talk's curl looks for it.
	anyoneAt = "127.0.0.1:4000"
	// stopTimeout is what the last requests have to end.
	stopTimeout = 10 * time.Second
)

func main() { member.Main(run) }

func run(ctx context.Context, m *member.Member) error {
	m.HTTP = cmp.Or(m.HTTP, anyoneAt)
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", m.HTTP)
	if err != nil {
		return err
	}
	config, err := m.Config()
	if err != nil {
		return err
	}
	store := newStore()
	if store.node, err = torc.Start(ctx, config, store.service); err != nil {
		return err
	}
	server := &http.Server{Handler: routes(store), ReadHeaderTimeout: time.Second}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	fmt.Printf("%s answers at http://%s\n", m.Name, m.HTTP)
	select {
	case err = <-stopped:
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return errors.Join(err, server.Shutdown(last), store.node.Shutdown(last))
}

// routes are those of the talk, and one for "node send".
func routes(s *store) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /api/store/{key}", s.put)
	mux.HandleFunc("GET /api/store/{key}", s.get)
	commands := gateway.New(gateway.Config{})
	commands.Attach(s.node)
	for _, path := range gateway.Paths() {
		mux.Handle(path, commands)
	}
	return mux
}
