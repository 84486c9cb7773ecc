package httpapi

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Errors of a request that has no place to go.
var (
	errNoRoute  = errors.New("no such path")
	errMethod   = errors.New("method not allowed")
	errStarting = errors.New("the node is starting, it has no ring yet")
	errStopping = errors.New("the node is stopping")
)

// endpoint answers a request, or returns why not before it has written anything.
type endpoint func(w http.ResponseWriter, r *http.Request) error

// route is a path with what its methods do.
type route struct {
	// path is matched against the escaped path of the request. If it ends in a
	// slash, it stands for everything below it.
	path    string
	methods map[string]endpoint
}

// makeRoutes returns all that the API answers. No path is a prefix of another,
// so their order does not matter.
func (a *API) makeRoutes() []route {
	get := func(e endpoint) map[string]endpoint { return map[string]endpoint{http.MethodGet: e} }
	limits := a.operation((*served).setLimits)
	limits[http.MethodGet] = a.served((*served).limits)
	return []route{
		{storePrefix, map[string]endpoint{
			http.MethodGet:    a.served((*served).fetch),
			http.MethodPut:    a.served((*served).store),
			http.MethodDelete: a.served((*served).remove),
		}},
		{wherePrefix, get(a.served((*served).where))},
		{"/api/ping", get(a.served((*served).ping))},
		{"/api/ring", get(a.served((*served).ring))},
		{"/api/members", get(a.served((*served).members))},
		{"/api/transfers", get(a.served((*served).transfers))},
		{"/api/transfer-limit", limits},
		{"/api/plan", a.operation((*served).plan)},
		{"/api/commit", a.operation((*served).commit)},
		{"/api/leave", a.operation((*served).leave)},
		{downPrefix, a.operation((*served).down, "force")},
		{"/livez", get(live)},
		{"/readyz", get(a.ready)},
		{"/metrics", get(a.metrics())},
		{pprofPrefix, get(profile)},
	}
}

// served makes an endpoint of one that needs a node.
func (a *API) served(e func(*served, http.ResponseWriter, *http.Request) error) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		on := a.attached.Load()
		if on == nil {
			return errStarting
		}
		return e(on, w, r)
	}
}

// find returns the route of an escaped path; without one, a route that says so.
func (a *API) find(path string) route {
	for _, r := range a.routes {
		if r.covers(path) {
			return r
		}
	}
	return route{}
}

// covers says whether the route stands for an escaped path. "/api/store" is
// covered by "/api/store/" too, as its empty key.
func (r route) covers(path string) bool {
	if !strings.HasSuffix(r.path, "/") {
		return path == r.path
	}
	return strings.HasPrefix(path, r.path) || path+"/" == r.path
}

// serve calls the endpoint of the request's method. GET answers HEAD too.
func (r route) serve(w http.ResponseWriter, request *http.Request) error {
	if r.path == "" {
		return fmt.Errorf("%w: %s. There are /api/store/{key}, /api/where/{key}, /api/ping, /api/ring, /api/members, /api/transfers, /api/transfer-limit, /api/plan, /api/commit, /api/leave, /api/down/{name}, /livez, /readyz, /metrics and /debug/pprof/",
			errNoRoute, request.URL.EscapedPath())
	}
	method := request.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if e, ok := r.methods[method]; ok {
		return e(w, request)
	}
	w.Header().Set("Allow", r.allow())
	return fmt.Errorf("%w: %s %s; allowed are %s", errMethod, request.Method, r.path, r.allow())
}

// allow lists the methods for the header of that name.
func (r route) allow() string {
	methods := slices.Collect(maps.Keys(r.methods))
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// live says that the process runs.
func live(w http.ResponseWriter, _ *http.Request) error { return writeText(w, "ok\n") }

// ready says whether clients should come here: the node has a ring and is not
// about to stop.
func (a *API) ready(w http.ResponseWriter, _ *http.Request) error {
	switch on := a.attached.Load(); {
	case a.draining.Load():
		return errStopping
	case on == nil:
		return errStarting
	case !on.node.Ready():
		return errStopping
	}
	return writeText(w, "ready\n")
}

// metrics shows the registry for Prometheus.
func (a *API) metrics() endpoint {
	if a.config.Metrics == nil {
		return func(http.ResponseWriter, *http.Request) error {
			return fmt.Errorf("%w: this node keeps no metrics", errNoRoute)
		}
	}
	handler := promhttp.HandlerFor(a.config.Metrics, promhttp.HandlerOpts{})
	return func(w http.ResponseWriter, r *http.Request) error {
		handler.ServeHTTP(w, r)
		return nil
	}
}

const pprofPrefix = "/debug/pprof/"

// profile serves the profiles of the process, as net/http/pprof would at its
// usual place.
func profile(w http.ResponseWriter, r *http.Request) error {
	switch r.URL.Path {
	case strings.TrimSuffix(pprofPrefix, "/"):
		http.Redirect(w, r, pprofPrefix, http.StatusMovedPermanently) // its links are relative
	case pprofPrefix + "cmdline":
		pprof.Cmdline(w, r)
	case pprofPrefix + "profile":
		pprof.Profile(w, r)
	case pprofPrefix + "symbol":
		pprof.Symbol(w, r)
	case pprofPrefix + "trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r)
	}
	return nil
}
