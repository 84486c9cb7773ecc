package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// The server's timeouts. The context of a request ends when its connection's
// read timeout does, so both directions allow for the longest request.
const (
	// headerTimeout is ample for a request line and headers over any network,
	// and frees the connection of a client that sends them byte by byte.
	headerTimeout = 5 * time.Second
	// requestTimeout is for all of a request, its body and its answer.
	requestTimeout = MaxTimeout + 15*time.Second
	// idleTimeout is for the pause between two requests on one connection.
	idleTimeout = 2 * time.Minute
	// maxHeaderBytes has room for the longest key, every byte of it escaped, and
	// for usual headers beside it.
	maxHeaderBytes = 64 << 10
)

// NewServer returns a server for an API with timeouts in every direction.
func NewServer(h http.Handler, logger *slog.Logger) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true) // for gRPC, which knows nothing else
	return &http.Server{
		Handler:           h,
		Protocols:         protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// Stop takes no more requests and waits for those in flight. What has not ended
// when ctx does is cut off, and the error says so.
func Stop(ctx context.Context, s *http.Server) error {
	err := s.Shutdown(ctx)
	if err == nil {
		return nil
	}
	return errors.Join(fmt.Errorf("some HTTP requests had not ended: %w", err), s.Close())
}

// NewRegistry returns a registry for one node, which has what is worth knowing
// about its process already.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	return r
}
