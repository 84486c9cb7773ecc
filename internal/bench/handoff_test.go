package bench

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/torc-io/torc/ring"
)

// quick is long enough to see that handoff is measured, and says nothing about
// its speed.
func quick(pattern string) HandoffConfig {
	return HandoffConfig{Runs: 1, Keys: 500, Load: 10 * time.Millisecond, Run: regexp.MustCompile(pattern)}
}

// TestHandoffMoves keeps what measures handoff from rotting. No time is asserted.
func TestHandoffMoves(t *testing.T) {
	report, err := Handoff(t.Context(), quick("/move"))
	if err != nil {
		t.Fatal(err)
	}
	if want := len(handoffSizes) * (1 + len(handoffTwins)); len(report.Moves) != want || len(report.Loads) != 0 {
		t.Fatalf("%d and %d rows, want %d and none", len(report.Moves), len(report.Loads), want)
	}
	for i, m := range report.Moves {
		if m.Nanos <= 0 || m.Items < 500 || m.Bytes < 100*m.Items || (m.Ratio > 0) != (i%(1+len(handoffTwins)) > 0) {
			t.Errorf("impossible: %+v", m)
		}
	}
}

// TestHandoffUnderLoad: no request fails while half of the items move.
func TestHandoffUnderLoad(t *testing.T) {
	report, err := Handoff(t.Context(), quick("1KiB/load"))
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Loads) != phases {
		t.Fatalf("%d rows, want one for each phase", len(report.Loads))
	}
	for i, l := range report.Loads {
		if l.Failed > 0 || l.OpsPerSecond <= 0 || l.MaxNanos < l.P50Nanos || (l.Ratio > 0) != (i > 0) {
			t.Errorf("impossible, or failed: %+v", l)
		}
	}
}

// TestEachItemMovesOnce: what a join sends is what the new member owns then, and
// nothing a second time.
func TestEachItemMovesOnce(t *testing.T) {
	config := quick("")
	p, err := openPair(t.Context(), &config, handoffSizes[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := p.join(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, second := p.nodes[0].Ring(), p.nodes[1].Name()
	want := 0
	for _, key := range p.keys {
		for i := range replicas {
			if r.Owner((r.Partition(key)+ring.Partition(i))%ring.Partition(r.Size())) == second {
				want++
			}
		}
	}
	if items, _, err := p.sent(); err != nil || int(items) != want {
		t.Errorf("%v items were sent, %v; the second node owns %d", items, err, want)
	}
}

func TestHandoffReport(t *testing.T) {
	report := &Report{Handoff: &HandoffReport{
		Runs: 3, Keys: 1000,
		Moves: []Move{
			{Value: "100B", Contender: "torc", Nanos: 2e9, Items: 1500, Bytes: 3e6, CPUPerItem: 1500, AllocsPerItem: 7.25, BytesPerItem: 1234, Spread: .5},
			{Value: "100B", Contender: "chunks", Ratio: 4, Nanos: .5e9, Items: 1500, Bytes: 3e6},
		},
		Loads: []Load{
			{Value: "100B", Phase: "during", Nanos: 1e9, OpsPerSecond: 12345, P50Nanos: 1, P99Nanos: 2000, P999Nanos: 3e6, MaxNanos: 4e9, ItemsPerSecond: 99},
			{Value: "100B", Phase: "before", Ratio: 1.5, Nanos: 1e9, Failed: 2},
		},
	}}
	const want = `
move  who     ratio    time  items  items/s  MB/s  cpu/item  allocs/item  B/item  spread
100B  torc        –  2.00 s  1,500      750  1.50   1.50 µs          7.2   1,234     50%
100B  chunks  4.00×  500 ms  1,500    3,000  6.00         –          0.0       0      0%
`
	const wantLoad = `
commands  when    ratio    time   ops/s      p50      p99    p99.9     max  failed  items/s
100B      during      –  1.00 s  12,345  1.00 ns  2.00 µs  3.00 ms  4.00 s       0       99
100B      before  1.50×  1.00 s       0        –        –        –       –       2        –
`
	var table, document bytes.Buffer
	if err := errors.Join(report.WriteTable(&table), report.WriteJSON(&document)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{want, wantLoad} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("got:%s\nwant:%s", table.String(), want)
		}
	}
}
