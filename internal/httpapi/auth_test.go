package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/torc-io/torc/internal/httpapi"
)

const (
	here  = "127.0.0.1:5555" // a client on this machine
	there = "10.6.6.6:5555"
	right = "correct horse battery staple"
)

// asking is one request to a node that has a token or not.
type asking struct {
	name         string
	method, path string
	from         string // here, unless it says otherwise
	host         string // localhost:4000, unless it says otherwise
	header       string // "Name: value"
	// open and closed are the answers of nodes without a token and with one.
	open, closed int
}

var askings = []asking{
	{name: "read a key", method: "GET", path: "/api/store/k", from: there, open: 200, closed: 200},
	{name: "look at the ring", method: "GET", path: "/api/ring", from: there, open: 200, closed: 200},
	{name: "health", method: "HEAD", path: "/livez", from: there, open: 200, closed: 200},

	{name: "write", method: "PUT", path: "/api/store/k", open: 200, closed: 401},
	{name: "write from elsewhere", method: "PUT", path: "/api/store/k", from: there, open: 200, closed: 401},
	{name: "remove", method: "DELETE", path: "/api/store/k", from: there, open: 200, closed: 401},
	{name: "a command", method: "POST", path: "/torc.v1.CommandService/Execute", from: there, open: 200, closed: 401},
	{name: "a method of one's own", method: "FROB", path: "/api/store/k", from: there, open: 200, closed: 401},
	{name: "the token", method: "PUT", path: "/api/store/k", from: there, header: "Authorization: Bearer " + right, open: 200, closed: 200},
	{name: "the token, spelled otherwise", method: "PUT", path: "/api/store/k", header: "Authorization: bearer  " + right, open: 200, closed: 200},
	{name: "another token", method: "PUT", path: "/api/store/k", header: "Authorization: Bearer x", open: 200, closed: 401},
	{name: "the beginning of the token", method: "PUT", path: "/api/store/k", header: "Authorization: Bearer " + right[:10], open: 200, closed: 401},
	{name: "an empty token", method: "PUT", path: "/api/store/k", header: "Authorization: Bearer ", open: 200, closed: 401},
	{name: "a password", method: "PUT", path: "/api/store/k", header: "Authorization: Basic " + right, open: 200, closed: 401},

	{name: "operate", method: "POST", path: "/api/plan", open: 200, closed: 401},
	{name: "operate from elsewhere", method: "POST", path: "/api/down/b", from: there, open: 403, closed: 401},
	{name: "operate with the token", method: "POST", path: "/api/leave", from: there, header: "Authorization: Bearer " + right, open: 403, closed: 200},
	{name: "look at the limits", method: "GET", path: "/api/transfer-limit", from: there, open: 200, closed: 200},
	{name: "limit from elsewhere", method: "POST", path: "/api/transfer-limit", from: there, open: 403, closed: 401},
	{name: "operate by IPv6", method: "POST", path: "/api/plan", from: "[::1]:9", host: "[::1]:4000", open: 200, closed: 401},
	{name: "operate by a proxy", method: "POST", path: "/api/plan", header: "X-Forwarded-For: 10.6.6.6", open: 403, closed: 401},
	{name: "operate by a newer proxy", method: "POST", path: "/api/plan", header: "Forwarded: for=10.6.6.6", open: 403, closed: 401},
	{name: "operate by a rebound name", method: "POST", path: "/api/plan", host: "evil.example:4000", open: 403, closed: 401},
	{name: "operate, escaped", method: "POST", path: "/api/%70lan", from: there, open: 403, closed: 401},
	{name: "operate, as if in the store", method: "POST", path: "/%61pi/store/../leave", from: there, open: 403, closed: 401},

	{name: "profile", method: "GET", path: "/debug/pprof/heap", open: 200, closed: 200},
	{name: "profile from elsewhere", method: "GET", path: "/debug/pprof/heap", from: there, open: 403, closed: 401},
	{name: "profile with the token", method: "GET", path: "/debug/pprof/", from: there, header: "Authorization: Bearer " + right, open: 403, closed: 200},
	{name: "profile without a slash", method: "GET", path: "/debug/pprof", from: there, open: 403, closed: 401},
	{name: "profile, escaped", method: "GET", path: "/%64ebug/pprof/", from: there, open: 403, closed: 401},
	{name: "profile from a strange network", method: "GET", path: "/debug/pprof/", from: "@", open: 403, closed: 401},
}

func (a asking) of(t *testing.T, token func() string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(a.method, a.path, strings.NewReader("x"))
	r.RemoteAddr, r.Host = here, "localhost:4000"
	if a.from != "" {
		r.RemoteAddr = a.from
	}
	if a.host != "" {
		r.Host = a.host
	}
	if name, value, ok := strings.Cut(a.header, ": "); ok {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	httpapi.RequireToken(token, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	return w
}

func TestRequireToken(t *testing.T) {
	for _, a := range askings {
		t.Run(a.name, func(t *testing.T) {
			if got := a.of(t, nil).Code; got != a.open {
				t.Errorf("without a token: %d, want %d", got, a.open)
			}
			if got := a.of(t, func() string { return right }).Code; got != a.closed {
				t.Errorf("with a token: %d, want %d", got, a.closed)
			}
		})
	}
}

// TestRequireTokenSaysWhy in the words of RFC 9457 and RFC 6750.
func TestRequireTokenSaysWhy(t *testing.T) {
	write := asking{method: "PUT", path: "/api/store/k"}
	tests := []struct {
		asking          asking
		challenge, want string
	}{
		{write, `Bearer realm="torc"`, "--token-file"},
		{asking{method: "PUT", path: "/api/store/k", header: "Authorization: Bearer x"}, `Bearer realm="torc", error="invalid_token"`, "not the one"},
	}
	for _, test := range tests {
		answer := test.asking.of(t, func() string { return right })
		var p httpapi.Problem
		if err := json.NewDecoder(answer.Body).Decode(&p); err != nil {
			t.Fatal(err)
		}
		if got := answer.Header().Get("WWW-Authenticate"); got != test.challenge {
			t.Errorf("WWW-Authenticate: %s", got)
		}
		if answer.Header().Get("Content-Type") != "application/problem+json" || p.Status != 401 || !strings.Contains(p.Detail, test.want) {
			t.Errorf("got %+v", p)
		}
		if strings.Contains(p.Detail, right) {
			t.Error("it gives the token away")
		}
	}
}

// TestRequireTokenAsItIsNow: a token may change, and one that is lost is nobody's.
func TestRequireTokenAsItIsNow(t *testing.T) {
	now := right
	write := asking{method: "PUT", path: "/api/store/k", header: "Authorization: Bearer " + right}
	for token, want := range map[string]int{right: 200, "another": 401, "": 401} {
		now = token
		if got := write.of(t, func() string { return now }).Code; got != want {
			t.Errorf("token %q: %d, want %d", token, got, want)
		}
	}
	empty := asking{method: "PUT", path: "/api/store/k", header: "Authorization: Bearer "}
	if got := empty.of(t, func() string { return "" }).Code; got != 401 {
		t.Errorf("an empty token for an empty token: %d", got)
	}
}
