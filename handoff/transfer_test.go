package handoff_test

import (
	"testing"

	"github.com/torc-io/torc/handoff"
)

// Each type and phase is read as it is written, and no other word is.
func TestWordsRoundTrip(t *testing.T) {
	for kind := handoff.Repair; kind <= handoff.Hinted; kind++ {
		var again handoff.Type
		if text, err := kind.MarshalText(); err != nil || again.UnmarshalText(text) != nil || again != kind {
			t.Errorf("%v is written as %q, %v, and read as %v", kind, text, err, again)
		}
	}
	for phase := handoff.Waiting; phase <= handoff.Done; phase++ {
		var again handoff.Phase
		if text, err := phase.MarshalText(); err != nil || again.UnmarshalText(text) != nil || again != phase {
			t.Errorf("%v is written as %q, %v, and read as %v", phase, text, err, again)
		}
	}
	for _, word := range []string{"", "Hinted", "type(9)"} {
		if new(handoff.Type).UnmarshalText([]byte(word)) == nil || new(handoff.Phase).UnmarshalText([]byte(word)) == nil {
			t.Errorf("%q is read as something", word)
		}
	}
	if got := handoff.Phase(200).String(); got != "done" {
		t.Errorf("a phase of no meaning is %q", got)
	}
}

// A claim of chunks that never came is broken, whatever the counts say.
func TestSealOfMissingChunks(t *testing.T) {
	var s handoff.Standing
	r, _, refusal := s.Welcome(handoff.Hello{Transfer: handoff.Transfer{Type: handoff.Ownership}, ID: 1}, 0)
	if refusal != nil {
		t.Fatal(refusal)
	}
	if _, err := r.Seal(handoff.Claim{Chunks: 1}, 0, 0); err == nil || r.Sealed() {
		t.Errorf("error %v, sealed: %v", err, r.Sealed())
	}
}
