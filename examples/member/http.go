package member

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/gateway"
)

// Serve answers HTTP at m.HTTP until ctx ends.
func (m *Member) Serve(ctx context.Context, handler http.Handler) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", m.HTTP)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // who is cut off sees it
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return nil
}

// serveCommands lets programs outside of the cluster send it commands, as
// "node send" and client.Client do.
func (m *Member) serveCommands(ctx context.Context, node *torc.Node) error {
	if m.HTTP == "" {
		return nil
	}
	commands := gateway.New(gateway.Config{})
	commands.Attach(node)
	return m.Serve(ctx, commands)
}
