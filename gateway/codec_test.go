package gateway

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/failure"
	"github.com/torc-io/torc/internal/puppet"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
	"github.com/torc-io/torc/proto/torc/v1/torcpbconnect"
)

// methodsOf returns the commands of services, by a node that has them.
func methodsOf(t testing.TB, services ...torc.Registration) []torc.Method {
	t.Helper()
	node, err := torc.Start(context.Background(), torc.Config{Name: "solo"}, services...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := node.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	return node.Methods()
}

// FuzzJSON: no request panics, and what protobuf's own decoder takes with the
// types of the catalog comes out the same.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `{"service": "puppet", "command": "Act", "message": {"key": "aw=="}}`,
		`{"service": "puppet", "command": "Act", "message": {}, "w": 2}`,
		`{"message": {"@type": "x/torc.testing.v1.Look", "key": "aw=="}, "service": "puppet"}`,
		`{"message": {"@type": "x/torc.kv.v1.Fetch", "key": "aw=="}, "service": "kv"}`,
		`{"message": {"@type": ""}}`, `{"message": null}`, `{"message": {}, "message": {}}`, `{"messag\u0065": { }}`,
	} {
		f.Add([]byte(seed))
	}
	codec := &jsonCodec{"json", newCatalog(methodsOf(f, puppet.New(torc.Quorum{N: 1})))}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want torcpb.ExecuteRequest
		err := codec.Unmarshal(data, &got)
		if (protojson.UnmarshalOptions{Resolver: codec.catalog.types}).Unmarshal(data, &want) != nil {
			return
		}
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		if want.GetMessage().GetTypeUrl() != "" && !proto.Equal(&got, &want) {
			t.Errorf("got %v, want %v", &got, &want)
		}
	})
}

// bomb is a node that panics.
type bomb struct{}

func (bomb) Send(context.Context, torc.Request) (torc.Response, error) { panic("secret") }

// TestPanic: a defect costs one request, its value goes to the log alone, and
// what became of the command is unknown.
func TestPanic(t *testing.T) {
	var log bytes.Buffer
	g := New(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	g.attach(bomb{}, methodsOf(t, puppet.New(torc.Quorum{N: 1})))
	server := httptest.NewServer(g)
	defer server.Close()
	client := torcpbconnect.NewCommandServiceClient(http.DefaultClient, server.URL)
	_, err := client.Execute(t.Context(), &torcpb.ExecuteRequest{Service: "puppet", Command: "Act"})
	_, outcome := failure.Decode(err)
	if connect.CodeOf(err) != connect.CodeInternal || outcome != torcpb.Outcome_OUTCOME_UNKNOWN {
		t.Errorf("got %v with outcome %v", err, outcome)
	}
	id := strings.Fields(err.Error())
	if strings.Contains(err.Error(), "secret") || !strings.Contains(log.String(), "secret") || !strings.Contains(log.String(), id[len(id)-1]) {
		t.Errorf("told %v, logged %s", err, log.String())
	}
}

// liar answers with what cannot be encoded.
type liar struct{}

func (liar) Send(context.Context, torc.Request) (torc.Response, error) {
	return torc.Response{Value: &torcpb.Ack{Node: "\xff"}}, nil
}

// TestReplyThatCannotBeEncoded: the command was executed, so its outcome is not
// that it failed.
func TestReplyThatCannotBeEncoded(t *testing.T) {
	methods := methodsOf(t, puppet.New(torc.Quorum{N: 1}))
	service := &commandService{liar{}, newCatalog(methods)}
	_, err := service.Execute(t.Context(), &torcpb.ExecuteRequest{Service: "puppet", Command: "Act"})
	if _, outcome := failure.Decode(err); err == nil || outcome != torcpb.Outcome_OUTCOME_UNKNOWN {
		t.Errorf("got %v with outcome %v", err, outcome)
	}
	if errors.Is(err, torc.ErrInvalid) {
		t.Errorf("it was not the caller's fault: %v", err)
	}
}
