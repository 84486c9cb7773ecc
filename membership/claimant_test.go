package membership_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/ring"
)

// scene is a cluster as the claimant sees it: three valid members, a joining d,
// and what a test changes about them.
type scene struct {
	ring      *ring.Ring
	nodes     []membership.Node
	reachable string // names, one letter each
	claimant  membership.Claimant
	now       time.Time
}

func newScene(t *testing.T) *scene {
	t.Helper()
	r, err := ring.New("c", 12, 3, ring.Member{Name: "a"}, ring.Member{Name: "b"}, ring.Member{Name: "c"})
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{ring: r, reachable: "abcdef", now: time.Unix(0, 0)}
	s.claimant.EvictAfter = membership.DefaultEvictAfter
	s.register("abc")
	return s
}

func (s *scene) register(names string) {
	s.nodes = nil
	for _, name := range names {
		s.nodes = append(s.nodes, membership.Node{Name: string(name), Healthy: true})
	}
}

func (s *scene) apply(t *testing.T, changes ...ring.Change) {
	t.Helper()
	p, err := s.ring.Plan(changes...)
	if err != nil {
		t.Fatal(err)
	}
	s.ring = p.Next
}

// after lets time pass and returns what the claimant wants.
func (s *scene) after(d time.Duration) string {
	s.now = s.now.Add(d)
	changes := s.claimant.Decide(s.now, membership.Sight{
		Ring: s.ring, Nodes: s.nodes,
		Reachable: func(name ring.NodeName) bool { return strings.Contains(s.reachable, string(name)) },
	})
	return fmt.Sprint(changes)
}

func (s *scene) expect(t *testing.T, d time.Duration, want string) {
	t.Helper()
	if got := s.after(d); got != want {
		t.Errorf("after %v: %s, want %s", d, got, want)
	}
}

func TestNothingIsDueInPeace(t *testing.T) {
	s := newScene(t)
	s.expect(t, 0, "[]")
	s.expect(t, time.Hour, "[]")
}

func TestNodesThatComeTogetherArePlannedInTogether(t *testing.T) {
	s := newScene(t)
	s.register("abcde")
	s.apply(t, ring.Announce(ring.Member{Name: "d"}))
	s.expect(t, 0, "[]")
	s.expect(t, 4*time.Second, "[]")
	s.apply(t, ring.Announce(ring.Member{Name: "e"}))
	s.expect(t, time.Second, "[]") // d has settled, e has not
	s.expect(t, 4*time.Second, "[]")
	s.expect(t, time.Second, "[join d join e]")
}

func TestNodeThatCannotBeReachedIsNotPlannedIn(t *testing.T) {
	s := newScene(t)
	s.register("abcd")
	s.reachable = "abc"
	s.apply(t, ring.Announce(ring.Member{Name: "d"}))
	s.expect(t, 0, "[]")
	s.expect(t, time.Hour, "[]")
	s.reachable = "abcd"
	s.expect(t, 0, "[]") // settles from now on
	s.expect(t, membership.SettleAfter, "[join d]")
}

// TestEvictionNeedsBoth: a flap of one of the two opinions starts the time anew.
func TestEvictionNeedsBoth(t *testing.T) {
	s := newScene(t)
	s.register("ab")
	s.expect(t, 0, "[]")
	s.expect(t, time.Hour, "[]") // reachable by data path
	s.reachable = "ab"
	s.expect(t, 0, "[]")
	s.expect(t, membership.DefaultEvictAfter-1, "[]")
	s.register("abc")
	s.expect(t, 0, "[]") // healthy in the store again
	s.register("ab")
	s.expect(t, 1, "[]")
	s.expect(t, membership.DefaultEvictAfter-1, "[]")
	s.expect(t, 1, "[down c]")
	s.claimant.EvictAfter = 0
	s.expect(t, time.Hour, "[]")
}

func TestUnhealthyIsAsGoodAsGone(t *testing.T) {
	s := newScene(t)
	s.reachable = "ab"
	i := slices.IndexFunc(s.nodes, func(n membership.Node) bool { return n.Name == "c" })
	s.nodes[i].Healthy = false
	s.expect(t, 0, "[]")
	s.expect(t, membership.DefaultEvictAfter, "[down c]")
}

func TestDownMemberThatIsBackIsTakenIn(t *testing.T) {
	s := newScene(t)
	s.apply(t, ring.MarkDown("c"))
	s.expect(t, 0, "[]")
	s.expect(t, membership.SettleAfter, "[join c]")
}

func TestExitingMemberIsRemovedWhenItsNodeHasGone(t *testing.T) {
	s := newScene(t)
	s.apply(t, ring.Announce(ring.Member{Name: "d"}))
	s.apply(t, ring.Leave("c"))
	for _, transfer := range s.ring.Transfers() {
		next, err := s.ring.Complete(transfer)
		if err != nil {
			t.Fatal(err)
		}
		s.ring = next
	}
	if m, _ := s.ring.Member("c"); m.Status != ring.Exiting {
		t.Fatalf("c is %v", m.Status)
	}
	s.expect(t, time.Hour, "[]") // still there
	s.register("ab")
	s.expect(t, 0, "[remove c]")
}
