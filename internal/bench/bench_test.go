package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// TestMain makes this binary the other processes too.
func TestMain(m *testing.M) {
	if !IsMember() {
		os.Exit(m.Run())
	}
	if err := RunMember(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// short is long enough to see that a case works, and says nothing about speed.
var short = Config{Time: 2 * time.Millisecond, Runs: 1, Keys: 100}

// TestEveryCase keeps the cases from rotting. No time is asserted.
func TestEveryCase(t *testing.T) {
	begun := 0
	config := short
	config.Progress = func(string) { begun++ }
	report, err := Run(t.Context(), Cases(200), config)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, c := range Cases(200) {
		for i, contender := range c.Contenders {
			if rows == len(report.Results) {
				t.Fatalf("%d results, want one for each contender", rows)
			}
			r := report.Results[rows]
			rows++
			if r.Case != c.Name || r.Clients != c.Clients || r.Contender != contender.Name {
				t.Fatalf("row %d is %s/C=%d/%s, want %s", rows, r.Case, r.Clients, r.Contender, c.path(contender.Name))
			}
			if r.NanosPerOp <= 0 || r.OpsPerSecond <= 0 || r.Spread < 0 || r.P99Nanos < r.P50Nanos || r.P999Nanos < r.P99Nanos {
				t.Errorf("%s: impossible: %+v", c.path(contender.Name), r)
			}
			if (r.Ratio > 0) != (i > 0) {
				t.Errorf("%s: ratio %v", c.path(contender.Name), r.Ratio)
			}
		}
	}
	if begun != len(Cases(200)) {
		t.Errorf("was told of %d cases, not of %d", begun, len(Cases(200)))
	}
}

// allocationsOfAStore is the most that a coordinated store may allocate. It is
// a little above what it does allocate, so that a change that adds an allocation
// for each replica does not pass unseen.
const allocationsOfAStore = 24

func TestAllocations(t *testing.T) {
	if raced() {
		t.Skip("the race detector makes pools drop what they hold")
	}
	for _, test := range []struct {
		open func(context.Context, int) (System, error)
		name string
		most float64
	}{
		{openKV((*kvSystem).store), "store", allocationsOfAStore},
		{openKV((*kvSystem).fetch), "fetch", allocationsOfAStore},
		{openPing, "command", allocationsOfAStore},
	} {
		t.Run(test.name, func(t *testing.T) {
			op := opened(t, test.open).Client(0)
			count := testing.AllocsPerRun(2000, func() {
				if err := op(); err != nil {
					t.Fatal(err)
				}
			})
			if count > test.most {
				t.Errorf("%.0f allocations, want at most %.0f", count, test.most)
			}
		})
	}
}

// raced says whether the race detector is on.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, setting := range info.Settings {
		if setting.Key == "-race" {
			return setting.Value == "true"
		}
	}
	return false
}

// opened opens a system for one test.
func opened(tb testing.TB, open func(context.Context, int) (System, error)) System {
	tb.Helper()
	s, err := open(tb.Context(), 1000)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// TestTwinStoresOnAll proves that the twin does the work it is compared by:
// every partition of a key's list holds what was stored last.
func TestTwinStoresOnAll(t *testing.T) {
	for _, by := range []coordination{(*twin).inline, (*twin).spawned} {
		s, err := openTwin((*twin).store, by)(t.Context(), 50)
		if err != nil {
			t.Fatal(err)
		}
		system := s.(*twinSystem)
		key := system.keys[7]
		if err := errors.Join(system.store(by, key), system.fetch(by, key), s.Close()); err != nil {
			t.Fatal(err)
		}
		for _, p := range system.list(key) {
			o, ok := p.objects[string(key)]
			if !ok || o.wall != system.clock.last {
				t.Errorf("partition %d holds %+v, want the version %d", p.number, o, system.clock.last)
			}
		}
	}
}

// TestTwinRepairs has a goroutine of a request bring the last replica up to
// date, whichever it is.
func TestTwinRepairs(t *testing.T) {
	s, err := openTwin((*twin).fetch, (*twin).spawned)(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	system := s.(*twinSystem)
	newest := &object{value: system.value, wall: system.clock.now(), writer: "twin"}
	list := system.list(system.keys[0])
	stale := []ack{{list[0].number, 0, newest}, {list[1].number, 0, nil}, {list[2].number, 0, &object{}}}
	repair(list, "other", stale, newest)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, true, true} {
		if _, got := list[i].objects["other"]; got != want {
			t.Errorf("partition %d repaired: %v, want %v", list[i].number, got, want)
		}
	}
}

func TestNewer(t *testing.T) {
	old, young, tied := &object{wall: 1, writer: "a"}, &object{wall: 2, writer: "a"}, &object{wall: 2, writer: "b"}
	for _, test := range []struct{ a, b, want *object }{
		{nil, nil, nil},
		{old, nil, old},
		{nil, old, old},
		{old, young, young},
		{young, old, young},
		{young, tied, tied},
		{tied, young, tied},
	} {
		if got := newer(test.a, test.b); got != test.want {
			t.Errorf("newer(%+v, %+v) = %+v", test.a, test.b, got)
		}
	}
}

// fake is a system whose operations do as they are told.
func fake(op Op, closed *int) Contender {
	return Contender{"fake", func(context.Context, int) (System, error) {
		return &fakeSystem{op, closed}, nil
	}}
}

type fakeSystem struct {
	op     Op
	closed *int
}

func (s *fakeSystem) Client(int) Op { return s.op }
func (s *fakeSystem) Close() error  { *s.closed++; return nil }

var errBroken = errors.New("broken")

func TestFailingOperationEndsTheRun(t *testing.T) {
	closed := 0
	broken := fake(func() error { return errBroken }, &closed)
	fine := fake(func() error { return nil }, &closed)
	cases := []Case{
		{Name: "fine", Clients: 2, Contenders: []Contender{fine}},
		{Name: "broken", Clients: 2, Contenders: []Contender{fine, broken}},
		{Name: "never", Clients: 2, Contenders: []Contender{broken}},
	}
	report, err := Run(t.Context(), cases, short)
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "broken, C=2: fake: client ") {
		t.Errorf("got %v", err)
	}
	if len(report.Results) != 1 || closed != 3 {
		t.Errorf("%d results and %d systems closed, want the first case's, and 3", len(report.Results), closed)
	}
}

func TestInterrupt(t *testing.T) {
	closed := 0
	ctx, cancel := context.WithCancel(t.Context())
	endless := fake(func() error { cancel(); return nil }, &closed)
	config := short
	config.Time = time.Hour
	report, err := Run(ctx, []Case{{Name: "endless", Clients: 1, Contenders: []Contender{endless}}}, config)
	if !errors.Is(err, context.Canceled) || len(report.Results) != 0 || closed != 1 {
		t.Errorf("error %v, %d results, %d closed", err, len(report.Results), closed)
	}
}

func TestRunPattern(t *testing.T) {
	for pattern, want := range map[string]int{"store/C=64/torc": 1, "^store/": 9, "/torc$": 23, "-cluster/": 30, "^grow-": 9, "nothing": 0} {
		rows := 0
		for _, c := range choose(Cases(200), regexp.MustCompile(pattern)) {
			rows += len(c.Contenders)
		}
		if rows != want {
			t.Errorf("%s chooses %d contenders, want %d", pattern, rows, want)
		}
	}
}

func TestSummary(t *testing.T) {
	c := Case{Name: "work", Clients: 3, Contenders: []Contender{{Name: "a"}, {Name: "b"}}}
	rows := c.summarise([][]Sample{
		{{Nanos: 100, P50: 9, Allocs: 4}, {Nanos: 400, P50: 7, Allocs: 4}, {Nanos: 200, P50: 8, Allocs: 5}},
		{{Nanos: 50}, {Nanos: 100}, {Nanos: 50}},
	})
	a, b := rows[0], rows[1]
	if a.NanosPerOp != 200 || a.OpsPerSecond != 5e6 || a.P50Nanos != 8 || a.AllocsPerOp != 4 || a.Spread != 1.5 || a.Ratio != 0 {
		t.Errorf("a: %+v", a)
	}
	if b.Ratio != 4 { // of 2, 4 and 4, not 200 / 50
		t.Errorf("b: %+v", b)
	}
	if even := median([]float64{4, 1, 3, 2}); even != 2.5 {
		t.Errorf("the median of an even number: %v", even)
	}
}

func TestReport(t *testing.T) {
	report := &Report{Time: time.Second, Runs: 3, Results: []Result{
		{Case: "write", Detail: "N=3", Clients: 64, Contender: "torc", OpsPerSecond: 1234567, NanosPerOp: 810, CPUNanos: 1620, AllocsPerOp: 21.96, BytesPerOp: 2001},
		{Case: "claim", Clients: 1, Contender: "torc", Ratio: 2.345, CPURatio: 1.5, NanosPerOp: 31.4e6, P50Nanos: 5, P99Nanos: 1234, P999Nanos: 2e9, Spread: .1},
	}}
	var table, document bytes.Buffer
	if err := errors.Join(report.WriteTable(&table), report.WriteJSON(&document)); err != nil {
		t.Fatal(err)
	}
	const want = `
work        C  who   ratio  cpu ratio      ops/s  time/op   cpu/op      p50      p99   p99.9  allocs/op   B/op  spread
write N=3  64  torc      –          –  1,234,567   810 ns  1.62 µs        –        –       –       22.0  2,001      0%

claim       1  torc  2.35×      1.50×          0  31.4 ms        –  5.00 ns  1.23 µs  2.00 s        0.0      0     10%
`
	if _, got, _ := strings.Cut(table.String(), "this row's\n"); got != want {
		t.Errorf("got:%s\nwant:%s", got, want)
	}
	var back Report
	if err := json.Unmarshal(document.Bytes(), &back); err != nil || len(back.Results) != 2 || back.Results[1] != report.Results[1] {
		t.Errorf("JSON comes back as %+v, %v", back, err)
	}
}
