package handoff

import (
	"fmt"
	"slices"
	"testing"
)

// TestSwitchInAllItsWays plays every sequence of results up to a length, and checks
// what has to be true of each of them.
func TestSwitchInAllItsWays(t *testing.T) {
	ended := map[Outcome]int{}
	var play func(s Switch, acts []Act, results []Result)
	play = func(s Switch, acts []Act, results []Result) {
		last := acts[len(acts)-1]
		if last == 0 {
			ended[s.Outcome()]++
			checkSwitch(t, s.Outcome(), acts[:len(acts)-1], results)
			return
		}
		if len(results) == 10 {
			return // it still learns
		}
		for _, r := range resultsOf(last) {
			next := s
			a := next.Next(r)
			play(next, append(slices.Clone(acts), a), append(slices.Clone(results), r))
		}
	}
	var s Switch
	first := s.Begin()
	play(s, []Act{first}, nil)
	for _, o := range []Outcome{Undone, Switched, CalledOff} {
		if ended[o] == 0 {
			t.Errorf("no way leads to outcome %d", o)
		}
	}
}

// resultsOf returns what may come of an act.
func resultsOf(a Act) []Result {
	switch a {
	case AskStore:
		return []Result{Succeeded, Failed, Refused}
	case Agree:
		return []Result{Succeeded, Failed}
	case Publish, Learn:
		return []Result{Succeeded, Failed, Refused, Unknown}
	default:
		return []Result{Succeeded}
	}
}

func checkSwitch(t *testing.T, o Outcome, acts []Act, results []Result) {
	t.Helper()
	fail := func(what string) { t.Errorf("%s: acts %v with results %v, outcome %d", what, acts, results, o) }
	count := func(a Act) (n int) {
		for _, other := range acts {
			if other == a {
				n++
			}
		}
		return n
	}
	published := false // for certain
	for i, a := range acts {
		switch {
		case a == Publish && (i == 0 || acts[i-1] != Agree || results[i-1] != Succeeded):
			fail("published before both sides agree")
		case a == Agree && acts[i-1] != Suspend:
			fail("compared while writes go on")
		case a == Suspend && results[i-1] != Succeeded:
			fail("held commands though the store does not answer")
		case a == TakeBack && published:
			fail("took back what was given away")
		case (a == Resume || a == TakeBack) && results[i-1] == Unknown:
			fail("went on without knowing who is the owner")
		}
		published = published || (a == Publish || a == Learn) && results[i] == Succeeded
	}
	if let := count(Resume) + count(TakeBack); let != count(Suspend) {
		fail(fmt.Sprintf("held commands %d times, and let them go %d times", count(Suspend), let))
	}
	if published != (o == Switched) {
		fail("ended otherwise than the ring says")
	}
	if o == Switched && acts[len(acts)-1] != HandOver {
		fail("did not tell the new owner")
	}
	if refused := slices.Contains(results, Refused); refused != (o == CalledOff) {
		fail("goes on with what the ring does not want, or gives up what it wants")
	}
}
