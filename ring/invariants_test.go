package ring

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// soundState is a ring of six partitions at epoch 12, with b leaving.
func soundState() State {
	return State{
		ClusterID: "demo", Epoch: 12, Hash: HashName, TargetN: 2,
		Members: []Member{
			{Name: "a", Status: Valid},
			{Name: "b", Status: Leaving},
			{Name: "c", Status: Valid},
			{Name: "d", Status: Joining},
			{Name: "e", Status: Exiting},
			{Name: "f", Status: Down},
		},
		Owners:    []NodeName{"a", "b", "c", "a", "b", "c"},
		Transfers: []Transfer{{1, "b", "a"}, {4, "b", "c"}},
	}
}

func TestEveryInvariantNamesBothSides(t *testing.T) {
	for _, test := range []struct {
		spoil func(*State)
		want  string
	}{
		{func(s *State) {}, ""},
		{func(s *State) { s.ClusterID = "" }, "ring: no cluster id at epoch 12"},
		{func(s *State) { s.Epoch = 0 }, "ring: cluster demo is at epoch 0, the first is 1"},
		{func(s *State) { s.Hash = "sha1" }, `ring: keys are placed by hash "sha1" at epoch 12, here by "xxh3-64"`},
		{func(s *State) { s.Owners = nil }, "ring: 0 partitions, want 1 to 4096"},
		{func(s *State) { s.Owners = make([]NodeName, MaxSize+1) }, "ring: 4097 partitions, want 1 to 4096"},
		{func(s *State) { s.TargetN = 0 }, "ring: target N is 0, want 1 to 16"},
		{func(s *State) { s.TargetN = 17 }, "ring: target N is 17, want 1 to 16"},
		{func(s *State) { s.Members = make([]Member, MaxMembers+1) }, "ring: 1025 members, want at most 1024"},
		{func(s *State) { s.Members[0].Name = "" }, "ring: a member has no name"},
		{func(s *State) { s.Members[0].Name = "a b" }, `ring: name "a b" holds a space, a slash or an unprintable character`},
		{func(s *State) { s.Members[0].Status = gone }, "ring: member a has unknown status(0)"},
		{func(s *State) { s.Members[1].Name = "a" }, "ring: member a is listed before a"},
		{func(s *State) { s.Members[0].Name = "z" }, "ring: member z is listed before b"},
		{func(s *State) { s.Owners[5] = "" }, "ring: partition 5: nobody owns it at epoch 12, though a claims"},
		{func(s *State) { s.Owners[5] = "x" }, "ring: partition 5: x owns it at epoch 12, but is no member"},
		{func(s *State) { s.Owners[5] = "d" }, "ring: partition 5: d owns it at epoch 12, but is joining"},
		{func(s *State) { s.Owners[5] = "e" }, "ring: partition 5: e owns it at epoch 12, but is exiting"},
		{func(s *State) { s.Owners[5] = "f" }, "ring: partition 5: f owns it at epoch 12, but is down"},
		{func(s *State) { s.Transfers[1].Partition = 6 }, "ring: partition 6: b and c transfer it at epoch 12, but there are 6"},
		{func(s *State) { s.Transfers[1] = Transfer{1, "b", "c"} }, "ring: partition 1: a and c both claim it at epoch 12"},
		{func(s *State) { s.Transfers[1] = Transfer{0, "a", "c"} }, "ring: transfer of partition 1 is listed before that of 0"},
		{func(s *State) { s.Transfers[1].From = "c" }, `ring: partition 4: "c" gives it away at epoch 12, but "b" owns it`},
		{func(s *State) { s.Transfers[1].To = "b" }, "ring: partition 4: b transfers it to itself at epoch 12"},
		{func(s *State) { s.Transfers[1].To = "x" }, "ring: partition 4: x is to get it from b at epoch 12, but is no member"},
		{func(s *State) { s.Transfers[1].To = "f" }, "ring: partition 4: f is to get it from b at epoch 12, but is down"},
	} {
		s := soundState()
		test.spoil(&s)
		_, err := FromState(s)
		assertError(t, err, test.want)
	}
}

// Whatever ring a function returns, its state makes the same ring again.
func TestStateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, err := anyRing(t).Plan(Join(Member{Name: "z", Address: "127.0.0.1:7001", Incarnation: 3}))
		if err != nil {
			t.Fatal(err)
		}
		again, err := FromState(p.Next.State())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p.Next.State(), again.State()); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if p.Next.String() != again.String() {
			t.Fatalf("one ring:\n%v\nanother:\n%v", p.Next, again)
		}
	})
}

func TestStateIsACopy(t *testing.T) {
	s := soundState()
	r, err := FromState(s)
	if err != nil {
		t.Fatal(err)
	}
	before := r.String()
	for _, state := range []State{s, r.State()} {
		state.Owners[0], state.Members[0].Name, state.Transfers[0].To = "x", "x", "x"
	}
	r.Members()[0].Name, r.Transfers()[0].To = "x", "x"
	if after := r.String(); after != before {
		t.Errorf("the ring changed from\n%s\nto\n%s", before, after)
	}
}

// FuzzFromState reads bytes as a state: FromState must refuse it or make a ring
// that can be asked, drawn and planned for.
func FuzzFromState(f *testing.F) {
	f.Add([]byte("abcabc"), []byte{2, 2, 2}, []byte{1, 0, 1}, 3)
	f.Add([]byte{}, []byte{}, []byte{}, 1)
	f.Add([]byte("aab"), []byte{2, 3, 5}, []byte{0, 0, 1, 1, 1, 0}, 16)
	f.Fuzz(func(t *testing.T, owners, statuses, transfers []byte, n int) {
		if len(owners) > 64 || len(statuses) > 16 {
			t.Skip("large rings are slow and no more telling")
		}
		r, err := FromState(stateOfBytes(owners, statuses, transfers, n))
		if err != nil {
			return
		}
		for p := range r.Size() {
			r.ReachableList(Partition(p), n, func(name NodeName) bool { return name > "b" })
		}
		_ = fmt.Sprint(r, r.MembersTable())
		if plan, err := r.Plan(Join(Member{Name: "newcomer"})); err != nil {
			t.Errorf("a member cannot join a sound ring: %v\n%v", err, r)
		} else if err := checkPlan(plan); err != nil {
			t.Errorf("%v\n%v", err, plan)
		}
	})
}

// stateOfBytes makes a state that is often nearly sound.
func stateOfBytes(owners, statuses, transfers []byte, n int) State {
	s := State{ClusterID: "fuzz", Epoch: 1, Hash: HashName, TargetN: n}
	name := func(b byte) NodeName {
		if b == 0 {
			return ""
		}
		return NodeName(rune(b))
	}
	for _, b := range owners {
		s.Owners = append(s.Owners, name(b))
	}
	for i, b := range statuses {
		s.Members = append(s.Members, Member{Name: name('a' + byte(i)), Status: Status(b)})
	}
	for i := 0; i+2 < len(transfers); i += 3 {
		s.Transfers = append(s.Transfers, Transfer{Partition(transfers[i]), name('a' + transfers[i+1]), name('a' + transfers[i+2])})
	}
	return s
}
