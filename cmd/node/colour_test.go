package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/ring"
)

var escapes = regexp.MustCompile("\x1b\\[[0-9]*m")

func exampleRing(t *testing.T) *ring.Ring {
	t.Helper()
	var members []ring.Member
	for _, name := range []ring.NodeName{"n1", "n2", "n3"} {
		members = append(members, ring.Member{Name: name, Address: string(name)})
	}
	r, err := ring.New("example", 12, 3, members...)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := r.Plan(ring.Leave("n2"))
	if err != nil {
		t.Fatal(err)
	}
	return plan.Next
}

// TestPictureInColour: colour adds to a picture and changes nothing in it.
func TestPictureInColour(t *testing.T) {
	r := exampleRing(t)
	plainText, coloured := drawRing(r, palette{}), drawRing(r, palette{on: true})
	if plainText != r.String() {
		t.Errorf("without colour:\n%s\nwant:\n%s", plainText, r)
	}
	if escapes.ReplaceAllString(coloured, "") != plainText {
		t.Errorf("with colour:\n%s", coloured)
	}
	for _, want := range []string{
		"\x1b[36ma\x1b[0m",       // a partition of n1
		"\x1b[33mb\x1b[0m>\x1b[", // one that moves away from n2
		"\x1b[33mn2\x1b[0m",
		"\x1b[33mleaving\x1b[0m",
		"\x1b[32mvalid\x1b[0m",
	} {
		if !strings.Contains(coloured, want) {
			t.Errorf("no %q in %q", want, coloured)
		}
	}
	if strings.Contains(strings.Split(coloured, "\n")[0], "\x1b") {
		t.Errorf("colour in the heading: %q", coloured)
	}
}

// TestColumnsLineUp with and without colour.
func TestColumnsLineUp(t *testing.T) {
	m := httpapi.Members{Via: "a", Members: []httpapi.MemberShare{
		{Member: httpapi.Member{Name: "a", Status: ring.Valid, Address: "h:1"}, HTTP: "h:80", Liveness: "alive", Share: 0.125, NextShare: 0.5},
		{Member: httpapi.Member{Name: "larger", Status: ring.Leaving, Address: "h:2", Zone: "z"}, Liveness: "suspect", Share: 0.875, NextShare: 0.5},
	}}
	want := `===== Membership =====
Status    Ring    Pending   Node     Seen      Address   HTTP   Zone
valid     12.5%   50.0%     a        alive     h:1       h:80
leaving   87.5%   50.0%     larger   suspect   h:2              z
Valid:1 / Leaving:1 / Exiting:0 / Joining:0 / Down:0
`
	if got := drawMembers(m, palette{}); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	coloured := drawMembers(m, palette{on: true})
	if escapes.ReplaceAllString(coloured, "") != want || !strings.Contains(coloured, "\x1b[33msuspect\x1b[0m") {
		t.Errorf("with colour: %q", coloured)
	}
}

// TestEnvironmentAgainstColour: NO_COLOR and a dumb terminal.
func TestEnvironmentAgainstColour(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        bool
	}{{"TERM", "xterm", true}, {"NO_COLOR", "1", false}, {"NO_COLOR", "", true}, {"TERM", "dumb", false}} {
		getenv := func(name string) string {
			if name == c.name {
				return c.value
			}
			return ""
		}
		if got := likesColour(getenv); got != c.want {
			t.Errorf("%s=%s: %v", c.name, c.value, got)
		}
	}
	if paletteFor(&strings.Builder{}).on {
		t.Error("colour where there is no terminal")
	}
}
