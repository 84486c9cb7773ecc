package handoff_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// planned returns a ring of 12 partitions on a, b and c that a moves partitions
// of to d, and the first of these moves.
func planned(t *testing.T) (*ring.Ring, handoff.Transfer) {
	t.Helper()
	member := func(name ring.NodeName) ring.Member {
		return ring.Member{Name: name, Address: string(name), Incarnation: 1, Status: ring.Valid}
	}
	r, err := ring.New("test", 12, 3, member("a"), member("b"), member("c"))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := r.Plan(ring.Join(member("d")))
	if err != nil {
		t.Fatal(err)
	}
	for _, move := range plan.Next.Transfers() {
		if move.From == "a" {
			return plan.Next, handoff.OwnershipOf(move)
		}
	}
	t.Fatal("a gives nothing to d")
	return nil, handoff.Transfer{}
}

// of returns some partition of a node.
func of(t *testing.T, r *ring.Ring, node ring.NodeName) ring.Partition {
	t.Helper()
	for p := range r.Owned(node) {
		return p
	}
	t.Fatalf("%s owns nothing", node)
	return 0
}

func everybody(ring.NodeName) bool { return true }

// TestAgendaTakesItFromRingAndVnodes: ownership from the ring, hints from what the
// vnodes owe, repairs from those who ask, in the order of their priority.
func TestAgendaTakesItFromRingAndVnodes(t *testing.T) {
	r, move := planned(t)
	theirs := of(t, r, "b")
	hint := handoff.Transfer{Type: handoff.Hinted, Partition: theirs, Source: theirs, From: "a", To: "b"}
	repair := handoff.Transfer{Type: handoff.Repair, Partition: theirs, Source: of(t, r, "a"), From: "a", To: "b"}
	owes := handoff.Local{Report: handoff.Report{Owes: true}, Partition: theirs}
	o := handoff.Outlook{Now: time.Unix(1, 0), Ring: r, Reachable: everybody, Vnodes: []handoff.Local{owes, owes}}
	a := handoff.NewAgenda("a")
	a.Asked(o, repair)
	for _, no := range []handoff.Transfer{
		{Type: handoff.Repair, Partition: theirs, Source: theirs, From: "a", To: "b"},        // b owns the source itself
		{Type: handoff.Repair, Partition: theirs, Source: repair.Source, From: "a", To: "c"}, // c is not the owner
	} {
		a.Asked(o, no)
	}
	begin := a.Begin(o, nil, 100)
	if begin[0] != repair || begin[1] != move || begin[len(begin)-1] != hint || len(a.Waiting()) > 0 {
		t.Errorf("begins %v, and %v wait", begin, a.Waiting())
	}
	if n := len(slices.DeleteFunc(slices.Clone(begin), func(t handoff.Transfer) bool { return t.Type == handoff.Ownership })); n != 2 {
		t.Errorf("begins %v: one hint and one repair are expected", begin)
	}
	running := []handoff.Running{{Transfer: repair}, {Transfer: hint, Stalled: true}}
	again := a.Begin(o, running, 2)
	if !slices.Equal(again, []handoff.Transfer{move}) {
		t.Errorf("with one that runs and one that is stalled, of two at a time, begins %v", again)
	}
	o.Now = o.Now.Add(handoff.ForgetAsked + 1)
	if begin = a.Begin(o, nil, 100); slices.Contains(begin, repair) {
		t.Error("begins a repair that nobody asks for any more")
	}
}

// TestAgendaSaysWhatKeepsATransfer, and since when.
func TestAgendaSaysWhatKeepsATransfer(t *testing.T) {
	r, move := planned(t)
	began := time.Unix(1, 0)
	own := handoff.Local{Report: handoff.Report{Owner: true}, Partition: move.Partition}
	recovers, behind := own, own
	recovers.Needs = []handoff.Source{{Partition: 1, Node: "b"}}
	behind.Behind = true
	for name, c := range map[string]struct {
		vnode   handoff.Local
		without ring.NodeName
		ended   func(*handoff.Agenda)
		want    string
		lasts   time.Duration
	}{
		"nothing":     {vnode: own},
		"unreachable": {vnode: own, without: "d", want: "d cannot be reached", lasts: time.Hour},
		"recovering":  {vnode: recovers, want: "a is recovering", lasts: time.Hour},
		"behind":      {vnode: behind, want: "are still on their way to a", lasts: time.Hour},
		"refused": {vnode: own, want: "d is busy", lasts: handoff.RefusedPause, ended: func(a *handoff.Agenda) {
			a.Refused(began, move, &handoff.Refusal{Reason: handoff.Busy, Text: "d is busy"})
		}},
		"broken": {vnode: own, want: "an item is odd", lasts: handoff.BrokenPause, ended: func(a *handoff.Agenda) {
			a.Refused(began, move, &handoff.Refusal{Reason: handoff.Broken, Text: "an item is odd"})
		}},
		"ended early": {vnode: own, want: "called off", lasts: handoff.RefusedPause, ended: func(a *handoff.Agenda) {
			a.Ended(began, move, "called off")
		}},
		"done": {vnode: own, ended: func(a *handoff.Agenda) {
			a.Ended(began, move, "called off")
			a.Finished(move)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			a := handoff.NewAgenda("a")
			if c.ended != nil {
				c.ended(a)
			}
			at := func(now time.Time) (handoff.Delayed, bool) {
				o := handoff.Outlook{
					Now: now, Ring: r, Vnodes: []handoff.Local{c.vnode},
					Reachable: func(n ring.NodeName) bool { return n != c.without },
				}
				begins := slices.Contains(a.Begin(o, nil, 100), move)
				i := slices.IndexFunc(a.Waiting(), func(d handoff.Delayed) bool { return d.Transfer == move })
				if begins != (i < 0) {
					t.Fatalf("it begins: %v, and is number %d of those that wait", begins, i)
				}
				if i < 0 {
					return handoff.Delayed{}, false
				}
				return a.Waiting()[i], true
			}
			for _, after := range []time.Duration{0, c.lasts / 2, c.lasts - 1} {
				if d, waits := at(began.Add(after)); waits != (c.want != "") || !strings.Contains(d.Reason, c.want) || waits && !d.Since.Equal(began) {
					t.Errorf("after %v it waits: %v, %q since %v", after, waits, d.Reason, d.Since)
				}
			}
			if _, waits := at(began.Add(c.lasts)); waits != (c.lasts == time.Hour) {
				t.Errorf("after %v it waits: %v", c.lasts, waits)
			}
		})
	}
}

// TestAgendaAsksForWhatIsLacking: once, and again when it has not come; not a node
// that cannot be reached, nor for what arrives.
func TestAgendaAsksForWhatIsLacking(t *testing.T) {
	r, _ := planned(t)
	mine := of(t, r, "a")
	lacks := func(source ring.Partition, of ring.NodeName) handoff.Transfer {
		return handoff.Transfer{Type: handoff.Repair, Partition: mine, Source: source, From: of, To: "a"}
	}
	v := handoff.Local{Report: handoff.Report{Owner: true, Needs: []handoff.Source{{Partition: 1, Node: "b"}, {Partition: 2, Node: "c"}}}, Partition: mine}
	up := everybody
	arriving := handoff.Transfer{}
	a := handoff.NewAgenda("a")
	at := func(seconds int64) handoff.Outlook {
		return handoff.Outlook{Now: time.Unix(seconds, 0), Ring: r, Reachable: up, Vnodes: []handoff.Local{v, v}}
	}
	asks := func(seconds int64, want ...handoff.Transfer) {
		t.Helper()
		if got := a.Ask(at(seconds), func(t handoff.Transfer) bool { return t == arriving }); !slices.Equal(got, want) {
			t.Errorf("after %d s it asks for %v, want %v", seconds, got, want)
		}
	}
	up = func(n ring.NodeName) bool { return n != "c" }
	asks(0, lacks(1, "b"))
	asks(1)
	if l := a.Lacking(at(1)); len(l) != 2 || l[0].Reason != "asked b for it" || l[1].Reason != "c cannot be reached" || !l[0].Since.Equal(time.Unix(0, 0)) {
		t.Errorf("it lacks %v", l)
	}
	up = everybody
	asks(1, lacks(2, "c"))
	arriving = lacks(1, "b")
	asks(4, lacks(2, "c"))
	arriving = handoff.Transfer{}
	asks(5, lacks(1, "b"))
	v.Needs = v.Needs[:1]
	asks(6)
	v.Needs = append(v.Needs, handoff.Source{Partition: 2, Node: "c"})
	asks(6, lacks(2, "c")) // anew
}

// TestCalledOff: a transfer that the ring has carried out is not called off.
func TestCalledOff(t *testing.T) {
	r, move := planned(t)
	done, err := r.Complete(ring.Transfer{Partition: move.Partition, From: move.From, To: move.To})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := r.Plan(ring.Leave("d"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		r              *ring.Ring
		wanted, called bool
	}{"pending": {r, true, false}, "carried out": {done, false, false}, "planned otherwise": {plan.Next, false, true}} {
		if move.Wanted(c.r) != c.wanted || move.CalledOff(c.r) != c.called {
			t.Errorf("%s: wanted %v, called off %v", name, move.Wanted(c.r), move.CalledOff(c.r))
		}
	}
}
