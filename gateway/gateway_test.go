package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/gateway"
	kvpb "github.com/torc-io/torc/proto/torc/kv/v1"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
	"github.com/torc-io/torc/proto/torc/v1/torcpbconnect"
)

// The requests of the documentation; "bXlfa2V5" is my_key.
const (
	fetchMyKey = `{"service": "kv", "command": "Fetch", "message": {"key": "bXlfa2V5"}, "r": 2}`
	storeMyKey = `{"service": "kv", "command": "Store", "w": 3, "message": {"key": "bXlfa2V5",
		"object": {"value": "eyJhIjoiYiJ9", "contentType": "application/json", "version": {"wall": "1", "writer": "curl"}}}}`
)

func TestCurl(t *testing.T) {
	s := startSite(t)
	stored := post(t, s.url, storeMyKey)
	if stored.status != http.StatusOK {
		t.Fatalf("%d %v", stored.status, stored.body)
	}
	if got := text(t, stored.body["reply"]); got != `{"@type":"type.googleapis.com/torc.kv.v1.Version","wall":"1","writer":"curl"}` {
		t.Errorf("reply %s", got)
	}
	receipt := stored.body["receipt"].(map[string]any)
	if receipt["n"] != 3.0 || receipt["need"] != 3.0 || len(receipt["acks"].([]any)) != 3 {
		t.Errorf("receipt %v", receipt)
	}
	for name, body := range map[string]string{
		"by name":          fetchMyKey,
		"by type":          `{"service": "kv", "message": {"@type": "type.googleapis.com/torc.kv.v1.Fetch", "key": "bXlfa2V5"}}`,
		"by both":          `{"service": "kv", "command": "Fetch", "message": {"@type": "/torc.kv.v1.Fetch", "key": "bXlfa2V5"}}`,
		"in another order": `{"r": 1, "message": {"key": "bXlfa2V5"}, "command": "Fetch", "service": "kv"}`,
		"with a charset":   fetchMyKey,
	} {
		var headers []string
		if name == "with a charset" {
			headers = []string{"Content-Type", "application/json; charset=utf-8"}
		}
		fetched := post(t, s.url, body, headers...)
		if fetched.status != http.StatusOK || fetched.body["reply"].(map[string]any)["value"] != "eyJhIjoiYiJ9" {
			t.Errorf("%s: %d %v", name, fetched.status, fetched.body)
		}
	}
}

// TestEveryReply: with all, each replica speaks for itself.
func TestEveryReply(t *testing.T) {
	s := startSite(t)
	answer := post(t, s.url, `{"service": "puppet", "command": "Look", "all": true, "message": {"key": "aw=="}}`)
	replies, _ := answer.body["replies"].([]any)
	if answer.status != http.StatusOK || answer.body["reply"] != nil || len(replies) != 3 {
		t.Fatalf("%d %v", answer.status, answer.body)
	}
	for _, r := range replies {
		if r := r.(map[string]any); r["error"] != "not found" || text(t, r["reasons"]) != `["REASON_NOT_FOUND"]` {
			t.Errorf("reply %v", r)
		}
	}
	one := post(t, s.url, `{"service": "puppet", "command": "Act", "n": 1, "partition": 7, "message": {"key": "aw=="}}`)
	acks := one.body["receipt"].(map[string]any)["acks"]
	if got := text(t, acks); got != `[{"node":"solo","partition":7}]` {
		t.Errorf("%d %v", one.status, one.body)
	}
}

// TestErrors has every row of the table of codes, as curl sees it.
func TestErrors(t *testing.T) {
	s := startSite(t)
	act := func(rest string) string {
		return `{"service": "puppet", "command": "Act", "message": {"key": "aw==", ` + rest
	}
	for name, c := range map[string]struct {
		body    string
		status  int
		code    string
		reason  string
		outcome string
		says    string
	}{
		"an empty key":       {`{"service": "kv", "command": "Fetch", "message": {}}`, 400, "invalid_argument", "INVALID", "FAILED", "the key is empty"},
		"no message":         {`{"service": "kv", "command": "Fetch"}`, 400, "invalid_argument", "INVALID", "FAILED", "the key is empty"},
		"no command":         {`{"service": "kv"}`, 400, "invalid_argument", "INVALID", "FAILED", "names no command; kv has Fetch, Store"},
		"w above n":          {act(`"verb": "x"}, "w": 4}`), 400, "invalid_argument", "QUORUM", "FAILED", "w=4 is outside 1…3"},
		"w below zero":       {act(`"verb": "x"}, "w": -4}`), 400, "invalid_argument", "QUORUM", "FAILED", "w=-4 is outside 1…3"},
		"n zero":             {act(`"verb": "x"}, "n": 0}`), 400, "invalid_argument", "QUORUM", "FAILED", "n=0 is outside"},
		"more primaries":     {act(`"verb": "x"}, "primaries": 4}`), 400, "invalid_argument", "QUORUM", "FAILED", "pw=4"},
		"more nodes":         {act(`"verb": "x"}, "nodes": 4}`), 400, "invalid_argument", "QUORUM", "FAILED", "nodes=4"},
		"a partition beyond": {act(`"verb": "x"}, "partition": 120}`), 400, "invalid_argument", "INVALID", "FAILED", "partition 120 of a ring of 120"},
		"invalid":            {act(`"verb": "invalid"}}`), 400, "invalid_argument", "INVALID", "UNKNOWN", "invalid command"},
		"not found":          {`{"service": "puppet", "command": "Look", "message": {"key": "bm8="}}`, 404, "not_found", "NOT_FOUND", "FAILED", "not found"},
		"failed":             {act(`"verb": "fail"}}`), 500, "unknown", "FAILED", "UNKNOWN", "as told"},
		"panic":              {act(`"verb": "panic"}}`), 500, "internal", "PANIC", "UNKNOWN", "handler panicked"},
		"too few nodes":      {act(`"verb": "x"}, "nodes": 2}`), 503, "unavailable", "", "FAILED", "distinct nodes"},
		"unknown service":    {`{"service": "cv", "command": "Fetch", "message": {"key": "aw=="}}`, 501, "unimplemented", "UNKNOWN_SERVICE", "FAILED", `unknown service "cv": this node runs kv, puppet`},
		"no service":         {`{}`, 501, "unimplemented", "UNKNOWN_SERVICE", "FAILED", "this node runs kv, puppet"},
		"unknown command":    {`{"service": "kv", "command": "Fetsch", "message": {"key": "aw=="}}`, 501, "unimplemented", "UNKNOWN_COMMAND", "FAILED", `unknown command "Fetsch": kv has Fetch, Store`},
		"of another service": {`{"service": "kv", "message": {"@type": "x/torc.testing.v1.Act"}}`, 501, "unimplemented", "UNKNOWN_COMMAND", "FAILED", "kv has Fetch, Store"},
		"of another package": {`{"service": "kv", "message": {"@type": "x/torc.testing.v1.Fetch"}}`, 501, "unimplemented", "UNKNOWN_COMMAND", "FAILED", "Fetch of kv is a torc.kv.v1.Fetch"},
		"linked, not ours":   {`{"service": "kv", "message": {"@type": "x/torc.transport.v1.Command", "method": 7}}`, 501, "unimplemented", "UNKNOWN_COMMAND", "FAILED", `unknown command "Command"`},
		"name and type":      {`{"service": "kv", "command": "Store", "message": {"@type": "x/torc.kv.v1.Fetch", "key": "aw=="}}`, 501, "unimplemented", "UNKNOWN_COMMAND", "FAILED", "Store of kv is a torc.kv.v1.Store"},
	} {
		t.Run(name, func(t *testing.T) {
			got := post(t, s.url, c.body)
			failure := got.debug("torc.v1.Failure")
			if got.status != c.status || got.body["code"] != c.code || failure["outcome"] != "OUTCOME_"+c.outcome {
				t.Errorf("got %d %v", got.status, got.body)
			}
			if message, _ := got.body["message"].(string); !strings.Contains(message, c.says) {
				t.Errorf("it says %q, want %q", message, c.says)
			}
			if c.reason != "" && !strings.Contains(text(t, failure["reasons"]), `"REASON_`+c.reason+`"`) {
				t.Errorf("reasons %v, want %s", failure["reasons"], c.reason)
			}
		})
	}
}

// TestQuorumDetail: an error says what fell short, and what each replica had
// against it.
func TestQuorumDetail(t *testing.T) {
	s := startSite(t)
	few := post(t, s.url, `{"service": "puppet", "command": "Act", "nodes": 2, "message": {"key": "aw==", "verb": "x"}}`)
	if got := text(t, few.debug("torc.v1.QuorumFailure")); few.header.Get("Retry-After") != "1" ||
		got != `{"kind":"KIND_WRITE","needed":2,"of":1,"outcome":"OUTCOME_FAILED","requirement":"REQUIREMENT_NODES"}` {
		t.Errorf("got %s with %v", got, few.header)
	}
	late := post(t, s.url, `{"service": "puppet", "command": "Act", "message": {"key": "aw==", "verb": "hang"}}`, "Connect-Timeout-Ms", "1000")
	detail := late.debug("torc.v1.QuorumFailure")
	causes, _ := detail["causes"].([]any)
	if late.status != http.StatusGatewayTimeout || detail["outcome"] != "OUTCOME_UNKNOWN" || len(causes) != 3 {
		t.Fatalf("got %d %v", late.status, late.body)
	}
	if cause := causes[0].(map[string]any); cause["node"] != "solo" || cause["text"] == "" || cause["reasons"] == nil {
		t.Errorf("cause %v", cause)
	}
	if late.debug("torc.v1.Receipt")["n"] != 3.0 {
		t.Errorf("no receipt: %v", late.body)
	}
}

// TestMalformed: what cannot be decoded is the sender's fault, and costs nothing.
func TestMalformed(t *testing.T) {
	s := startSite(t)
	for _, body := range []string{
		"", "x", "null", "[]", `"x"`, "{", `{"service"`, `{"service": 7}`, `{"message": 7, "service": "kv", "command": "Fetch"}`,
		`{"service": "kv", "command": "Fetch", "message": []}`,
		`{"service": "kv", "command": "Fetch", "message": {"key": "%%"}}`,
		`{"service": "kv", "command": "Fetch", "message": {"kee": "aw=="}}`,
		`{"service": "kv", "command": "Fetch", "message": {"key": "aw=="}, "rr": 2}`,
		`{"service": "kv", "command": "Fetch", "message": {"key": "aw=="}, "message": {"key": "aw=="}}`,
		`{"service": "kv", "command": "Fetch", "message": {"key": "aw=="}} {}`,
		`{"service": "kv", "command": "Fetch", "message": {"key": "aw==", "key": "aw=="}}`,
		`{"service": "kv", "command": "Fetch", "message": {"@type": 7}}`,
		`{"service": "kv", "command": "Fetch", "r": "many", "message": {"key": "aw=="}}`,
		`{"service": "kv", "command": "Fetch", "message": ` + strings.Repeat(`{"a":`, 20_000),
	} {
		if got := post(t, s.url, body); got.status != http.StatusBadRequest || got.body["code"] != "invalid_argument" {
			t.Errorf("%.80s: %d %v", body, got.status, got.body)
		}
	}
	client := torcpbconnect.NewCommandServiceClient(http.DefaultClient, s.url)
	_, err := client.Execute(t.Context(), &torcpb.ExecuteRequest{
		Service: "kv", Command: "Fetch", Message: &anypb.Any{Value: []byte{0xff}},
	})
	if connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), "the message is no torc.kv.v1.Fetch") {
		t.Errorf("binary: %v", err)
	}
}

func TestSizeLimits(t *testing.T) {
	s := startSite(t)
	client := torcpbconnect.NewCommandServiceClient(http.DefaultClient, s.url)
	act := func(client torcpbconnect.CommandServiceClient, size int) error {
		message, err := anypb.New(&testingpb.Act{Key: []byte("k"), Value: make([]byte, size)})
		if err != nil {
			t.Fatal(err)
		}
		_, err = client.Execute(t.Context(), &torcpb.ExecuteRequest{Service: "puppet", Message: message})
		return err
	}
	asJSON := torcpbconnect.NewCommandServiceClient(http.DefaultClient, s.url, connect.WithProtoJSON())
	zipped := torcpbconnect.NewCommandServiceClient(http.DefaultClient, s.url, connect.WithSendGzip())
	const almost = torc.MaxMessageBytes - 100
	for name, c := range map[string]torcpbconnect.CommandServiceClient{"binary": client, "json": asJSON, "gzip": zipped} {
		if err := act(c, almost); err != nil {
			t.Errorf("%s: the largest command: %v", name, err)
		}
		if err := act(c, torc.MaxMessageBytes); connect.CodeOf(err) != connect.CodeInvalidArgument || !strings.Contains(err.Error(), "the most is 524288") {
			t.Errorf("%s: a larger command: %.200v", name, err)
		}
		if err := act(c, 2*torc.MaxMessageBytes); connect.CodeOf(err) != connect.CodeResourceExhausted {
			t.Errorf("%s: a larger body: %.200v", name, err)
		}
	}
}

// TestProtocols executes a write and a read through each of them, by the
// generated client.
func TestProtocols(t *testing.T) {
	s := startSite(t)
	for name, option := range map[string]connect.ClientOption{
		"connect":   connect.WithClientOptions(),
		"json":      connect.WithProtoJSON(),
		"grpc":      connect.WithGRPC(),
		"grpc-json": connect.WithClientOptions(connect.WithGRPC(), connect.WithProtoJSON()),
		"grpc-web":  connect.WithGRPCWeb(),
	} {
		t.Run(name, func(t *testing.T) {
			client := torcpbconnect.NewCommandServiceClient(h2c(t), s.url, option)
			key, version := []byte(name), &kvpb.Version{Wall: 1, Writer: "test"}
			store, err := anypb.New(&kvpb.Store{Key: key, Object: &kvpb.Object{Value: []byte("v"), Version: version}})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Execute(t.Context(), &torcpb.ExecuteRequest{Service: "kv", Message: store, W: proto.Int32(3)}); err != nil {
				t.Fatal(err)
			}
			fetch, err := anypb.New(&kvpb.Fetch{Key: key})
			if err != nil {
				t.Fatal(err)
			}
			answer, err := client.Execute(t.Context(), &torcpb.ExecuteRequest{Service: "kv", Message: fetch, R: proto.Int32(1), N: proto.Int32(2)})
			if err != nil {
				t.Fatal(err)
			}
			var object kvpb.Object
			if err := answer.GetReply().UnmarshalTo(&object); err != nil || string(object.GetValue()) != "v" || answer.GetReceipt().GetN() != 2 {
				t.Errorf("got %v, %v", answer, err)
			}
			_, err = client.Execute(t.Context(), &torcpb.ExecuteRequest{Service: "no"})
			coded, ok := errors.AsType[*connect.Error](err)
			if !ok || coded.Code() != connect.CodeUnimplemented || len(coded.Details()) != 1 {
				t.Errorf("error %v", err)
			}
		})
	}
}

// dial connects as any program with gRPC would.
func dial(t *testing.T, url string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestPlainGRPC(t *testing.T) {
	s := startSite(t)
	conn := dial(t, s.url)
	invoke := func(ctx context.Context, m proto.Message) (*torcpb.ExecuteResponse, error) {
		message, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		var answer torcpb.ExecuteResponse
		err = conn.Invoke(ctx, executeProcedure, &torcpb.ExecuteRequest{Service: "puppet", Message: message}, &answer)
		return &answer, err
	}
	answer, err := invoke(t.Context(), &testingpb.Act{Key: []byte("k"), Value: []byte("v")})
	var seen testingpb.Seen
	if err != nil || answer.GetReply().UnmarshalTo(&seen) != nil || string(seen.GetValue()) != "v" {
		t.Fatalf("got %v, %v", answer, err)
	}
	_, err = invoke(t.Context(), &testingpb.Act{Key: []byte("k"), Verb: "fail"})
	failed := status.Convert(err)
	if failed.Code() != codes.Unknown || len(failed.Details()) != 3 {
		t.Fatalf("error %v with %v", err, failed.Details())
	}
	if short, ok := failed.Details()[1].(*torcpb.QuorumFailure); !ok || short.GetNeeded() != 2 || len(short.GetCauses()) < 2 {
		t.Errorf("detail %v", failed.Details()[1])
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer, err = invoke(ctx, &testingpb.Look{Key: []byte("k"), Verb: "deadline"})
	if err != nil {
		t.Fatal(err)
	}
	checkTimeLeft(t, answer, time.Minute)
}

const executeProcedure = torcpbconnect.CommandServiceExecuteProcedure

// checkTimeLeft fails if the handler did not have most of a deadline before it. A
// command is on its way for no more than what is missing, on any machine.
func checkTimeLeft(t *testing.T, answer *torcpb.ExecuteResponse, most time.Duration) {
	t.Helper()
	var seen testingpb.Seen
	if err := answer.GetReply().UnmarshalTo(&seen); err != nil {
		t.Fatal(err)
	}
	left, err := time.ParseDuration(string(seen.GetValue()))
	if err != nil || left > most || left < most-onItsWay {
		t.Errorf("%v left, %v; want just below %v", left, err, most)
	}
}

// onItsWay is longer than any command takes, and short enough to tell deadlines apart.
const onItsWay = 15 * time.Second

func TestDeadlines(t *testing.T) {
	s := startSite(t)
	client := torcpbconnect.NewCommandServiceClient(http.DefaultClient, s.url)
	look, err := anypb.New(&testingpb.Look{Key: []byte("k"), Verb: "deadline"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ asked, had time.Duration }{
		{0, requestTimeout},
		{20 * time.Second, 20 * time.Second},
		{time.Hour, gateway.MaxTimeout},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if c.asked > 0 {
			ctx, cancel = context.WithTimeout(t.Context(), c.asked)
		}
		answer, err := client.Execute(ctx, &torcpb.ExecuteRequest{Service: "puppet", Message: look})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		checkTimeLeft(t, answer, c.had)
	}
	if got := post(t, s.url, fetchMyKey, "Connect-Timeout-Ms", "soon"); got.status != http.StatusBadRequest {
		t.Errorf("a timeout that is none: %d %v", got.status, got.body)
	}
}

// TestStarting: before it has a node, the gateway says so in any protocol, and
// that nothing was executed.
func TestStarting(t *testing.T) {
	url := listen(t, gateway.New(gateway.Config{}))
	got := post(t, url, fetchMyKey)
	failure := got.debug("torc.v1.Failure")
	if got.status != http.StatusServiceUnavailable || failure["outcome"] != "OUTCOME_FAILED" || !strings.Contains(fmt.Sprint(got.body["message"]), "starting") {
		t.Errorf("json: %d %v", got.status, got.body)
	}
	err := dial(t, url).Invoke(t.Context(), executeProcedure, &torcpb.ExecuteRequest{}, &torcpb.ExecuteResponse{})
	if status.Code(err) != codes.Unavailable || len(status.Convert(err).Details()) != 1 {
		t.Errorf("grpc: %v", err)
	}
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a browser: %d", response.StatusCode)
	}
}

// TestStopping: a node that takes no requests any more says so.
func TestStopping(t *testing.T) {
	s := startSite(t)
	if err := s.node.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := post(t, s.url, fetchMyKey)
	if got.status != http.StatusServiceUnavailable || text(t, got.debug("torc.v1.Failure")["reasons"]) != `["REASON_STOPPING"]` {
		t.Errorf("%d %v", got.status, got.body)
	}
}

// TestDraining: new requests are sent elsewhere, and those under way finish.
func TestDraining(t *testing.T) {
	s := startSite(t)
	done := make(chan int, 1)
	go func() {
		defer close(done)
		got := post(t, s.url, `{"service": "puppet", "command": "Act", "message": {"key": "aw==", "verb": "wait"}}`)
		done <- got.status
	}()
	for s.puppet.Executed.Load() == 0 {
		runtime.Gosched()
	}
	s.gateway.Drain()
	got := post(t, s.url, fetchMyKey)
	if got.status != http.StatusServiceUnavailable || got.debug("torc.v1.Failure")["outcome"] != "OUTCOME_FAILED" || !got.closes {
		t.Errorf("while draining: %d %v %v", got.status, got.closes, got.body)
	}
	close(s.puppet.Gate)
	if got := <-done; got != http.StatusOK {
		t.Errorf("the request that was under way: %d", got)
	}
}

var _ proto.Message = (*transportpb.Command)(nil) // linked into the program, and no command
