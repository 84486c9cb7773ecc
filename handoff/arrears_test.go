package handoff

import (
	"slices"
	"testing"

	"github.com/torc-io/torc/ring"
)

func TestArrears(t *testing.T) {
	var a Arrears
	if got := a.Tell("b", nil); len(got) > 0 || a.Behind(1) {
		t.Errorf("nobody holds anything, and %v are concerned", got)
	}
	a.Tell("b", []ring.Partition{1, 2})
	a.Tell("c", []ring.Partition{2})
	if !a.Behind(1) || !a.Behind(2) || a.Behind(3) {
		t.Error("behind in 1 and 2, and in nothing else")
	}
	if got := a.Tell("b", []ring.Partition{3}); !slices.Equal(got, []ring.Partition{1, 2, 3}) {
		t.Errorf("what b held, and holds, concerns 1, 2 and 3, not %v", got)
	}
	if a.Behind(1) || !a.Behind(2) || !a.Behind(3) {
		t.Error("b holds 3 alone now, and c still 2")
	}
	a.Tell("b", nil)
	if a.Behind(3) || !a.Behind(2) {
		t.Error("b holds nothing any more")
	}
}

// TestArrearsOfWhoHasLeft is seed 861 of the simulation at first: the last word of a
// node that left got lost, and the node itself was forgotten.
func TestArrearsOfWhoHasLeft(t *testing.T) {
	var a Arrears
	a.Tell("b", []ring.Partition{1})
	a.Tell("c", []ring.Partition{1, 2})
	if got := a.Keep(func(node ring.NodeName) bool { return node != "c" }); !slices.Equal(got, []ring.Partition{1, 2}) {
		t.Errorf("that c has left concerns 1 and 2, not %v", got)
	}
	if !a.Behind(1) || a.Behind(2) {
		t.Error("b holds 1, and nobody 2")
	}
}

// TestArrearsKeepTheirOwn keeps what was told apart from the memory of who told it.
func TestArrearsKeepTheirOwn(t *testing.T) {
	var a Arrears
	held := []ring.Partition{1}
	a.Tell("b", held)
	held[0] = 2
	if !a.Behind(1) || a.Behind(2) {
		t.Error("the caller changes what b has told")
	}
}
