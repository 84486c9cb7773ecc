package ring

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// lineWidth is where the lists of partitions in a plan's text break.
const lineWidth = 76

// String describes the plan: what was asked for, who gives which partitions to
// whom, the moves and violations beside the least possible, and each member's
// partitions before and after. It is meant for people, like [Ring.String].
func (p *Plan) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "plan for ring %s, epoch %d to %d\n", p.Next.ClusterID(), p.Before.Epoch(), p.Next.Epoch())
	for _, c := range p.Changes {
		fmt.Fprintf(&text, "  %v\n", c)
	}
	drawTransfers(&text, "transfers", p.Transfers)
	drawTransfers(&text, "rebuilt from replicas, at once", p.Rebuilt)
	drawTransfers(&text, "called off", p.Dropped)
	fmt.Fprintf(&text, "moves %d, lower bound %d\n", p.Moves, p.LowerBound)
	fmt.Fprintf(&text, "violations %d, least possible %d\n", p.Violations, p.LeastViolations)
	p.drawShares(&text)
	return text.String()
}

// drawTransfers lists the partitions of each pair of members under a title.
func drawTransfers(text *strings.Builder, title string, transfers []Transfer) {
	if len(transfers) == 0 {
		return
	}
	fmt.Fprintf(text, "%s\n", title)
	byPair := slices.SortedStableFunc(slices.Values(transfers), func(a, b Transfer) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	for len(byPair) > 0 {
		pair := byPair[0]
		end := slices.IndexFunc(byPair, func(t Transfer) bool { return t.From != pair.From || t.To != pair.To })
		if end < 0 {
			end = len(byPair)
		}
		head := fmt.Sprintf("  %s > %s  %d:", pair.From, pair.To, end)
		text.WriteString(wrapped(head, ranges(byPair[:end])))
		byPair = byPair[end:]
	}
}

// ranges writes the partitions of transfers, sorted, as "3", "7-9".
func ranges(transfers []Transfer) (words []string) {
	for i := 0; i < len(transfers); {
		first := transfers[i].Partition
		last := first
		for i++; i < len(transfers) && transfers[i].Partition == last+1; i++ {
			last++
		}
		word := fmt.Sprint(first)
		if last > first {
			word += fmt.Sprintf("-%d", last)
		}
		words = append(words, word)
	}
	return words
}

// wrapped joins words behind a head, in lines of lineWidth.
func wrapped(head string, words []string) string {
	var text strings.Builder
	line := head
	for _, word := range words {
		if len(line)+1+len(word) > lineWidth {
			text.WriteString(line + "\n")
			line = "     "
		}
		line += " " + word
	}
	return text.String() + line + "\n"
}

// drawShares lists the members of either ring with their partitions before and
// after the plan, pending transfers counted as done.
func (p *Plan) drawShares(text *strings.Builder) {
	before, after := shares(p.Before.state.future()), shares(p.Next.state.future())
	names := map[NodeName]bool{}
	width := 0
	for _, m := range slices.Concat(p.Before.state.Members, p.Next.state.Members) {
		names[m.Name] = true
		width = max(width, len(m.Name))
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, is := before[name], after[name]
		fmt.Fprintf(text, "  %-*s %6s > %6s  %4d > %-4d %+d\n", width, name,
			percent(was, p.Before.Size()), percent(is, p.Next.Size()), was, is, is-was)
	}
}
