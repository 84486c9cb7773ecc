package ring

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewIsSettledAtEpochOne(t *testing.T) {
	r := mustNew(t, DefaultSize, DefaultTargetN, 3)
	if r.Epoch() != 1 || len(r.Transfers()) != 0 || r.Violations(3) != 0 {
		t.Errorf("the first ring has work to do:\n%v", r)
	}
	for _, m := range r.Members() {
		if owned := len(slices.Collect(r.Owned(m.Name))); m.Status != Valid || owned != 40 {
			t.Errorf("%s is %v and owns %d partitions, want 40", m.Name, m.Status, owned)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, test := range []struct {
		id            string
		size, targetN int
		members       []Member
		want          string
	}{
		{"demo", 0, 3, nil, "ring: 0 partitions, want 1 to 4096"},
		{"demo", -1, 3, nil, "ring: -1 partitions, want 1 to 4096"},
		{"demo", 60, 0, nil, "ring: target N is 0, want 1 to 16"},
		{"", 60, 3, nil, "ring: no cluster id at epoch 1"},
		{"demo", 60, 3, named("a", "a"), "ring: a is valid and cannot become valid at epoch 2"},
		{"demo", 60, 3, named(""), "ring: a member has no name"},
		{"demo", 60, 3, nil, ""},
	} {
		_, err := New(test.id, test.size, test.targetN, test.members...)
		assertError(t, err, test.want)
	}
}

func TestMoreMembersThanPartitions(t *testing.T) {
	r := mustNew(t, 4, 3, 6)
	if r.Violations(3) != 0 || len(slices.Collect(r.Owned("f"))) > 1 {
		t.Errorf("four partitions among six:\n%v", r)
	}
}

func TestAPlanLeavesItsRingAlone(t *testing.T) {
	r := mustNew(t, 12, 3, 3)
	before := r.String()
	p := mustPlan(t, r, Join(Member{Name: "d"}))
	if r.String() != before || p.Before != r || p.Next.Epoch() != r.Epoch()+1 {
		t.Errorf("planning changed the ring:\n%v", r)
	}
}

func TestOwnersStayUntilTransfersComplete(t *testing.T) {
	r := mustNew(t, 12, 3, 3)
	p := mustPlan(t, r, Join(Member{Name: "d"}))
	if got := len(slices.Collect(p.Next.Owned("d"))); got != 0 || len(p.Transfers) != 3 {
		t.Fatalf("d owns %d partitions before any transfer:\n%v", got, p)
	}
	first := p.Transfers[0]
	next := mustComplete(t, p.Next, first)
	if next.Owner(first.Partition) != "d" || next.Epoch() != p.Next.Epoch()+1 || len(next.Transfers()) != 2 {
		t.Errorf("after %v:\n%v", first, next)
	}
}

func TestCompleteRefusesWhatIsNotPending(t *testing.T) {
	p := mustPlan(t, ringOf(t, "a b a b a b a b a b a b"), Join(Member{Name: "c"}))
	first := p.Transfers[0]
	next := mustComplete(t, p.Next, first)
	_, err := next.Complete(first)
	assertError(t, err, fmt.Sprintf("ring: partition %d: no transfer from %s to c is pending at epoch 3", first.Partition, first.From))

	planned := p.Transfers[1]
	_, err = next.Complete(Transfer{planned.Partition, planned.From, "d"})
	assertError(t, err, fmt.Sprintf("ring: partition %d: the transfer at epoch 3 is from %s to %s, not from %s to d", planned.Partition, planned.From, planned.To, planned.From))

	if _, err := next.Complete(Transfer{Partition: 99}); err == nil {
		t.Error("a partition that does not exist was transferred")
	}
}

func TestAMemberLeavesAndIsGone(t *testing.T) {
	r := mustPlan(t, mustNew(t, 12, 3, 4), Leave("b")).Next
	assertStatus(t, r, "b", Leaving)
	for _, transfer := range r.Transfers() {
		assertStatus(t, r, "b", Leaving)
		r = mustComplete(t, r, transfer)
	}
	assertStatus(t, r, "b", Exiting)
	p := mustPlan(t, r, Remove("b"))
	if _, known := p.Next.Member("b"); known || p.Moves != 0 || len(p.Next.Transfers()) != 0 {
		t.Errorf("removing b:\n%v", p)
	}
}

func assertStatus(t *testing.T, r *Ring, name NodeName, want Status) {
	t.Helper()
	if m, _ := r.Member(name); m.Status != want {
		t.Errorf("%s is %v, want %v", name, describe(m.Status), want)
	}
}

func TestALeaveIsCalledOff(t *testing.T) {
	r := mustNew(t, 60, 3, 6)
	p := mustPlan(t, mustPlan(t, r, Leave("b")).Next, Join(Member{Name: "b"}))
	if p.Moves != 0 || len(p.Next.Transfers()) != 0 || len(p.Dropped) == 0 {
		t.Errorf("b stays, and something moves:\n%v", p)
	}
	if diff := cmp.Diff(r.State().Owners, p.Next.state.future()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAReplacementTakesOverExactly(t *testing.T) {
	for members := 2; members <= 9; members++ {
		r := mustNew(t, 64, 3, members)
		owned := slices.Collect(r.Owned("b"))
		p := mustPlan(t, r, Replace("b", Member{Name: "z"}))
		for i, transfer := range p.Transfers {
			if want := (Transfer{owned[i], "b", "z"}); transfer != want {
				t.Errorf("of %d: transfer %v, want %v", members, transfer, want)
			}
		}
		if p.Moves != len(owned) || p.Moves != p.LowerBound {
			t.Errorf("%d moves for %d partitions:\n%v", p.Moves, len(owned), p)
		}
	}
}

func TestADownMemberLosesItsPartitionsAtOnce(t *testing.T) {
	r := mustNew(t, 12, 3, 4)
	p := mustPlan(t, r, MarkDown("b"))
	assertStatus(t, p.Next, "b", Down)
	if len(p.Rebuilt) != 3 || len(slices.Collect(p.Next.Owned("b"))) != 0 {
		t.Errorf("b is down and was to lose three partitions:\n%v", p)
	}
	for _, transfer := range p.Rebuilt {
		if transfer.From != "b" || p.Next.Owner(transfer.Partition) != transfer.To {
			t.Errorf("%v does not say what happened:\n%v", transfer, p)
		}
	}
	back := mustPlan(t, p.Next, Announce(Member{Name: "b"}))
	assertStatus(t, back.Next, "b", Joining)
	if back.Moves != 0 || len(back.Transfers) != 0 {
		t.Errorf("b came back, and something moves before it joins:\n%v", back)
	}
}

func TestAPlanDuringTransfers(t *testing.T) {
	r := mustPlan(t, mustNew(t, 12, 3, 3), Join(Member{Name: "d"})).Next
	p := mustPlan(t, r, MarkDown("d"))
	if len(p.Next.Transfers()) != 0 || len(p.Dropped) != 3 || p.Moves != 0 {
		t.Errorf("d never got anything, and is down:\n%v", p)
	}
	p = mustPlan(t, r, Replace("d", Member{Name: "e"}))
	assertStatus(t, p.Next, "d", Exiting)
	for i, transfer := range p.Next.Transfers() {
		old := r.Transfers()[i]
		if transfer != (Transfer{old.Partition, old.From, "e"}) || !slices.Contains(p.Dropped, old) {
			t.Errorf("%v became %v:\n%v", old, transfer, p)
		}
	}
}

// A restart of a node, or a node that shows up, must not set off transfers, not
// even in a ring that is out of balance.
func TestSomeChangesMoveNothing(t *testing.T) {
	r := ringOf(t, "a a a a b c") //nolint:dupword // the owners of a ring
	for _, change := range []Change{
		Update(Member{Name: "a", Address: "10.0.0.1:7001", Incarnation: 2}),
		Announce(Member{Name: "d"}),
	} {
		if p := mustPlan(t, r, change); p.Moves != 0 || len(p.Next.Transfers()) != 0 || p.Idle() {
			t.Errorf("%v:\n%v", change, p)
		}
	}
	if p := mustPlan(t, r); p.Moves != 2 {
		t.Errorf("asked to, a plan rebalances:\n%v", p)
	}
}

func TestUpdateKeepsTheStatus(t *testing.T) {
	r := mustPlan(t, mustNew(t, 12, 3, 4), Leave("b")).Next
	next := mustPlan(t, r, Update(Member{Name: "b", Address: "here:1", Incarnation: 7, Status: Valid})).Next
	want := Member{Name: "b", Address: "here:1", Incarnation: 7, Status: Leaving}
	if got, _ := next.Member("b"); got != want {
		t.Errorf("b is %v, want %v", got, want)
	}
	_, err := next.Plan(Update(Member{Name: "b", Incarnation: 6}))
	assertError(t, err, "ring: b is at incarnation 7, which cannot become 6")
}

func TestImpossibleChanges(t *testing.T) {
	r := mustPlan(t, mustNew(t, 12, 3, 3), MarkDown("c"), Announce(Member{Name: "d"})).Next
	for _, test := range []struct {
		changes []Change
		want    string
	}{
		{[]Change{Join(Member{Name: "a"})}, "ring: a is valid and cannot become valid at epoch 3"},
		{[]Change{Announce(Member{Name: "a"})}, "ring: a is valid and cannot become joining at epoch 3"},
		{[]Change{Leave("d")}, "ring: d is joining and cannot become leaving at epoch 3"},
		{[]Change{Leave("x")}, "ring: x is no member at epoch 3"},
		{[]Change{Update(Member{Name: "x"})}, "ring: x is no member at epoch 3"},
		{[]Change{Remove("a")}, "ring: a is valid and cannot be removed at epoch 3"},
		{[]Change{Replace("a", Member{Name: "a"})}, "ring: a cannot replace itself"},
		{[]Change{Replace("c", Member{Name: "e"})}, "ring: c is down and cannot become leaving at epoch 3"},
		{[]Change{MarkDown("c")}, "ring: c is down and cannot become down at epoch 3"},
		{[]Change{{}}, "ring: a change was made without a constructor"},
		{[]Change{Leave("a"), Leave("b")}, "ring: partition 0: a, who owns it, may not give it up at epoch 3: nobody else claims"},
		{[]Change{Leave("a"), MarkDown("b")}, "ring: partition 0: a, who owns it, may not give it up at epoch 3: nobody else claims"},
		{[]Change{Remove("c"), Remove("d"), Leave("b")}, ""},
		{[]Change{Leave("a"), Leave("b"), Join(Member{Name: "d"})}, ""},
	} {
		_, err := r.Plan(test.changes...)
		assertError(t, err, test.want)
	}
}

func TestTheFirstMemberOfAnEmptyRing(t *testing.T) {
	empty, err := New("demo", 12, 3)
	if err != nil {
		t.Fatal(err)
	}
	p := mustPlan(t, empty, Join(Member{Name: "a"}))
	if p.Moves != 0 || p.LowerBound != 0 || len(p.Next.Transfers()) != 0 || p.Next.Owner(11) != "a" {
		t.Errorf("there is nothing to move:\n%v", p)
	}
	if idle := mustPlan(t, empty); !idle.Idle() {
		t.Errorf("nobody claims, and something changes:\n%v", idle)
	}
}

func TestChangesReadAsTheOperatorSaysThem(t *testing.T) {
	m := Member{Name: "d"}
	got := fmt.Sprint([]Change{Join(m), Announce(m), Leave("a"), Replace("a", m), MarkDown("a"), Update(m), Remove("a"), {}})
	if want := "[join d announce d leave a replace a by d down a update d remove a no change]"; got != want {
		t.Errorf("changes read %s, want %s", got, want)
	}
}

// A cluster's life in pictures: each change, its plan, and the ring it leads to.
func TestGoldenLife(t *testing.T) {
	var text strings.Builder
	r := mustNew(t, 24, 3, 3)
	text.WriteString(r.String())
	for _, changes := range [][]Change{
		{Join(Member{Name: "d"})},
		{Join(Member{Name: "e"}), Join(Member{Name: "f"})},
		{Replace("b", Member{Name: "g"})},
		{MarkDown("c")},
		{Leave("a"), Remove("c")},
	} {
		p := mustPlan(t, r, changes...)
		fmt.Fprintf(&text, "\n%v\n%v", p, p.Next)
		r = mustComplete(t, p.Next, p.Next.Transfers()...)
	}
	fmt.Fprintf(&text, "\n%v", r)
	golden(t, "life.txt", text.String())
}

// A plan that is changed while it is being carried out.
func TestGoldenSecondThoughts(t *testing.T) {
	var text strings.Builder
	p := mustPlan(t, mustNew(t, DefaultSize, 3, 5), Join(Member{Name: "f"}))
	fmt.Fprintf(&text, "%v\n%v\n", p, p.Next)
	r := mustComplete(t, p.Next, p.Transfers[:len(p.Transfers)/2]...)
	p = mustPlan(t, r, Leave("f"), MarkDown("a"))
	fmt.Fprintf(&text, "%v\n%v", p, p.Next)
	golden(t, "second_thoughts.txt", text.String())
}

func TestLookupsOutsideTheRing(t *testing.T) {
	r := mustNew(t, 12, 3, 3)
	if owner := r.Owner(12); owner != "" {
		t.Errorf("%s owns a partition that does not exist", owner)
	}
	if _, pending := r.Transfer(12); pending {
		t.Error("a partition that does not exist is on the move")
	}
	if _, known := r.Member("x"); known {
		t.Error("x is a member")
	}
	for p := range r.Owned("b") {
		if p != 1 {
			t.Errorf("the first partition of b is %d, want 1", p)
		}
		break
	}
}
