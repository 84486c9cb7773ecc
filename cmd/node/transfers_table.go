package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/ring"
)

// typesByUrgency are the types of transfers, the most urgent first.
var typesByUrgency = []string{"repair", "ownership", "hinted"}

const waiting = "waiting"

// isRunning says whether a transfer is more than planned.
func isRunning(t httpapi.PendingTransfer) bool { return t.Phase != waiting && t.Phase != "" }

// linesAround a table cut to the height of a terminal are its head, what is left
// out, the summary, and the line of the cursor.
const linesAround = 4

// drawTransfers draws the table of transfers, in at most that many lines if not 0.
func drawTransfers(g gathered, now time.Time, p palette, lines int) string {
	silent := drawSilent(g.Silent)
	shown, more := g.Transfers.Transfers, ""
	if room := lines - strings.Count(silent, "\n") - linesAround; lines > 0 && len(shown) > room {
		more = fmt.Sprintf("and %d more\n", len(shown)-max(0, room))
		shown = shown[:max(0, room)]
	}
	t := table{palette: p}
	if len(shown) > 0 {
		t.add("Type", "Partition", "From", "To", "State", "Progress", "Items", "Size", "Rate", "ETA", "Since")
	}
	for _, one := range shown {
		t.addCells(transferRow(one, now)...)
	}
	return t.String() + more + summary(g) + silent
}

// transferRow is one line of the table.
func transferRow(t httpapi.PendingTransfer, now time.Time) []cell {
	var progress, items, size, rate, eta, since string
	if t.TotalItems > 0 {
		progress = fmt.Sprintf("%s %3d%%", barText(barWidth, t.Items, t.TotalItems), 100*min(t.Items, t.TotalItems)/t.TotalItems)
		items = fmt.Sprintf("%d/%d", t.Items, t.TotalItems)
	}
	if t.Bytes > 0 {
		size = sizeText(float64(t.Bytes))
	}
	if isRunning(t) {
		rate = rateText(t.Rate)
	}
	if t.ETASeconds > 0 {
		eta = spanText(time.Duration(t.ETASeconds * float64(time.Second)))
	}
	if !t.Since.IsZero() {
		since = spanText(now.Sub(t.Since))
	}
	return []cell{
		{text: t.Type},
		{text: partitionText(t)},
		{text: string(t.From)},
		{text: string(t.To)},
		stateCell(t),
		{progress, green},
		{text: items},
		{text: size},
		{text: rate},
		{text: eta},
		{text: since},
	}
}

// partitionText names the partition, and the one that its items come out of if that
// is another.
func partitionText(t httpapi.PendingTransfer) string {
	if t.Source == t.Partition {
		return fmt.Sprint(t.Partition)
	}
	return fmt.Sprintf("%d<-%d", t.Partition, t.Source)
}

// stateCell is how far a transfer is, or what it waits for.
func stateCell(t httpapi.PendingTransfer) cell {
	switch {
	case isRunning(t):
		return cell{t.Phase, cyan}
	case t.Reason != "":
		return cell{waiting + ": " + t.Reason, yellow}
	}
	return cell{waiting, yellow}
}

// summary counts the transfers of each type, in a line.
func summary(g gathered) string {
	all := g.Transfers.Transfers
	if len(all) == 0 {
		return fmt.Sprintf("no transfers are pending at epoch %d\n", g.Epoch)
	}
	text := fmt.Sprintf("%s pending at epoch %d: ", count(len(all), "transfer"), g.Epoch)
	var parts []string
	for _, kind := range typesByUrgency {
		if part := countStates(all, kind); part != "" {
			parts = append(parts, kind+" "+part)
		}
	}
	return text + strings.Join(append(parts, progressOf(all)...), "; ") + "\n"
}

// countStates says how many transfers of a type run, and how many wait.
func countStates(all []httpapi.PendingTransfer, kind string) string {
	run, wait := 0, 0
	for _, t := range all {
		switch {
		case t.Type != kind:
		case isRunning(t):
			run++
		default:
			wait++
		}
	}
	var parts []string
	if run > 0 {
		parts = append(parts, fmt.Sprintf("%d running", run))
	}
	if wait > 0 {
		parts = append(parts, fmt.Sprintf("%d waiting", wait))
	}
	return strings.Join(parts, ", ")
}

// progressOf says how far all transfers together are, or nothing if none has begun.
func progressOf(all []httpapi.PendingTransfer) []string {
	var items, total int64
	rate, run := 0.0, false
	for _, t := range all {
		items, total = items+min(t.Items, t.TotalItems), total+t.TotalItems
		rate, run = rate+t.Rate, run || isRunning(t)
	}
	var parts []string
	if total > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d items", items, total))
	}
	if run {
		parts = append(parts, rateText(rate)+" in all")
	}
	return parts
}

// drawSilent says of whom nothing is known.
func drawSilent(silent []ring.NodeName) string {
	if len(silent) == 0 {
		return ""
	}
	words := make([]string, len(silent))
	for i, name := range silent {
		words[i] = string(name)
	}
	return fmt.Sprintf("%s did not answer, and may know of more\n", strings.Join(words, ", "))
}
