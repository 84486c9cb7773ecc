package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/gateway"
	"github.com/torc-io/torc/internal/puppet"
	"github.com/torc-io/torc/kv"
)

// site is a node with a puppet and a key/value service behind a gateway.
type site struct {
	node   *torc.Node
	puppet *puppet.Service
	kv     *kv.Service

	gateway *gateway.Gateway
	url     string
}

// requestTimeout is what the node of a site gives a request that names no deadline.
const requestTimeout = 40 * time.Second

func startSite(t testing.TB) *site {
	t.Helper()
	s := &site{puppet: puppet.New(torc.Quorum{N: 3}), kv: kv.New(torc.Quorum{N: 3})}
	var err error
	if s.node, err = torc.Start(context.Background(), torc.Config{Name: "solo", RequestTimeout: requestTimeout}, s.puppet, s.kv); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.node.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	s.gateway = gateway.New(gateway.Config{})
	s.gateway.Attach(s.node)
	s.url = listen(t, s.gateway)
	return s
}

// listen serves HTTP/1 and, without TLS, HTTP/2; it returns the URL.
func listen(t testing.TB, h http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// h2c returns an HTTP client that speaks HTTP/2 without TLS.
func h2c(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// said is what curl prints: the status and the JSON of an answer.
type said struct {
	status int
	header http.Header
	closes bool // the connection, afterwards
	body   map[string]any
}

// post does what curl does with -d.
func post(t testing.TB, url, body string, headers ...string) said {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/torc.v1.CommandService/Execute", bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer := said{status: response.StatusCode, header: response.Header, closes: response.Close}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &answer.body); err != nil {
		t.Fatalf("%d %s: %v", response.StatusCode, text, err)
	}
	return answer
}

// debug returns the detail of a type from an error in JSON.
func (s said) debug(name string) map[string]any {
	details, _ := s.body["details"].([]any)
	for _, d := range details {
		if d := d.(map[string]any); d["type"] == name {
			found, _ := d["debug"].(map[string]any)
			return found
		}
	}
	return nil
}

// text returns a value as JSON on one line, its keys sorted.
func text(t testing.TB, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}
