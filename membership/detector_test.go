package membership_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/torc-io/torc/membership"
)

// TestDetectorStory follows one peer through a life: the times are offsets from
// the start, and each line shows what an event changed.
func TestDetectorStory(t *testing.T) {
	begin := time.Unix(0, 0)
	var d membership.Detector
	d.SetPeers(begin, []string{"b"})
	story := []struct {
		at    time.Duration
		event string
		want  string
	}{
		{0, "tick", ""},
		{250 * time.Millisecond, "contact", "b unproven→alive"},
		{500 * time.Millisecond, "contact", ""},
		{1499 * time.Millisecond, "tick", ""},
		{1500 * time.Millisecond, "tick", "b alive→suspect"},
		{1600 * time.Millisecond, "broken", ""},
		{2499 * time.Millisecond, "tick", ""},
		{2500 * time.Millisecond, "tick", "b suspect→down"},
		{time.Hour, "tick", ""},
		{time.Hour, "broken", ""},
		{time.Hour, "contact", "b down→alive"},
		{time.Hour, "broken", "b alive→suspect"},
		{time.Hour + 100*time.Millisecond, "tick", ""},
		{time.Hour + 200*time.Millisecond, "contact", "b suspect→alive"},
	}
	for _, s := range story {
		if got := apply(&d, s.event, begin.Add(s.at)); got != s.want {
			t.Errorf("%s at %v changed %q, want %q", s.event, s.at, got, s.want)
		}
	}
}

func apply(d *membership.Detector, event string, now time.Time) string {
	var changes []membership.Change
	keep := func(c membership.Change, changed bool) {
		if changed {
			changes = append(changes, c)
		}
	}
	switch event {
	case "tick":
		changes = d.Tick(now)
	case "contact":
		keep(d.Contact(now, "b"))
	case "broken":
		keep(d.Broken("b"))
	}
	var words []string
	for _, c := range changes {
		words = append(words, fmt.Sprintf("%s %v→%v", c.Peer, c.From, c.To))
	}
	return strings.Join(words, ", ")
}

func TestSilentNewPeerIsSuspected(t *testing.T) {
	begin := time.Unix(0, 0)
	var d membership.Detector
	d.SetPeers(begin, []string{"b"})
	if got := apply(&d, "tick", begin.Add(membership.SuspectAfter)); got != "b unproven→suspect" {
		t.Errorf("a peer that was never heard of: %q", got)
	}
}

func TestPeersAreKeptAndForgotten(t *testing.T) {
	begin := time.Unix(0, 0)
	var d membership.Detector
	d.SetPeers(begin, []string{"b", "c"})
	d.Contact(begin, "b")
	d.SetPeers(begin, []string{"b"})
	if got := d.Liveness("b"); got != membership.Alive {
		t.Errorf("b, which remained a peer, is %v", got)
	}
	if got := d.Liveness("c"); got != membership.Down {
		t.Errorf("c, which is no peer any more, is %v", got)
	}
	if _, changed := d.Contact(begin, "c"); changed {
		t.Error("a stranger's contact changed something")
	}
}

// TestDetectorAgainstTwin holds the detector against the definition: the state
// follows from the last contact and from whether a break came after it.
func TestDetectorAgainstTwin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(0, 0)
		var d membership.Detector
		d.SetPeers(now, []string{"b"})
		last, ever, broken := now, false, false
		worst := membership.Unproven // since the last contact
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, 1, 250e6, 999e6, 1000e6, 2000e6}).Draw(t, "passes"))
			event := rapid.SampledFrom([]string{"tick", "contact", "broken"}).Draw(t, "event")
			apply(&d, event, now)
			switch event {
			case "contact":
				last, ever, broken, worst = now, true, false, membership.Alive
			case "broken":
				broken = broken || (ever && worst == membership.Alive)
			}
			if broken {
				worst = max(worst, membership.Suspect)
			}
			if event == "tick" && now.Sub(last) >= membership.SuspectAfter {
				worst = max(worst, membership.Suspect)
			}
			if event == "tick" && now.Sub(last) >= membership.DownAfter {
				worst = membership.Down
			}
			if got := d.Liveness("b"); got != worst {
				t.Fatalf("after %s: %v, want %v", event, got, worst)
			}
		}
	})
}

// TestDetectorResumes: an observer that was stopped does not take its own silence
// for that of its peers.
func TestDetectorResumes(t *testing.T) {
	start := time.Unix(0, 0)
	var d membership.Detector
	d.SetPeers(start, []string{"a"})
	d.Contact(start, "a")
	woken := start.Add(time.Minute)
	d.Resume(woken)
	if changes := d.Tick(woken); len(changes) > 0 {
		t.Errorf("on waking: %v", changes)
	}
	if changes := d.Tick(woken.Add(membership.DownAfter)); len(changes) != 1 || changes[0].To != membership.Down {
		t.Errorf("after a silence of its own: %v", changes)
	}
}
