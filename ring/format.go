package ring

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// rowCells is how many partitions a row of a picture shows. Twenty cells of
	// four characters ("a>b ") fit a terminal of 90, and rows start at numbers that
	// are easy to count from.
	rowCells = 20

	// barCells is the length of the bar of the member with the most partitions.
	barCells = 30
)

// String draws the ring: each partition as its owner's symbol, or as "a>b" while
// a transfer from a to b is pending, and then each member with its share. The
// text is meant for people, logs and golden files; it is no format to parse.
func (r *Ring) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "ring %s, epoch %d: %d partitions, N=%d, %d transfers pending\n",
		r.ClusterID(), r.Epoch(), r.Size(), r.TargetN(), len(r.state.Transfers))
	symbols := symbolsFor(r.state.Members)
	r.drawPartitions(&text, symbols)
	r.drawMembers(&text, symbols)
	return text.String()
}

// drawPartitions draws the rows of partitions.
func (r *Ring) drawPartitions(text *strings.Builder, symbols map[NodeName]string) {
	label := len(fmt.Sprint(r.Size() - 1))
	for p, owner := range r.state.Owners {
		if p%rowCells == 0 {
			fmt.Fprintf(text, "  %*d ", label, p)
		}
		text.WriteByte(' ')
		text.WriteString(r.cell(Partition(p), owner, symbols))
		if p%rowCells == rowCells-1 || p == r.Size()-1 {
			text.WriteByte('\n')
		}
	}
}

// cell is what a picture shows of one partition. If some are moving, those that
// are not are padded to the same width.
func (r *Ring) cell(p Partition, owner NodeName, symbols map[NodeName]string) string {
	if t, moving := r.Transfer(p); moving {
		return symbols[t.From] + ">" + symbols[t.To]
	}
	if len(r.state.Transfers) == 0 || p%rowCells == rowCells-1 || int(p) == r.Size()-1 {
		return symbols[owner]
	}
	return symbols[owner] + strings.Repeat(" ", 1+utf8.RuneCountInString(symbols[owner]))
}

// drawMembers draws a line and a bar for each member.
func (r *Ring) drawMembers(text *strings.Builder, symbols map[NodeName]string) {
	now, then := shares(r.state.Owners), shares(r.state.future())
	most, width := 1, 0
	for _, m := range r.state.Members {
		most = max(most, now[m.Name])
		width = max(width, utf8.RuneCountInString(string(m.Name)))
	}
	for _, m := range r.state.Members {
		count := fmt.Sprint(now[m.Name])
		if now[m.Name] != then[m.Name] {
			count += fmt.Sprintf(" > %d", then[m.Name])
		}
		bar := strings.Repeat("#", now[m.Name]*barCells/most)
		line := fmt.Sprintf("  %s  %-*s  %-7s  %6s  %-12s %s",
			symbols[m.Name], width, m.Name, m.Status, percent(now[m.Name], r.Size()), count, bar)
		text.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// symbolsFor gives each member a short symbol, all of one width, and nobody a
// dot: the names, if each is one character, or letters in the order of the
// members.
func symbolsFor(members []Member) map[NodeName]string {
	width := 1
	for n := len(members); n > len(letters); n /= len(letters) {
		width++
	}
	named := true
	for _, m := range members {
		named = named && utf8.RuneCountInString(string(m.Name)) == 1
	}
	symbols := map[NodeName]string{"": strings.Repeat(".", width)}
	for i, m := range members {
		symbols[m.Name] = lettered(i, width)
		if named {
			symbols[m.Name] = string(m.Name)
		}
	}
	return symbols
}

// letters are the digits of symbols.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// lettered writes i in letters, of which width suffice.
func lettered(i, width int) string {
	symbol := make([]byte, width)
	for at := width - 1; at >= 0; at-- {
		symbol[at] = letters[i%len(letters)]
		i /= len(letters)
	}
	return string(symbol)
}

// shares counts the partitions of each owner.
func shares(owners []NodeName) map[NodeName]int {
	count := map[NodeName]int{}
	for _, owner := range owners {
		count[owner]++
	}
	return count
}

// percent writes part of whole as riak-admin does: "12.5%".
func percent(part, whole int) string {
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(whole))
}

// MembersTable returns the table of members with their status, their share of
// the ring now, and their share once the pending transfers are done: what
// riak-admin member-status shows.
func (r *Ring) MembersTable() string {
	var text strings.Builder
	text.WriteString("===== Membership =====\n")
	row := func(status, now, then, name string) {
		fmt.Fprintf(&text, "%-10s %-9s %-9s %s\n", status, now, then, name)
	}
	row("Status", "Ring", "Pending", "Node")
	now, then := shares(r.state.Owners), shares(r.state.future())
	count := map[Status]int{}
	for _, m := range r.state.Members {
		count[m.Status]++
		row(m.Status.String(), percent(now[m.Name], r.Size()), percent(then[m.Name], r.Size()), string(m.Name))
	}
	fmt.Fprintf(&text, "Valid:%d / Leaving:%d / Exiting:%d / Joining:%d / Down:%d\n",
		count[Valid], count[Leaving], count[Exiting], count[Joining], count[Down])
	return text.String()
}
