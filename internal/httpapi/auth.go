package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// need is what somebody must be allowed to for a request.
type need int

const (
	toRead    need = iota // keys, the ring, health: whoever reaches the port may
	toWrite               // keys, and whatever commands do
	toOperate             // change the ring
	toProfile             // look into the process, at its cost
)

// debugPrefix is above everything that looks into the process.
const debugPrefix = "/debug/"

// The kinds of requests that never come as far as the table of problems.
var (
	unauthorized = kind{slug: "unauthorized", title: "Unauthorized", status: http.StatusUnauthorized}
	forbidden    = kind{slug: "forbidden", title: "Forbidden", status: http.StatusForbidden}
)

var (
	errNoBearer    = errors.New("this needs the cluster's token: send it as \"Authorization: Bearer …\", with node commands by --token-file")
	errWrongBearer = errors.New("the token is not the one that this node was started with")
)

// RequireToken stands before next and sees to who may do what:
//
//	              reads    writes    POST /api/…        /debug/
//	with a token  all      bearer    bearer             bearer, and this machine
//	without one   all      all       this machine       this machine
//
// A bearer sends the token in the header Authorization. Writes are all methods
// but GET, HEAD, OPTIONS and TRACE: commands by RPC, which are POST, are among
// them whatever they do. A request is from this machine if it comes by loopback,
// asks for a loopback address or localhost, so that no page in a browser got here
// by a name of its own, and was not forwarded by a proxy. A proxy that does not
// say so, by X-Forwarded-For or Forwarded, makes everyone local: use a token then.
//
// token returns the token as it is now; nil, if there is none. A token that is
// empty is nobody's.
func RequireToken(token func() string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if k, err := judge(r, token); err != nil {
			deny(w, k, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// judge returns why a request may not be served.
func judge(r *http.Request, token func() string) (kind, error) {
	needs := needOf(r)
	if needs == toRead || needs == toWrite && token == nil {
		return kind{}, nil // most requests, without a look at where they come from
	}
	switch elsewhere := notLocal(r); {
	case elsewhere == nil && (needs == toProfile || token == nil):
		return kind{}, nil
	case token == nil:
		return forbidden, fmt.Errorf("a node without a token serves this to its own machine alone, and %w; ask there, or start it with --token-file", elsewhere)
	}
	given, ok := bearer(r)
	switch {
	case !ok:
		return unauthorized, errNoBearer
	case !equal(given, token()):
		return unauthorized, errWrongBearer
	}
	return kind{}, nil
}

// needOf says what a request is. Both forms of the path count, so that no escape
// makes it look harmless here and not further on.
func needOf(r *http.Request) need {
	below := func(prefix string) bool {
		return strings.HasPrefix(r.URL.Path+"/", prefix) || strings.HasPrefix(r.URL.EscapedPath()+"/", prefix)
	}
	switch {
	case below(debugPrefix):
		return toProfile
	case isSafe(r.Method):
		return toRead
	case below("/api/") && !strings.HasPrefix(r.URL.EscapedPath()+"/", storePrefix):
		return toOperate
	default:
		return toWrite
	}
}

// isSafe says whether a method changes nothing (RFC 9110, section 9.2.1).
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// notLocal returns why a request does not count as one from this machine, or nil.
func notLocal(r *http.Request) error {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	switch {
	case err != nil || !from.Addr().Unmap().IsLoopback():
		return fmt.Errorf("this came from %s", r.RemoteAddr)
	case r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "":
		return errors.New("this came by a proxy")
	case !isLoopback(r.Host):
		return fmt.Errorf("this was asked of %q, which may be anywhere", r.Host)
	}
	return nil
}

// isLoopback says whether a host, with or without a port, is loopback by itself,
// without asking anybody.
func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// bearer returns the token in a request.
func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), ok && strings.EqualFold(scheme, "Bearer")
}

// equal compares tokens in a time that tells nothing of where they differ, or of
// how long the right one is.
func equal(given, want string) bool {
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1 && want != ""
}

// deny answers a request that may not be served. Nothing has been read of its body.
func deny(w http.ResponseWriter, k kind, err error) {
	if k.status == http.StatusUnauthorized {
		challenge := `Bearer realm="torc"`
		if errors.Is(err, errWrongBearer) {
			challenge += `, error="invalid_token"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	_ = writeJSON(w, "application/problem+json", k.status, problemOf(err, k)) // who is gone needs no answer
}
