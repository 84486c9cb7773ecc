package ring

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The first table is the one that riak-admin's users know.
func TestGoldenMembersTable(t *testing.T) {
	var text strings.Builder
	first := mustPlan(t, ringOf(t, "a b b b b b b b")).Next
	fmt.Fprintf(&text, "one of two just joined:\n%s\n", first.MembersTable())
	r, err := FromState(soundState())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&text, "one in every state:\n%s\n", r.MembersTable())
	empty, err := New("demo", 8, 3)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&text, "nobody:\n%s", empty.MembersTable())
	golden(t, "members.txt", text.String())
}

// Long names get letters, and a ring that nobody owns has dots.
func TestGoldenPictures(t *testing.T) {
	var text strings.Builder
	empty, err := New("nobody", 8, 3)
	if err != nil {
		t.Fatal(err)
	}
	long, err := New("long names", 12, 3, named("oslo-1", "bergen-2", "tromsø-3")...)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&text, "%v\n%v\n%v", empty, long, mustPlan(t, long, Leave("oslo-1")).Next)
	golden(t, "pictures.txt", text.String())
}

func TestSymbolsAreDistinctAndOfOneWidth(t *testing.T) {
	for _, n := range []int{0, 1, 2, 52, 53, 1024} {
		var members []Member
		for i := range n {
			members = append(members, Member{Name: NodeName(fmt.Sprintf("node%d", i))})
		}
		symbols := symbolsFor(members)
		seen := map[string]bool{}
		for _, symbol := range symbols {
			seen[symbol] = true
			if len(symbol) != len(symbols[""]) {
				t.Errorf("of %d members, %q is not as wide as %q", n, symbol, symbols[""])
			}
		}
		if len(seen) != n+1 {
			t.Errorf("%d members and nobody have %d symbols", n, len(seen))
		}
	}
}

func TestRangesAndLines(t *testing.T) {
	var transfers []Transfer
	for _, p := range []Partition{0, 1, 2, 5, 7, 8} {
		transfers = append(transfers, Transfer{Partition: p})
	}
	if got := ranges(transfers); !slices.Equal(got, []string{"0-2", "5", "7-8"}) {
		t.Errorf("ranges %q", got)
	}
	for line := range strings.SplitSeq(wrapped("  a > b  99:", slices.Repeat([]string{"1000-1001"}, 30)), "\n") {
		if len(line) > lineWidth {
			t.Errorf("%q is longer than %d", line, lineWidth)
		}
	}
}
