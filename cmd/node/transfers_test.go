package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/ring"
)

// cannedNode answers as a node would that has these transfers and members.
func cannedNode(t *testing.T, transfers *httpapi.Transfers, members *httpapi.Members) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any
		switch r.URL.Path {
		case "/api/members":
			answer = members
		case limitPath:
			answer = httpapi.NodeLimits{Node: transfers.Via, TransferLimits: httpapi.TransferLimits{Rate: 1000}}
		default:
			answer = transfers
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// cannedCluster is the members a and b, whose transfers may be set, c, who does not
// answer, and e, who is given up. It returns where a is.
func cannedCluster(t *testing.T) (address string, told map[ring.NodeName]*httpapi.Transfers) {
	t.Helper()
	members := httpapi.Members{Via: "a"}
	told = map[ring.NodeName]*httpapi.Transfers{"a": {Epoch: 7, Via: "a"}, "b": {Epoch: 6, Via: "b"}}
	address = cannedNode(t, told["a"], &members)
	members.Members = []httpapi.MemberShare{
		{Member: httpapi.Member{Name: "a", Status: ring.Valid}, HTTP: address},
		{Member: httpapi.Member{Name: "b", Status: ring.Valid}, HTTP: cannedNode(t, told["b"], &members)},
		{Member: httpapi.Member{Name: "c", Status: ring.Valid}, HTTP: "127.0.0.1:1"},
		{Member: httpapi.Member{Name: "e", Status: ring.Down}},
	}
	return address, told
}

// TestTransfersAreGathered: of each transfer what its sender says, or its receiver,
// or the ring; and of all members, since most transfers are in no ring.
func TestTransfersAreGathered(t *testing.T) {
	since := time.Now().Add(-2 * time.Minute)
	owned := func(p ring.Partition, from, to ring.NodeName) httpapi.PendingTransfer {
		return httpapi.PendingTransfer{Type: "ownership", Partition: p, Source: p, From: from, To: to, Phase: "waiting"}
	}
	a, told := cannedCluster(t)
	busy, copying := owned(1, "a", "d"), owned(2, "b", "a")
	busy.Reason, busy.Since = "sender at limit 4/4", since
	copying.Phase, copying.Since, copying.Items, copying.TotalItems = "copying", since, 40, 100
	copying.Bytes, copying.Rate, copying.ETASeconds = 12_300, 2000, 6
	taken := owned(4, "c", "b")
	taken.Phase, taken.Items, taken.TotalItems = "through", 100, 90
	hint := owned(9, "b", "c")
	hint.Type, hint.Reason = "hinted", "c cannot be reached"
	repair := httpapi.PendingTransfer{Type: "repair", Partition: 17, Source: 18, From: "b", To: "a", Phase: "rounds", Rate: 1e6}
	outdated := repair
	outdated.Phase = "copying"
	told["a"].Transfers = []httpapi.PendingTransfer{busy, owned(2, "b", "a"), owned(3, "c", "d"), owned(4, "c", "b"), outdated}
	told["b"].Transfers = []httpapi.PendingTransfer{owned(1, "a", "d"), copying, owned(3, "c", "d"), taken, hint, repair}

	_, out, _ := execute(t, "transfers", "--http", a)
	want := `Type        Partition   From   To   State                          Progress                      Items    Size      Rate        ETA   Since
repair      17<-18      b      a    rounds                                                                          1.00 MB/s
ownership   2           b      a    copying                        [########............]  40%   40/100   12.3 kB   2.00 kB/s   6s    2m0s
ownership   4           c      b    through                        [####################] 100%   100/90             0 B/s
ownership   1           a      d    waiting: sender at limit 4/4                                                                      2m0s
ownership   3           c      d    waiting
hinted      9           b      c    waiting: c cannot be reached
6 transfers pending at epoch 7: repair 1 running; ownership 2 running, 2 waiting; hinted 1 waiting; 130 of 190 items; 1.00 MB/s in all
c did not answer, and may know of more
`
	if out != want {
		t.Errorf("got:\n%s\nwant:\n%s", out, want)
	}
	_, out, _ = execute(t, "transfers", "-o", "json", "--http", a)
	var merged gathered
	if err := json.Unmarshal([]byte(out), &merged); err != nil {
		t.Fatal(err)
	}
	if len(merged.Transfers.Transfers) != 6 || len(merged.Silent) != 1 || merged.Transfers.Transfers[0] != repair || merged.Via != "a" {
		t.Errorf("merged: %s", out)
	}
}

// TestTransfersInColour: colour adds to a table and changes nothing in it; one that
// is higher than the terminal is cut.
func TestTransfersInColour(t *testing.T) {
	var g gathered
	for p := range ring.Partition(50) {
		g.Transfers.Transfers = append(g.Transfers.Transfers, httpapi.PendingTransfer{
			Type: "hinted", Partition: p, Source: p, From: "a", To: "b", Phase: "copying", Items: int64(p), TotalItems: 50,
		})
	}
	now := time.Now()
	bare, coloured := drawTransfers(g, now, palette{}, 0), drawTransfers(g, now, palette{on: true}, 0)
	if coloured == bare || escapes.ReplaceAllString(coloured, "") != bare {
		t.Errorf("with colour:\n%s", coloured)
	}
	for lines, want := range map[int]string{10: "and 44 more", 54: "", 53: "and 1 more", 2: "and 50 more"} {
		text := drawTransfers(g, now, palette{}, lines)
		if got := strings.Count(text, "\n"); got > max(lines-1, 2) || !strings.Contains(text, want) {
			t.Errorf("on %d lines:\n%s", lines, text)
		}
	}
}

// TestWatchPrintsChanges: where nobody looks, each change and now and then how far
// it is.
func TestWatchPrintsChanges(t *testing.T) {
	var out bytes.Buffer
	w := watching{operator: &operator{streams: streams{out: &out}, form: asTable}, heard: map[ring.NodeName]bool{}}
	var g gathered
	now := time.Now()
	after := func(pause time.Duration, phase string, items int64) string {
		t.Helper()
		out.Reset()
		now = now.Add(pause)
		g.Transfers.Transfers = []httpapi.PendingTransfer{{Type: "repair", From: "a", To: "b", Phase: phase, Items: items, TotalItems: 9}}
		if err := w.shows(g, now); err != nil || w.isOver(g) {
			t.Errorf("over, %v", err)
		}
		return out.String()
	}
	line := func(items int) string {
		return fmt.Sprintf("1 transfer pending at epoch 0: repair 1 running; %d of 9 items; 0 B/s in all\n", items)
	}
	for _, step := range []struct {
		pause  time.Duration
		phase  string
		items  int64
		header bool
		want   string
	}{
		{0, "copying", 1, true, line(1)},
		{time.Second, "copying", 2, false, ""},
		{progressEvery, "copying", 3, false, line(3)},
		{progressEvery, "copying", 3, false, ""},
		{time.Second, "rounds", 4, true, line(4)},
	} {
		got := after(step.pause, step.phase, step.items)
		if strings.HasPrefix(got, "Type") != step.header || !strings.HasSuffix(got, step.want) || step.want == "" && got != "" {
			t.Errorf("%s with %d items is shown as %q", step.phase, step.items, got)
		}
	}
}

// TestWatchIsNotOverTooEarly: a member that has answered, and does not now, may
// know of something; one that never has keeps nobody waiting.
func TestWatchIsNotOverTooEarly(t *testing.T) {
	w := watching{heard: map[ring.NodeName]bool{}}
	for _, step := range []struct {
		answered, silent ring.NodeName
		over             bool
	}{{"b", "c", true}, {"c", "b", false}, {"b", "c", false}, {"b", "d", true}} {
		g := gathered{answered: []ring.NodeName{step.answered}, alive: []ring.NodeName{step.silent}}
		if got := w.isOver(g); got != step.over {
			t.Errorf("%s answers and %s does not: over is %v", step.answered, step.silent, got)
		}
	}
}

// TestFrame: every line replaces what was there, and what was below goes.
func TestFrame(t *testing.T) {
	if got, want := frame("a\nb\n"), "\x1b[?7l\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J\x1b[?7h"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
