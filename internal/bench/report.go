package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Report is all that a run found.
type Report struct {
	Machine Machine       `json:"machine"`
	Before  Calibration   `json:"calibration_before"`
	After   Calibration   `json:"calibration_after"` // zero if the run was cut short
	Time    time.Duration `json:"time_nanos"`        // of one measurement
	Runs    int           `json:"runs"`
	Keys    int           `json:"keys"`
	Results []Result      `json:"results"`
	Paced   []Paced       `json:"paced,omitempty"`
	Idle    []Idle        `json:"idle,omitempty"`

	Handoff *HandoffReport `json:"handoff,omitempty"` // nil if it was not measured

	Targets []Verdict `json:"targets"` // those that were measured
}

// WriteJSON writes the report for machines. All times are in nanoseconds.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	parts := []string{r.head()}
	if len(r.Targets) > 0 {
		parts = append(parts, draw(verdictColumns, r.Targets, func(*Verdict, *Verdict) bool { return true }))
	}
	if len(r.Results) > 0 {
		parts = append(parts, r.table())
	}
	if len(r.Paced) > 0 {
		parts = append(parts, draw(pacedColumns, r.Paced, func(a, b *Paced) bool { return a.Work == b.Work }))
	}
	if len(r.Idle) > 0 {
		parts = append(parts, r.idleTable())
	}
	if r.Handoff != nil {
		parts = append(parts, r.Handoff.text())
	}
	_, err := io.WriteString(w, strings.Join(parts, "\n"))
	return err
}

// head says what the table's numbers depend on.
func (r *Report) head() string {
	lines := []string{r.Machine.String(), "calibration before: " + r.Before.String()}
	if r.After != (Calibration{}) {
		lines = append(lines, "calibration after:  "+r.After.String())
	}
	lines = append(lines, fmt.Sprintf("medians of %d runs of %v, taking turns; %d keys; ratio: torc's time per operation to this row's",
		r.Runs, r.Time, r.Keys))
	return strings.Join(lines, "\n") + "\n"
}

// column is one of a table's; text is on the left, and numbers on the right.
type column[R any] struct {
	head string
	left bool
	cell func(*R) string
}

var columns = []column[Result]{
	{"work", true, func(r *Result) string { return title(r.Case, r.Detail) }},
	{"C", false, func(r *Result) string { return strconv.Itoa(r.Clients) }},
	{"who", true, func(r *Result) string { return r.Contender }},
	{"ratio", false, func(r *Result) string { return orNone(r.Ratio, "%.2f×") }},
	{"cpu ratio", false, func(r *Result) string { return orNone(r.CPURatio, "%.2f×") }},
	{"ops/s", false, func(r *Result) string { return thousands(r.OpsPerSecond) }},
	{"time/op", false, func(r *Result) string { return duration(r.NanosPerOp) }},
	{"cpu/op", false, func(r *Result) string { return duration(r.CPUNanos) }},
	{"p50", false, func(r *Result) string { return duration(r.P50Nanos) }},
	{"p99", false, func(r *Result) string { return duration(r.P99Nanos) }},
	{"p99.9", false, func(r *Result) string { return duration(r.P999Nanos) }},
	{"allocs/op", false, func(r *Result) string { return fmt.Sprintf("%.1f", r.AllocsPerOp) }},
	{"B/op", false, func(r *Result) string { return thousands(r.BytesPerOp) }},
	{"spread", false, func(r *Result) string { return fmt.Sprintf("%.0f%%", 100*r.Spread) }},
}

var pacedColumns = []column[Paced]{
	{"open loop", true, func(p *Paced) string { return p.Work }},
	{"of highest", false, func(p *Paced) string { return fmt.Sprintf("%.0f%%", 100*p.Part) }},
	{"p99/p50", false, func(p *Paced) string { return orNone(p.P99Nanos/p.P50Nanos, "%.1f×") }},
	{"ops/s", false, func(p *Paced) string { return thousands(p.PerSecond) }},
	{"p50", false, func(p *Paced) string { return duration(p.P50Nanos) }},
	{"p99", false, func(p *Paced) string { return duration(p.P99Nanos) }},
	{"p99.9", false, func(p *Paced) string { return duration(p.P999Nanos) }},
	{"max", false, func(p *Paced) string { return duration(p.MaxNanos) }},
	{"unsent", false, func(p *Paced) string { return thousands(p.Unsent) }},
}

var idleColumns = []column[Idle]{
	{"idle", true, func(i *Idle) string { return i.Contender }},
	{"resident", false, func(i *Idle) string { return megabytes(i.Resident) }},
	{"heap", false, func(i *Idle) string { return megabytes(i.Heap) }},
	{"process start", false, func(i *Idle) string { return duration(i.Start) }},
	{"node start", false, func(i *Idle) string { return duration(i.Ready) }},
	{"spread", false, func(i *Idle) string { return fmt.Sprintf("%.0f%%", 100*i.Spread) }},
}

// idleTable draws the idle processes, and what a vnode takes.
func (r *Report) idleTable() string {
	text := draw(idleColumns, r.Idle, func(*Idle, *Idle) bool { return true })
	if each := vnodeBytes(r.Idle); each > 0 {
		text += fmt.Sprintf("each idle vnode: %s B of heap\n", thousands(each))
	}
	return text
}

func megabytes(size float64) string { return orNone(size/1e6, "%.1f MB") }

// table draws the results.
func (r *Report) table() string {
	return draw(columns, r.Results, func(a, b *Result) bool { return a.Case == b.Case })
}

// draw makes a table of rows, with an empty line between one kind of work and
// the next.
func draw[R any](columns []column[R], rows []R, same func(a, b *R) bool) string {
	lines := [][]string{nil}
	for _, c := range columns {
		lines[0] = append(lines[0], c.head)
	}
	for i := range rows {
		if i > 0 && !same(&rows[i-1], &rows[i]) {
			lines = append(lines, make([]string, len(columns)))
		}
		var line []string
		for _, c := range columns {
			line = append(line, c.cell(&rows[i]))
		}
		lines = append(lines, line)
	}
	return align(columns, lines)
}

// align pads the cells of each column to one width.
func align[R any](columns []column[R], lines [][]string) string {
	widths := make([]int, len(columns))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		var row strings.Builder
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if columns[i].left {
				row.WriteString(cell + pad + "  ")
			} else {
				row.WriteString(pad + cell + "  ")
			}
		}
		b.WriteString(strings.TrimRight(row.String(), " ") + "\n")
	}
	return b.String()
}

// none stands for a number that there is not.
const none = "–"

func orNone(value float64, format string) string {
	if value == 0 {
		return none
	}
	return fmt.Sprintf(format, value)
}

// duration shows nanoseconds to three digits.
func duration(nanos float64) string {
	switch {
	case nanos == 0:
		return none
	case nanos < 1e3:
		return digits(nanos) + " ns"
	case nanos < 1e6:
		return digits(nanos/1e3) + " µs"
	case nanos < 1e9:
		return digits(nanos/1e6) + " ms"
	}
	return digits(nanos/1e9) + " s"
}

// digits shows three of them, or as many as there are before the point.
func digits(value float64) string {
	decimals := 0
	for limit := 100.0; value < limit && decimals < 2; limit /= 10 {
		decimals++
	}
	return strconv.FormatFloat(value, 'f', decimals, 64)
}

// thousands shows a whole number with its thousands apart.
func thousands(value float64) string {
	text := strconv.FormatFloat(value, 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
