package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/torc-io/torc/kv"
)

// TestLargestValue: one byte more is refused.
func TestLargestValue(t *testing.T) {
	s := startSolo(t)
	value := strings.Repeat("v", kv.MaxValueBytes)
	wantStatus(t, http.StatusOK, s.ask(http.MethodPut, "/api/store/k", value))
	if got := wantStatus(t, http.StatusOK, s.ask(http.MethodGet, "/api/store/k", "")); got != value {
		t.Errorf("got %d bytes back", len(got))
	}
	wantStatus(t, http.StatusRequestEntityTooLarge, s.ask(http.MethodPut, "/api/store/k", value+"v"))
}

// TestLargeBodies: the answer arrives however the client sends, and the node
// serves on.
func TestLargeBodies(t *testing.T) {
	base := startSolo(t).serve()
	body := bytes.Repeat([]byte("v"), 2<<20)
	for name, change := range map[string]func(*http.Request){
		"as it is":             func(*http.Request) {},
		"in chunks":            func(r *http.Request) { r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), -1 },
		"after leave to do so": func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
	} {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequest(http.MethodPut, base+"/api/store/k", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			change(request)
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			var p Problem
			if err := json.NewDecoder(response.Body).Decode(&p); err != nil || response.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s %v %+v", response.Status, err, p)
			}
		})
	}
	if status, _ := say(t, http.MethodGet, base+"/api/store/k", ""); status != http.StatusNotFound {
		t.Errorf("afterwards: %d", status)
	}
}

// TestBodyThatBreaksOff is not stored.
func TestBodyThatBreaksOff(t *testing.T) {
	s := startSolo(t)
	request, err := http.NewRequest(http.MethodPut, s.serve()+"/api/store/k", io.MultiReader(strings.NewReader("half"), brokenReader{}))
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		response.Body.Close()
		t.Errorf("answered %s", response.Status)
	}
	wantStatus(t, http.StatusNotFound, s.ask(http.MethodGet, "/api/store/k", ""))
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestHugeHeader is refused, and a long key is not one.
func TestHugeHeader(t *testing.T) {
	base := startSolo(t).serve()
	request, err := http.NewRequest(http.MethodGet, base+"/livez", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Long", strings.Repeat("x", 1<<20))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 1 MiB: %s", response.Status)
	}
	long := base + "/api/store/" + strings.Repeat("%FF", kv.MaxKeyBytes)
	if status, answer := say(t, http.MethodPut, long, "x"); status != http.StatusOK {
		t.Errorf("the longest key: %d %s", status, answer)
	}
	if status, _ := say(t, http.MethodPut, long+"%FF", "x"); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a longer key: %d", status)
	}
}

// TestConditionalGet: who has the value is not sent it again.
func TestConditionalGet(t *testing.T) {
	s := startSolo(t)
	var first, second Written
	for _, written := range []*Written{&first, &second} {
		text := wantStatus(t, http.StatusOK, s.ask(http.MethodPut, "/api/store/k", "x"))
		if err := json.Unmarshal([]byte(text), written); err != nil {
			t.Fatal(err)
		}
	}
	for tag, want := range map[string]int{first.Version: http.StatusOK, second.Version: http.StatusNotModified} {
		request, err := http.NewRequest(http.MethodGet, s.serve()+"/api/store/k", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("If-None-Match", `"`+tag+`"`)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %s, want %d", tag, response.Status, want)
		}
	}
}

// TestRingInJSON: a ring can be made of it again.
func TestRingInJSON(t *testing.T) {
	s := startSolo(t)
	var answer Ring
	if err := json.Unmarshal([]byte(wantStatus(t, http.StatusOK, s.ask(http.MethodGet, "/api/ring", ""))), &answer); err != nil {
		t.Fatal(err)
	}
	r, err := answer.Ring()
	if err != nil {
		t.Fatal(err)
	}
	if r.String() != s.node.Ring().String() {
		t.Errorf("got %v, want %v", r, s.node.Ring())
	}
	answer.Owners[7] = "stranger"
	if _, err := answer.Ring(); err == nil {
		t.Error("a ring with an unknown owner is taken")
	}
}
