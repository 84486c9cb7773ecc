package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/ring"
)

// TestLeaveCanBeLeftAlone: who stops waiting is told that the leave goes on.
func TestLeaveCanBeLeftAlone(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	begun := false
	members := httpapi.Members{Members: []httpapi.MemberShare{{Member: httpapi.Member{Name: "a", Status: ring.Leaving}, Partitions: 3}}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any = members
		switch {
		case r.Method == http.MethodPost:
			answer, begun = httpapi.Leaving{Node: "a", Partitions: 4}, true
		case begun:
			stop()
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer server.Close()
	var out, complaint bytes.Buffer
	code := run(ctx, []string{"leave", "--http", server.URL}, streams{strings.NewReader(""), &out, &complaint})
	if code != exitFailed || !strings.Contains(complaint.String(), "a goes on leaving") {
		t.Errorf("exit code %d: %s%s", code, &out, &complaint)
	}
}

// TestLeaveSaysWhatItWaitsFor: once for each change, and not while something moves.
func TestLeaveSaysWhatItWaitsFor(t *testing.T) {
	waits := func(reason string) httpapi.PendingTransfer {
		return httpapi.PendingTransfer{From: "a", Phase: waiting, Reason: reason}
	}
	runs := httpapi.PendingTransfer{From: "a", Phase: "copying", Bytes: 1}
	full, away := waits("receiver at limit 4/4"), waits("d cannot be reached")
	began := time.Now()
	var s stall
	for _, step := range []struct {
		second  int
		left    int
		sending []httpapi.PendingTransfer
		want    string
	}{
		{0, 9, []httpapi.PendingTransfer{full}, ""},
		{2, 9, []httpapi.PendingTransfer{full}, ""},
		{3, 9, []httpapi.PendingTransfer{full, away, full}, "2 transfers: receiver at limit 4/4; 1 transfer: d cannot be reached"},
		{4, 9, []httpapi.PendingTransfer{full, away, full}, ""},
		{5, 9, []httpapi.PendingTransfer{away}, "1 transfer: d cannot be reached"},
		{6, 8, []httpapi.PendingTransfer{full}, ""},
		{9, 8, []httpapi.PendingTransfer{full, runs}, ""},
		{11, 8, []httpapi.PendingTransfer{full, runs}, ""},
		{12, 8, []httpapi.PendingTransfer{full, runs}, "1 transfer: receiver at limit 4/4"},
		{19, 8, nil, ""},
		{29, 8, nil, ""},
	} {
		if got := s.look(step.left, step.sending, began.Add(time.Duration(step.second)*time.Second)); got != step.want {
			t.Errorf("after %d s it says %q, want %q", step.second, got, step.want)
		}
	}
}

// TestLeaveIsShown: on a terminal what runs, and reasons above it.
func TestLeaveIsShown(t *testing.T) {
	var out, complaint bytes.Buffer
	d := departure{operator: &operator{streams: streams{out: &out, err: &complaint}}, node: "a", total: 4}
	b := bar{w: &out, live: true}
	waits := httpapi.PendingTransfer{Phase: waiting, Reason: "busy", TotalItems: 100}
	d.stall = stall{left: 1, since: time.Now().Add(-time.Minute)}
	d.tell(1, []httpapi.PendingTransfer{waits, {Phase: "copying", Items: 3, TotalItems: 9, Rate: 1500}}, b)
	b.end()
	if want := "a waits: 1 transfer: busy\n"; complaint.String() != want {
		t.Errorf("said %q, want %q", &complaint, want)
	}
	want := clearLine + clearLine + noWrap + "[" + strings.Repeat("#", 15) + "....." + "] 3 of 4 partitions handed off, 3 of 9 items, 1.50 kB/s in all" + wrap + "\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", &out, want)
	}
	out.Reset()
	b.live = false
	b.draw(1, 2, "")
	b.clear()
	b.end()
	if out.Len() > 0 {
		t.Errorf("%q, where nobody looks", &out)
	}
}
