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
}

// WriteJSON writes the report for machines. All times are in nanoseconds.
func (r *Report) WriteJSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	_, err := io.WriteString(w, r.head()+"\n"+r.table())
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

// columns are the table's; text is on the left, and numbers on the right.
var columns = []struct {
	head string
	left bool
	cell func(*Result) string
}{
	{"work", true, func(r *Result) string { return title(r.Case, r.Detail) }},
	{"C", false, func(r *Result) string { return strconv.Itoa(r.Clients) }},
	{"who", true, func(r *Result) string { return r.Contender }},
	{"ratio", false, func(r *Result) string { return orNone(r.Ratio, "%.2f×") }},
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

// table draws the results, with an empty line between one kind of work and the
// next.
func (r *Report) table() string {
	lines := [][]string{nil}
	for _, c := range columns {
		lines[0] = append(lines[0], c.head)
	}
	for i := range r.Results {
		if i > 0 && r.Results[i].Case != r.Results[i-1].Case {
			lines = append(lines, make([]string, len(columns)))
		}
		var line []string
		for _, c := range columns {
			line = append(line, c.cell(&r.Results[i]))
		}
		lines = append(lines, line)
	}
	return align(lines)
}

// align pads the cells of each column to one width.
func align(lines [][]string) string {
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
