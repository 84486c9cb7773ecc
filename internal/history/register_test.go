package history_test

import (
	"cmp"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/history"
)

var seed = flag.Uint64("seed", rand.Uint64(), "the first seed of the random histories")

// register is a register for each key, right or wrong in one way. It is handed
// the operations in the order in which they take effect.
type register struct {
	random *rand.Rand
	wrong  string // "" is right
	values map[history.Key][]history.Version
}

// write makes a version the value; Nothing is a delete.
func (s *register) write(k history.Key, v history.Version) {
	if s.wrong == "forgets" && s.random.IntN(5) == 0 {
		return
	}
	s.values[k] = append(s.values[k], v)
}

func (s *register) read(k history.Key) history.Version {
	past := s.values[k]
	if len(past) == 0 {
		return history.Nothing
	}
	now := past[len(past)-1]
	unlucky := s.random.IntN(10) == 0
	switch {
	case s.wrong == "goes back" && unlucky && len(past) > 1:
		return past[len(past)-2]
	case s.wrong == "resurrects" && unlucky && now == history.Nothing && len(past) > 1:
		return past[len(past)-2]
	case s.wrong == "invents" && unlucky:
		return now + 1000
	}
	return now
}

// effect is when an operation takes effect, if at all.
type effect struct {
	at time.Duration
	op *history.Op
}

// clients makes the operations of some clients, whose times overlap at random,
// and lets a register answer them. The last reads see every key at rest.
func clients(random *rand.Rand, wrong string) []history.Op {
	const keys, writes, reads, long = 4, 60, 200, 100 * time.Millisecond
	var ops []*history.Op
	var effects []effect
	within := func(o *history.Op) time.Duration { return o.Begin + time.Duration(random.Int64N(int64(o.End-o.Begin))) }
	var end time.Duration
	for key := range history.Key(keys) {
		var now time.Duration
		for version := range history.Version(writes) {
			o := &history.Op{Key: key, Version: version + 1, Client: uint16(key), Begin: now + time.Duration(random.Int64N(int64(long)))}
			o.End = o.Begin + 1 + time.Duration(random.Int64N(int64(long)))
			o.Kind = history.Kind(random.IntN(4) / 3) // a delete is one of four
			now = o.End
			ops = append(ops, o)
			switch at := within(o); random.IntN(10) {
			case 0:
				o.Outcome = history.Failed
			case 1:
				o.Outcome = history.Unknown
				if random.IntN(2) == 0 {
					effects = append(effects, effect{at + time.Duration(random.Int64N(int64(10*long))), o})
				}
			default:
				effects = append(effects, effect{at, o})
			}
		}
		end = max(end, now)
	}
	for i := range keys * reads {
		o := &history.Op{Key: history.Key(i % keys), Kind: history.Read, Client: 100 + uint16(i), Begin: time.Duration(random.Int64N(int64(end)))}
		o.End = o.Begin + 1 + time.Duration(random.Int64N(int64(long)))
		ops, effects = append(ops, o), append(effects, effect{within(o), o})
	}
	for key := range history.Key(keys) {
		o := &history.Op{Key: key, Kind: history.Final, Begin: end + 20*long, End: end + 21*long}
		ops, effects = append(ops, o), append(effects, effect{o.Begin, o})
	}
	return answer(ops, effects, &register{random, wrong, map[history.Key][]history.Version{}})
}

// answer lets a register answer in the order of the effects.
func answer(ops []*history.Op, effects []effect, s *register) []history.Op {
	slices.SortStableFunc(effects, func(a, b effect) int { return cmp.Compare(a.at, b.at) })
	for _, e := range effects {
		switch e.op.Kind {
		case history.Write:
			s.write(e.op.Key, e.op.Version)
		case history.Delete:
			s.write(e.op.Key, history.Nothing)
		case history.Read, history.Final:
			e.op.Version = s.read(e.op.Key)
		}
	}
	var all []history.Op
	for _, o := range ops {
		all = append(all, *o)
	}
	return all
}

// TestRegisters: nothing is found in a right register, however its operations
// overlap and whatever becomes of the unknown ones; and a wrong one is caught by the
// checker that is made for it, almost always: what it did may have been allowed by
// chance, or overwritten before the end.
func TestRegisters(t *testing.T) {
	const seeds = 200
	checkers := map[string]struct {
		check func(*history.Record) []history.Finding
		least int
	}{
		"forgets": {history.Lost, seeds / 10}, "goes back": {history.Stale, seeds * 9 / 10},
		"resurrects": {history.Resurrected, seeds * 9 / 10}, "invents": {history.Invented, seeds * 9 / 10},
	}
	t.Logf("seeds from %d; -seed brings them back", *seed)
	caught := map[string]int{}
	for i := range uint64(seeds) {
		seed := *seed + i

		r, err := history.NewRecord(clients(rand.New(rand.NewPCG(seed, 0)), ""))
		if err != nil {
			t.Fatal(err)
		}
		if found := findings(r); found != "" {
			t.Fatalf("seed %d: found in a right register:\n%s", seed, found)
		}
		for wrong, c := range checkers {
			r, err := history.NewRecord(clients(rand.New(rand.NewPCG(seed, 0)), wrong))
			if err != nil {
				t.Fatal(err)
			}
			if len(c.check(r)) > 0 {
				caught[wrong]++
			}
		}
	}
	for wrong, c := range checkers {
		if caught[wrong] < c.least {
			t.Errorf("seeds from %d: the checker of a register that %s caught %d of %d", *seed, wrong, caught[wrong], seeds)
		}
	}
	t.Logf("caught %v of %d each", caught, seeds)
}

// BenchmarkChecks is a million operations on 50,000 keys.
func BenchmarkChecks(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	var ops []history.Op
	versions := map[history.Key]history.Version{}
	for i := range 1_000_000 {
		at := time.Duration(i) * time.Microsecond
		o := history.Op{Key: history.Key(random.IntN(50_000)), Begin: at, End: at}
		if i%2 == 0 {
			versions[o.Key]++
		} else {
			o.Kind = history.Read
		}
		o.Version = versions[o.Key]
		ops = append(ops, o)
	}
	for b.Loop() {
		r, err := history.NewRecord(slices.Clone(ops))
		if err != nil {
			b.Fatal(err)
		}
		if found := len(history.Stale(r)) + len(history.Resurrected(r)) + len(history.Invented(r)); found > 0 {
			b.Fatal(found)
		}
	}
}
