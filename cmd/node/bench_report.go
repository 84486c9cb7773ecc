package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/torc-io/torc/internal/load"
)

// benchReport is what bench prints. All times are nanoseconds.
type benchReport struct {
	Over    string  `json:"over"`
	Members int     `json:"members,omitempty"` // of the cluster inside
	Rate    float64 `json:"rate,omitempty"`    // of an open loop
	Clients int     `json:"clients"`

	Reads        float64 `json:"reads"`
	Keys         int     `json:"keys"`
	Distribution string  `json:"distribution"`
	Skew         float64 `json:"skew,omitempty"`
	ValueBytes   int     `json:"value_bytes"`

	// N, R and W are as they were given; empty is the service's own.
	N string `json:"n,omitempty"`
	R string `json:"r,omitempty"`
	W string `json:"w,omitempty"`

	Elapsed   time.Duration `json:"elapsed_nanos"`
	Lines     []benchLine   `json:"requests"`
	Failed    int64         `json:"failed"`
	Failures  []benchFault  `json:"failures"`
	Unsent    int64         `json:"unsent"`    // due in an open loop, and not begun
	Abandoned int64         `json:"abandoned"` // under way when it was interrupted
}

// benchLine is a kind of requests: those that succeeded. Its service times are
// there in an open loop, where they are not the latency.
type benchLine struct {
	What      string      `json:"what"`
	Count     int64       `json:"count"`
	PerSecond float64     `json:"per_second"`
	Latency   benchTimes  `json:"latency_nanos"`
	Service   *benchTimes `json:"service_nanos,omitempty"`
}

type benchTimes struct {
	P50  time.Duration `json:"p50"`
	P90  time.Duration `json:"p90"`
	P99  time.Duration `json:"p99"`
	P999 time.Duration `json:"p99_9"`
	Max  time.Duration `json:"max"`
}

type benchFault struct {
	Kind    string `json:"kind"`
	Count   int64  `json:"count"`
	Example string `json:"example"`
}

// report puts together what was asked for and what came of it.
func (b *benching) report(result *load.Result) *benchReport {
	r := &benchReport{
		Over: b.over, Rate: b.load.Rate, Clients: b.load.Clients,
		Reads: b.load.Reads, Keys: b.load.Keys.Count, Distribution: b.distribution, Skew: b.load.Keys.Skew,
		ValueBytes: b.load.ValueBytes,
		N:          b.quorum.values.Get("n"), R: b.quorum.values.Get("r"), W: b.quorum.values.Get("w"),
		Elapsed: result.Elapsed, Failed: result.Failed(), Failures: []benchFault{},
		Unsent: result.Unsent, Abandoned: result.Abandoned,
	}
	if b.over == overNothing {
		r.Members = b.members
	}
	for _, f := range result.Failures {
		r.Failures = append(r.Failures, benchFault(f))
	}
	r.line("all", result.All)
	if b.load.Reads > 0 && b.load.Reads < 1 {
		r.line("reads", result.Reads)
		r.line("writes", result.Writes)
	}
	return r
}

func (r *benchReport) line(what string, f load.Figures) {
	line := benchLine{What: what, Count: f.Count, PerSecond: float64(f.Count) / r.Elapsed.Seconds(), Latency: benchTimes(f.Latency)}
	if r.Rate > 0 {
		service := benchTimes(f.Service)
		line.Service = &service
	}
	r.Lines = append(r.Lines, line)
}

// draw writes the report for people.
func (r *benchReport) draw(p palette) string {
	text := r.head() + "\n"
	t := table{palette: p}
	t.add("Requests", "Count", "Per s", "p50", "p90", "p99", "p99.9", "Max")
	for _, line := range r.Lines {
		t.add(line.cells(line.What, line.Latency)...)
		if line.Service != nil {
			t.add(line.cells("  service", *line.Service)...)
		}
	}
	return text + t.String() + r.faults(p)
}

func (l *benchLine) cells(what string, times benchTimes) []string {
	cells := []string{what, strconv.FormatInt(l.Count, 10), fmt.Sprintf("%.0f", l.PerSecond)}
	for _, d := range []time.Duration{times.P50, times.P90, times.P99, times.P999, times.Max} {
		cells = append(cells, briefly(d))
	}
	return cells
}

// head says what was done, in a line.
func (r *benchReport) head() string {
	loop := fmt.Sprintf("closed loop, %s", count(r.Clients, "client"))
	if r.Rate > 0 {
		loop = fmt.Sprintf("open loop, %.0f a second, at most %d under way", r.Rate, r.Clients)
	}
	where := r.Over
	if r.Members > 0 {
		where = fmt.Sprintf("inside, %s", count(r.Members, "member"))
	}
	drawn := r.Distribution
	if r.Skew > 0 {
		drawn = fmt.Sprintf("%s %.2f", r.Distribution, r.Skew)
	}
	parts := []string{
		loop, where, fmt.Sprintf("%.0f%% reads", 100*r.Reads), count(r.Keys, "key") + ", " + drawn, sizeText(float64(r.ValueBytes)),
	}
	for _, c := range []struct{ name, text string }{{"n", r.N}, {"r", r.R}, {"w", r.W}} {
		if c.text != "" {
			parts = append(parts, c.name+"="+c.text)
		}
	}
	return strings.Join(append(parts, briefly(r.Elapsed)), "; ") + "\n"
}

// faults tells what went wrong.
func (r *benchReport) faults(p palette) string {
	text := "no errors\n"
	if r.Failed > 0 {
		t := table{palette: p}
		t.add("Errors", "Count", "For example")
		for _, f := range r.Failures {
			t.add(f.Kind, strconv.FormatInt(f.Count, 10), f.Example)
		}
		text = "\n" + t.String()
	}
	if r.Unsent > 0 {
		text += fmt.Sprintf("%d were due and not sent: the rate is more than the cluster carries, or than --clients allow\n", r.Unsent)
	}
	if r.Abandoned > 0 {
		text += fmt.Sprintf("interrupted; %d under way were abandoned\n", r.Abandoned)
	}
	return text
}

// briefly shows a time in three digits or so.
func briefly(d time.Duration) string {
	for unit := time.Duration(1); unit < time.Second; unit *= 1000 {
		if d < 1000*unit {
			return d.Round(max(1, unit/100)).String()
		}
	}
	return d.Round(10 * time.Millisecond).String()
}

// progressText is the live line.
func progressText(p load.Progress) string {
	text := fmt.Sprintf("%s   %d requests, %.0f/s, p50 %s, p99 %s",
		spanText(p.Elapsed), p.Done, p.PerSecond, briefly(p.P50), briefly(p.P99))
	if p.Failed > 0 {
		text += fmt.Sprintf(", %d failed", p.Failed)
	}
	return text
}

// liveLine is a line on a terminal that is written over.
type liveLine struct {
	w  io.Writer
	on bool
}

func (l liveLine) draw(text string) {
	if l.on {
		_, _ = fmt.Fprintf(l.w, "%s%s%s%s", clearLine, noWrap, text, wrap)
	}
}

// end takes the line away: what comes next says more.
func (l liveLine) end() {
	if l.on {
		_, _ = io.WriteString(l.w, clearLine)
	}
}
