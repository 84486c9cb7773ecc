package bench

import (
	"fmt"
	"strconv"
)

var moveColumns = []column[Move]{
	{"move", true, func(m *Move) string { return m.Value }},
	{"who", true, func(m *Move) string { return m.Contender }},
	{"ratio", false, func(m *Move) string { return orNone(m.Ratio, "%.2f×") }},
	{"time", false, func(m *Move) string { return duration(m.Nanos) }},
	{"items", false, func(m *Move) string { return thousands(m.Items) }},
	{"items/s", false, func(m *Move) string { return thousands(m.Items / m.Nanos * 1e9) }},
	{"MB/s", false, func(m *Move) string { return digits(m.Bytes / m.Nanos * 1e3) }},
	{"cpu/item", false, func(m *Move) string { return duration(m.CPUPerItem) }},
	{"allocs/item", false, func(m *Move) string { return fmt.Sprintf("%.1f", m.AllocsPerItem) }},
	{"B/item", false, func(m *Move) string { return thousands(m.BytesPerItem) }},
	{"spread", false, func(m *Move) string { return fmt.Sprintf("%.0f%%", 100*m.Spread) }},
}

var loadColumns = []column[Load]{
	{"commands", true, func(l *Load) string { return l.Value }},
	{"when", true, func(l *Load) string { return l.Phase }},
	{"ratio", false, func(l *Load) string { return orNone(l.Ratio, "%.2f×") }},
	{"time", false, func(l *Load) string { return duration(l.Nanos) }},
	{"ops/s", false, func(l *Load) string { return thousands(l.OpsPerSecond) }},
	{"p50", false, func(l *Load) string { return duration(l.P50Nanos) }},
	{"p99", false, func(l *Load) string { return duration(l.P99Nanos) }},
	{"p99.9", false, func(l *Load) string { return duration(l.P999Nanos) }},
	{"max", false, func(l *Load) string { return duration(l.MaxNanos) }},
	{"failed", false, func(l *Load) string { return strconv.FormatInt(l.Failed, 10) }},
	{"items/s", false, func(l *Load) string { return orNone(l.ItemsPerSecond, "%.0f") }},
}

// text is the report for people.
func (r *HandoffReport) text() (text string) {
	if len(r.Moves) > 0 {
		text = fmt.Sprintf("handoff from 1 node to 2, %d keys, N=%d, %s: medians of %d runs, taking turns; ratio: torc's time to this row's\n\n",
			r.Keys, replicas, r.parallel(), r.Runs) +
			draw(moveColumns, r.Moves, func(a, b *Move) bool { return a.Value == b.Value })
	}
	if len(r.Loads) > 0 {
		if text != "" {
			text += "\n"
		}
		text += fmt.Sprintf("commands meanwhile, C=%d, half stores and half fetches, through the node that gives, %d runs together; ratio: p99 during the handoff to this row's\n\n",
			loadClients, r.Runs) +
			draw(loadColumns, r.Loads, func(a, b *Load) bool { return a.Value == b.Value })
	}
	return text
}

func (r *HandoffReport) parallel() string {
	text := "as many transfers at a time as by default"
	if r.Transfers > 0 {
		text = fmt.Sprintf("%d transfers at a time", r.Transfers)
	}
	if r.Rate > 0 {
		text += fmt.Sprintf(", at %d bytes/s", r.Rate)
	}
	return text
}
