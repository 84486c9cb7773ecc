package ring

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// golden compares text with a file in testdata, which -rewrite writes.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *rewrite {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -rewrite makes it)", err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// named makes members of names.
func named(names ...NodeName) (members []Member) {
	for _, name := range names {
		members = append(members, Member{Name: name})
	}
	return members
}

// lettersOf names the first n members a, b, c and so on.
func lettersOf(n int) (names []NodeName) {
	for i := range n {
		names = append(names, NodeName(lettered(i, 1)))
	}
	return names
}

// mustNew makes a ring of the first n letters.
func mustNew(t testing.TB, size, targetN, n int) *Ring {
	t.Helper()
	r, err := New("demo", size, targetN, named(lettersOf(n)...)...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mustPlan plans changes that must be possible.
func mustPlan(t testing.TB, r *Ring, changes ...Change) *Plan {
	t.Helper()
	p, err := r.Plan(changes...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// mustComplete carries out transfers that must be pending.
func mustComplete(t testing.TB, r *Ring, transfers ...Transfer) *Ring {
	t.Helper()
	for _, transfer := range transfers {
		next, err := r.Complete(transfer)
		if err != nil {
			t.Fatal(err)
		}
		r = next
	}
	return r
}

// anyRing draws a ring whose members own partitions at random: claim did not
// make it, but it is valid.
func anyRing(t *rapid.T) *Ring {
	names := lettersOf(rapid.IntRange(1, 8).Draw(t, "members"))
	s := State{
		ClusterID: "demo", Epoch: 1, Hash: HashName,
		TargetN: rapid.IntRange(1, 5).Draw(t, "target N"),
		Owners:  rapid.SliceOfN(rapid.SampledFrom(names), 1, 40).Draw(t, "owners"),
	}
	for _, name := range names {
		s.Members = append(s.Members, Member{Name: name, Status: Valid})
	}
	r, err := FromState(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// assertError wants err to be exactly the text, "" for none.
func assertError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("error %q\nwant  %q", got, want)
	}
}

// ringOf makes a ring with the owners given as words, all of them valid.
func ringOf(t testing.TB, owners string) *Ring {
	t.Helper()
	s := State{ClusterID: "demo", Epoch: 1, Hash: HashName, TargetN: 3}
	for word := range strings.FieldsSeq(owners) {
		s.Owners = append(s.Owners, NodeName(word))
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(s.Owners))) {
		s.Members = append(s.Members, Member{Name: name, Status: Valid})
	}
	r, err := FromState(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
