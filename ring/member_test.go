package ring

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

var statuses = []Status{gone, Joining, Valid, Leaving, Exiting, Down}

// The whole table, drawn: a row may become a column where there is an x.
func TestTransitions(t *testing.T) {
	want := `
         gone joining valid leaving exiting down
gone     .    x       x     .       .       .
joining  x    .       x     .       .       x
valid    .    .       .     x       .       x
leaving  .    .       x     .       x       x
exiting  x    x       x     .       .       x
down     x    x       x     .       .       .
`
	if got := drawTransitions(); got != want {
		t.Errorf("transitions are\n%s\nwant\n%s", got, want)
	}
}

func drawTransitions() string {
	var text strings.Builder
	row := func(first string, cells func(Status) string) {
		line := fmt.Sprintf("%-8s", first)
		for _, next := range statuses {
			line += fmt.Sprintf(" %-*s", len(describeStatus(next)), cells(next))
		}
		text.WriteString("\n" + strings.TrimRight(line, " "))
	}
	row("", describeStatus)
	for _, now := range statuses {
		row(describeStatus(now), func(next Status) string {
			if now.CanBecome(next) {
				return "x"
			}
			return "."
		})
	}
	return text.String() + "\n"
}

func describeStatus(s Status) string {
	if s == gone {
		return "gone"
	}
	return s.String()
}

// A member that may own partitions must not vanish: its status allows neither
// gone nor anything but handing off or being given up.
func TestOwnersDoNotVanish(t *testing.T) {
	for _, s := range statuses {
		if s.MayOwn() && s.CanBecome(gone) {
			t.Errorf("a member that is %v owns partitions, and may be removed", s)
		}
		if s.Claims() && !s.MayOwn() {
			t.Errorf("a member that is %v claims partitions, but may not own any", s)
		}
	}
}

func TestStatusWords(t *testing.T) {
	for _, s := range statuses[1:] {
		parsed, err := ParseStatus(s.String())
		if err != nil || parsed != s {
			t.Errorf("ParseStatus(%q) = %v, %v", s, parsed, err)
		}
	}
	_, err := ParseStatus("retired")
	assertError(t, err, `ring: "retired" is no state of a member`)
	if got := Status(77).String(); got != "status(77)" {
		t.Errorf("an unknown status is called %q", got)
	}
}

func TestStatusInJSON(t *testing.T) {
	type entry struct {
		Status Status `json:"status"`
	}
	text, err := json.Marshal(entry{Leaving})
	if err != nil || string(text) != `{"status":"leaving"}` {
		t.Errorf("%s, %v", text, err)
	}
	var e entry
	if err := json.Unmarshal(text, &e); err != nil || e.Status != Leaving {
		t.Errorf("read %v, %v", e, err)
	}
	if err := json.Unmarshal([]byte(`{"status":"retired"}`), &e); err == nil {
		t.Error("an unknown status was read")
	}
	if _, err := json.Marshal(entry{}); err == nil {
		t.Error("a member without a status was written")
	}
}

func TestNames(t *testing.T) {
	for _, name := range []NodeName{"a", "node-1.eu_west", "riak@127.0.0.1", "größe", NodeName(strings.Repeat("n", MaxNameBytes))} {
		if err := name.validate(); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []NodeName{"", "a b", "kv/3", "tab\t", "\xff", "bell\a", NodeName(strings.Repeat("n", MaxNameBytes+1))} {
		if name.validate() == nil {
			t.Errorf("%q passes for a name", name)
		}
	}
}
