package kv

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	kvpb "github.com/torc-io/torc/proto/torc/kv/v1"
)

// versions draws from few versions, nil among them, so that many are equal.
var versions = rapid.Custom(func(t *rapid.T) *kvpb.Version {
	if rapid.IntRange(0, 9).Draw(t, "nil") == 0 {
		return nil
	}
	return &kvpb.Version{
		Wall:    rapid.Int64Range(-1, 1).Draw(t, "wall"),
		Logical: rapid.Uint32Range(0, 1).Draw(t, "logical"),
		Writer:  rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "writer"),
	}
})

// candidates draws candidates that differ in all fields, nil among them.
var candidates = rapid.Custom(func(t *rapid.T) *kvpb.Object {
	if rapid.IntRange(0, 9).Draw(t, "nil") == 0 {
		return nil
	}
	return &kvpb.Object{
		Version:     versions.Draw(t, "version"),
		Deleted:     rapid.Bool().Draw(t, "deleted"),
		Value:       []byte(rapid.SampledFrom([]string{"", "x", "xy", "y"}).Draw(t, "value")),
		ContentType: rapid.SampledFrom([]string{"", "text/plain"}).Draw(t, "type"),
	}
})

func TestVersionsAreInOneOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := versions.Draw(t, "a"), versions.Draw(t, "b"), versions.Draw(t, "c")
		if compare(a, b) != -compare(b, a) {
			t.Fatalf("compare(a, b) = %d, compare(b, a) = %d", compare(a, b), compare(b, a))
		}
		if (compare(a, b) == 0) != proto.Equal(a, b) {
			t.Fatalf("compare = %d of %v and %v", compare(a, b), a, b)
		}
		if compare(a, b) <= 0 && compare(b, c) <= 0 && compare(a, c) > 0 {
			t.Fatal("a is not newer than b, and b not newer than c, but a is newer than c")
		}
	})
}

func TestVersionsAreOrderedByWallThenLogicalThenWriter(t *testing.T) {
	ascending := []*kvpb.Version{
		nil,
		{Wall: -5},
		{},
		{Writer: "z"},
		{Logical: 1},
		{Logical: 1, Writer: "a"},
		{Wall: 1},
		{Wall: 1, Logical: 2, Writer: "a"},
		{Wall: 1, Logical: 2, Writer: "b"},
		{Wall: 2},
	}
	for i, a := range ascending {
		for j, b := range ascending {
			if got := compare(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("compare(%v, %v) = %d", a, b, got)
			}
		}
	}
}

// TestNewerIsAMerge holds the laws that make replicas agree.
func TestNewerIsAMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := candidates.Draw(t, "a"), candidates.Draw(t, "b"), candidates.Draw(t, "c")
		if !proto.Equal(newer(a, b), newer(b, a)) {
			t.Fatalf("does not commute: %v and %v", newer(a, b), newer(b, a))
		}
		if !proto.Equal(newer(newer(a, b), c), newer(a, newer(b, c))) {
			t.Fatal("does not associate")
		}
		if newer(a, a) != a || !proto.Equal(newer(newer(a, b), b), newer(a, b)) {
			t.Fatal("is not idempotent")
		}
		if r := newer(a, b); r != a && r != b {
			t.Fatalf("made up %v", r)
		}
		if r := newer(a, b); compare(r.GetVersion(), a.GetVersion()) < 0 || compare(r.GetVersion(), b.GetVersion()) < 0 {
			t.Fatalf("%v is older than one of %v and %v", r, a, b)
		}
	})
}

func TestNewerOfEqualVersions(t *testing.T) {
	v := &kvpb.Version{Wall: 7}
	ascending := []*kvpb.Object{
		nil,
		{Version: v, Value: []byte("a")},
		{Version: v, Value: []byte("a"), ContentType: "text/plain"},
		{Version: v, Value: []byte("ab")},
		{Version: v, Value: []byte("b")},
		{Version: v, Deleted: true},
		{Version: &kvpb.Version{Wall: 8}},
	}
	for i, a := range ascending {
		for j, b := range ascending {
			if got := newer(a, b); got != ascending[max(i, j)] {
				t.Errorf("newer(%v, %v) = %v", a, b, got)
			}
		}
	}
}

func TestNewerDoesNotAllocate(t *testing.T) {
	a := &kvpb.Object{Version: &kvpb.Version{Wall: 7}, Value: make([]byte, 1000)}
	b := proto.CloneOf(a)
	if allocs := testing.AllocsPerRun(100, func() { newer(a, b) }); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}
