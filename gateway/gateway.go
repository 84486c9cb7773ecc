package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpcreflect"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/failure"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
	"github.com/torc-io/torc/proto/torc/v1/torcpbconnect"
)

const (
	// MaxTimeout bounds the deadline that a caller may ask for, as everywhere at a
	// node: who waits longer than a minute for a quorum has lost interest.
	MaxTimeout = time.Minute

	// maxRequestBytes bounds the body of a request, compressed or not: the largest
	// command as JSON, where bytes take a third more, and room for the fields
	// around it.
	maxRequestBytes = torc.MaxMessageBytes*4/3 + 16<<10

	// minCompressBytes is the size from which a reply is compressed for callers
	// that ask for it; shorter ones would hardly shrink.
	minCompressBytes = 1 << 10
)

// Paths returns what a server must pass to a Gateway, each a path with all that
// is below it: the command service, and both versions of server reflection.
func Paths() []string {
	return []string{
		"/" + torcpbconnect.CommandServiceName + "/",
		"/" + grpcreflect.ReflectV1ServiceName + "/",
		"/" + grpcreflect.ReflectV1AlphaServiceName + "/",
	}
}

// Config says how a Gateway works.
type Config struct {
	// Logger gets panics; nil discards them.
	Logger *slog.Logger
}

// Gateway is the http.Handler of one node. Its methods may be called from any
// goroutine.
type Gateway struct {
	logger   *slog.Logger
	refusals *connect.ErrorWriter
	attached atomic.Pointer[http.Handler] // nil while the node is starting
	draining atomic.Bool
}

// New returns a Gateway without a node, which answers that the node is starting.
func New(config Config) *Gateway {
	g := &Gateway{logger: config.Logger, refusals: connect.NewErrorWriter()}
	if g.logger == nil {
		g.logger = slog.New(slog.DiscardHandler)
	}
	return g
}

// Attach makes the Gateway serve a node that has started.
func (g *Gateway) Attach(node *torc.Node) { g.attach(node, node.Methods()) }

func (g *Gateway) attach(to torc.Sender, methods []torc.Method) {
	catalog := newCatalog(methods)
	options := connect.WithHandlerOptions(
		connect.WithReadMaxBytes(maxRequestBytes),
		connect.WithCompressMinBytes(minCompressBytes),
		connect.WithCodec(&jsonCodec{"json", catalog}),
		connect.WithCodec(&jsonCodec{"json; charset=utf-8", catalog}),
		connect.WithRecover(g.survive),
	)
	reflector := grpcreflect.NewReflector(
		grpcreflect.NamerFunc(func() []string { return []string{torcpbconnect.CommandServiceName} }),
		grpcreflect.WithDescriptorResolver(catalog.files),
		grpcreflect.WithExtensionResolver(catalog.types),
	)
	mux := http.NewServeMux()
	mux.Handle(torcpbconnect.NewCommandServiceHandler(&commandService{to, catalog}, options))
	mux.Handle(grpcreflect.NewHandlerV1(reflector, options))
	mux.Handle(grpcreflect.NewHandlerV1Alpha(reflector, options))
	handler := http.Handler(mux)
	g.attached.Store(&handler)
}

// Drain makes the Gateway refuse requests from now on, in a way that sends clients
// to other nodes; those under way are finished. A server that is told to shut
// down closes connections that are idle at that moment, and with one of them it
// may cut off a request that has just been sent. So drain first, and give
// clients a moment to notice.
func (g *Gateway) Drain() { g.draining.Store(true) }

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler := g.attached.Load()
	switch {
	case g.draining.Load():
		w.Header().Set("Connection", "close") // which in HTTP/2 says: no more on this one
		g.refuse(w, r, "the node is stopping")
	case handler == nil:
		g.refuse(w, r, "the node is starting, it has no ring yet")
	default:
		(*handler).ServeHTTP(w, r)
	}
}

// refuse answers that nothing was executed, and that another node may do it.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, why string) {
	if !g.refusals.IsSupported(r) {
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	refused := failure.New(why, []torcpb.Reason{torcpb.Reason_REASON_STOPPING})
	_ = g.refusals.Write(w, r, failure.Encode(refused, false)) // who cannot be told is gone
}

// survive answers a request whose handling panicked. The panic's value goes to
// the log alone.
func (g *Gateway) survive(ctx context.Context, spec connect.Spec, _ http.Header, reason any) error {
	id := rand.Text()
	g.logger.ErrorContext(ctx, "gateway panicked", "id", id, "procedure", spec.Procedure,
		"panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
	return failure.Encode(fmt.Errorf("a failure of the node itself; its log says more under the id %s", id), true)
}
