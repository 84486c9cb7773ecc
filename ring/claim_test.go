package ring

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var (
	walkSeed = flag.Uint64("walk", 1, "the first seed of the random walks")
	walks    = flag.Uint64("walks", 1, "how many seeds to walk")
)

// walkSizes are the sizes of ring that walks are made on.
var walkSizes = []int{60, 64, 120, 128, 240, 1024}

// walk is a random series of joins, leaves and replacements that keeps the
// number of members between low and high. It is determined by its fields.
type walk struct {
	seed            uint64
	q, n, low, high int
	steps           int
}

func (w walk) String() string {
	return fmt.Sprintf("Q=%d N=%d members %d to %d, -walk %d", w.q, w.n, w.low, w.high, w.seed)
}

// tally adds up plans.
type tally struct{ plans, moves, bound, violations, least int }

func (a *tally) add(p *Plan) {
	a.plans++
	a.moves += p.Moves
	a.bound += p.LowerBound
	a.violations += p.Violations
	a.least += p.LeastViolations
}

// ratio is how many moves there were for each that balance demands.
func (a *tally) ratio() float64 { return float64(a.moves) / float64(max(1, a.bound)) }

// walker is on its way.
type walker struct {
	walk
	random *rand.Rand
	ring   *Ring
	born   int // members so far; none gets a name again
}

// run walks, checks every plan, and adds it to the tally of its members - N.
func (w walk) run(t *testing.T, tallies map[int]*tally) (total tally) {
	t.Helper()
	here := walker{walk: w, random: rand.New(rand.NewPCG(w.seed, uint64(w.q*w.n*w.high)))}
	here.start(t)
	for step := range w.steps {
		p := mustPlan(t, here.ring, here.step()...)
		if err := checkPlan(p); err != nil {
			t.Fatalf("%v: step %d: %v\n%v", w, step, err, p)
		}
		total.add(p)
		spare := len(p.Next.state.claiming()) - w.n
		if tallies[spare] == nil {
			tallies[spare] = &tally{}
		}
		tallies[spare].add(p)
		here.ring = here.settle(t, p.Next)
	}
	return total
}

func (w *walker) start(t *testing.T) {
	var members []Member
	for range w.low + w.random.IntN(w.high-w.low+1) {
		members = append(members, w.newcomer())
	}
	var err error
	if w.ring, err = New("walk", w.q, w.n, members...); err != nil {
		t.Fatal(err)
	}
}

func (w *walker) newcomer() Member {
	w.born++
	return Member{Name: NodeName(fmt.Sprintf("n%03d", w.random.IntN(10)*100+w.born))}
}

// step chooses what happens next, sometimes two things at once.
func (w *walker) step() []Change {
	claiming := w.ring.state.claiming()
	someone := claiming[w.random.IntN(len(claiming))]
	switch dice := w.random.IntN(8); {
	case dice == 0:
		return []Change{Replace(someone, w.newcomer())}
	case dice == 1:
		return []Change{Leave(someone), Join(w.newcomer())}
	case len(claiming) == w.low, dice < 5 && len(claiming) < w.high:
		return []Change{Join(w.newcomer())}
	case dice == 7:
		return []Change{MarkDown(someone)}
	default:
		return []Change{Leave(someone)}
	}
}

// settle carries out the transfers: of one step in four only some, so that the
// next plan finds them pending.
func (w *walker) settle(t *testing.T, r *Ring) *Ring {
	s := r.State()
	kept := s.Transfers[:0]
	pause := w.random.IntN(4) == 0
	for _, transfer := range s.Transfers {
		if pause && w.random.IntN(2) == 0 {
			kept = append(kept, transfer)
			continue
		}
		s.Owners[transfer.Partition] = transfer.To
	}
	s.Transfers = kept
	settle(&s)
	next, err := FromState(s)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// checkPlan holds a plan against what claim promises of every plan.
func checkPlan(p *Plan) error {
	claiming := p.Next.state.claiming()
	future := p.Next.state.future()
	have := indexed(future, claiming).counts(len(claiming))
	if most, fewest := slices.Max(have), slices.Min(have); most-fewest > 1 {
		return fmt.Errorf("one member has %d partitions and one %d", most, fewest)
	}
	if least := leastViolations(p.Next.Size(), len(claiming), p.Next.TargetN()); violationsTwin(future, p.Next.TargetN()) != least {
		return fmt.Errorf("%d violations, %d are possible", violationsTwin(future, p.Next.TargetN()), least)
	}
	if p.Moves < p.LowerBound {
		return fmt.Errorf("%d moves are fewer than the lower bound of %d", p.Moves, p.LowerBound)
	}
	return nil
}

// stepsOn is how long a walk on a ring of q partitions may take: larger rings
// need longer for a plan, and a step moves more.
func stepsOn(q int) int {
	if q > 500 {
		return 8
	}
	return 24
}

func seeds() (all []uint64) {
	for i := range *walks {
		all = append(all, *walkSeed+i)
	}
	return all
}

// Whatever the members did, every plan is balanced and has the fewest violations.
func TestWalksAreBalancedAndSpread(t *testing.T) {
	tallies := map[int]*tally{}
	for _, seed := range seeds() {
		for _, q := range walkSizes {
			for n := 1; n <= 5; n++ {
				for _, high := range []int{n + 1, 24} {
					walk{seed: seed, q: q, n: n, low: 1, high: high, steps: stepsOn(q)}.run(t, tallies)
				}
			}
		}
	}
	logTallies(t, tallies)
}

// With more members than N+1, a walk's moves stay below 1.1 times the bound, even
// if it never gets away from N+2 and N+3 members, where it is hardest.
func TestWalksMoveLittle(t *testing.T) {
	tallies := map[int]*tally{}
	worst, where := 0.0, walk{}
	for _, seed := range seeds() {
		for _, q := range walkSizes {
			for n := 1; n <= 5; n++ {
				for _, high := range []int{n + 3, n + 6, 24} {
					w := walk{seed: seed, q: q, n: n, low: n + 2, high: high, steps: stepsOn(q)}
					total := w.run(t, tallies)
					if total.ratio() > worst {
						worst, where = total.ratio(), w
					}
				}
			}
		}
	}
	logTallies(t, tallies)
	t.Logf("the worst walk moved %.3f times the bound: %v", worst, where)
	if worst > 1.1 {
		t.Errorf("%v: moved %.3f times the bound, want at most 1.1", where, worst)
	}
}

func logTallies(t *testing.T, tallies map[int]*tally) {
	t.Helper()
	for _, spare := range slices.Sorted(maps.Keys(tallies)) {
		a := tallies[spare]
		t.Logf("members = N%+d: %4d plans, %6d moves, %.3f times the bound; %d violations, least %d",
			spare, a.plans, a.moves, a.ratio(), a.violations, a.least)
	}
}

// Tiny rings, few members, a target N above both: nothing may fail or panic.
func TestPlansOnTinyRings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := rapid.IntRange(1, 20).Draw(t, "q")
		n := rapid.IntRange(1, MaxN).Draw(t, "n")
		first := rapid.IntRange(1, 12).Draw(t, "members")
		r, err := New("tiny", q, n, named(lettersOf(first)...)...)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rapid.IntRange(1, 6).Draw(t, "steps") {
			claiming := r.state.claiming()
			newcomer := Member{Name: NodeName(fmt.Sprintf("new%d", i))}
			changes := []Change{Join(newcomer), Replace(claiming[0], newcomer)}
			if len(claiming) > 1 {
				changes = append(changes, Leave(claiming[0]), MarkDown(claiming[1]))
			}
			p, err := r.Plan(rapid.SampledFrom(changes).Draw(t, "change"))
			if err != nil {
				t.Fatal(err)
			}
			if err := checkPlan(p); err != nil {
				t.Fatalf("%v\n%v", err, p)
			}
			r = p.Next
		}
	})
}

// A ring that claim did not make, however lopsided, is put right by a plan
// without changes, and a ring that is right stays as it is.
func TestPlanWithoutChangesRebalances(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, err := anyRing(t).Plan()
		if err != nil {
			t.Fatal(err)
		}
		if err := checkPlan(p); err != nil {
			t.Fatal(err)
		}
		again, err := p.Next.Plan()
		if err != nil {
			t.Fatal(err)
		}
		if !again.Idle() || again.Moves != 0 {
			t.Fatalf("a plan for a ring that is right:\n%v", again)
		}
	})
}

// Same input, same plan, byte for byte, in whichever order members are given.
func TestPlansAreDeterministic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := lettersOf(rapid.IntRange(2, 10).Draw(t, "members"))
		q := rapid.SampledFrom([]int{30, 60, 64}).Draw(t, "q")
		plan := func(order []NodeName) string {
			r, err := New("same", q, 3, named(order...)...)
			if err != nil {
				t.Fatal(err)
			}
			p, err := r.Plan(Leave("a"), Join(Member{Name: "z"}))
			if err != nil {
				t.Fatal(err)
			}
			return r.String() + p.String() + p.Next.String()
		}
		once := plan(names)
		if again := plan(rapid.Permutation(names).Draw(t, "order")); once != again {
			t.Fatalf("one plan:\n%s\nanother:\n%s", once, again)
		}
	})
}
