package httpapi

import (
	"cmp"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/kv"
	"github.com/torc-io/torc/ping"
)

// DefaultTimeout is the deadline of a request that names none.
const DefaultTimeout = 5 * time.Second

// Config says what an API serves.
type Config struct {
	// KV and Ping are the services behind /api/store and /api/ping. The node
	// that is attached must run both.
	KV   *kv.Service
	Ping *ping.Service

	// Rebalance is the node's own: in manual mode nothing moves but by a plan that
	// is committed, not even when the node is asked to leave.
	Rebalance torc.Rebalance

	// Metrics is what /metrics shows: the registry that the node counts in.
	Metrics prometheus.Gatherer

	// RequestTimeout is the deadline of a request that names none, at most
	// [MaxTimeout]; the default is [DefaultTimeout].
	RequestTimeout time.Duration

	// Logger gets panics, changes of limits and, at debug level, every request; nil discards.
	Logger *slog.Logger
}

// API is the http.Handler of one node. Its methods may be called from any
// goroutine.
type API struct {
	config   Config
	logger   *slog.Logger
	routes   []route
	attached atomic.Pointer[served] // nil while the node is starting
	draining atomic.Bool
}

// served is a node with what requests need of it.
type served struct {
	api  *API
	node *torc.Node
	kv   *kv.Client

	limiting sync.Mutex // held while limits of transfers are read and written back
}

// New returns an API without a node: /livez answers, everything that needs a
// node is 503 until Attach.
func New(config Config) *API {
	config.RequestTimeout = cmp.Or(config.RequestTimeout, DefaultTimeout)
	a := &API{config: config, logger: config.Logger}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	a.routes = a.makeRoutes()
	return a
}

// Attach makes the API serve a node that has started.
func (a *API) Attach(node *torc.Node) {
	a.attached.Store(&served{api: a, node: node, kv: a.config.KV.On(node)})
}

// Drain makes /readyz fail, so that no new clients come. Requests are served
// as before.
func (a *API) Drain() { a.draining.Store(true) }

// ServeHTTP answers one request. Whatever goes wrong in a handler, an error or a
// panic, ends in an answer.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	answer := &answerWriter{ResponseWriter: w}
	found := a.find(r.URL.EscapedPath())
	defer func() {
		a.survive(answer, r, recover())
		if a.logger.Enabled(r.Context(), slog.LevelDebug) {
			// The route and not the path: keys may be secret.
			a.logger.DebugContext(r.Context(), "http request", "method", r.Method, "route", found.path,
				"status", answer.status, "took", time.Since(began))
		}
	}()
	if err := found.serve(answer, r); err != nil {
		a.fail(answer, r, err)
	}
}

// answerWriter remembers whether an answer has begun.
type answerWriter struct {
	http.ResponseWriter
	status int // 0 until the answer has begun
}

// WriteHeader notes the first final status.
func (w *answerWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write notes the status that it implies.
func (w *answerWriter) Write(p []byte) (int, error) {
	w.status = cmp.Or(w.status, http.StatusOK)
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
