package actors_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/handoff"
	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
	"github.com/torc-io/torc/ring"
)

// moment does something at the first frame of an ownership transfer for which it
// is time, in a goroutine of its own, and counts all chunks.
type moment struct {
	chunks

	when func(w *world, s *tapped, f *handoffpb.Frame) bool
	do   func(from, to string) // nil breaks the stream
	once sync.Once
	done chan struct{}
	w    *world
	trouble
}

// setup has copying take a second, so that there are writes meanwhile, and a store
// that lets nothing be sealed before the moment, if that is one of before.
func (m *moment) setup(name string) setup {
	if name == "through" {
		m.set(nil, func(of ring.NodeName) error {
			if m.w == nil || m.w.ring().Epoch() < 3 {
				return nil // it starts
			}
			m.w.stalled.Store(true)
			return errAsTold
		})
	}
	return setup{
		quorum: actors.Quorum{N: 3}, wire: m.taps().wire, book: m.wrap,
		limits: actors.TransferLimits{Out: 4, In: 4, Rate: 3_000_000},
	}
}

func (m *moment) taps() *taps {
	m.done = make(chan struct{})
	return &taps{sends: func(s *tapped, f *handoffpb.Frame) ([]*handoffpb.Frame, []*handoffpb.Answer) {
		m.note(s, f)
		if s.hello.GetType() == handoffpb.Type_TYPE_OWNERSHIP && f.GetHello() == nil && m.when(m.w, s, f) {
			m.once.Do(func() {
				if m.do == nil {
					s.hangUp()
					close(m.done)
					m.set(nil, nil)
					return
				}
				go func() {
					defer close(m.done)
					m.set(nil, nil)
					m.do(s.hello.GetFrom(), s.hello.GetTo())
				}()
			})
		}
		return pass(f)
	}}
}

// moments are the phases of a transfer, by what is sent in them.
var moments = map[string]func(w *world, s *tapped, f *handoffpb.Frame) bool{
	"copying": func(_ *world, _ *tapped, f *handoffpb.Frame) bool { return f.GetChunk().GetSeq() == 3 },
	"rounds": func(w *world, s *tapped, f *handoffpb.Frame) bool { // the snapshot is over
		s.items += uint64(len(itemsOf(w.t, f.GetChunk())))
		return s.items > s.hello.GetItems()
	},
	"through": func(w *world, _ *tapped, f *handoffpb.Frame) bool { // somebody waits for the store
		return f.GetChunk() != nil && w.stalled.Load()
	},
	"sealed":  func(_ *world, _ *tapped, f *handoffpb.Frame) bool { return f.GetSeal() != nil },
	"flipped": func(_ *world, _ *tapped, f *handoffpb.Frame) bool { return f.GetFlip() != nil },
}

// big returns a value that fills a good part of a chunk.
func big(version int) []byte {
	return []byte(fmt.Sprintf("%d %s", version, strings.Repeat("x", 20<<10)))
}

// fill writes some megabytes.
func (w *world) fill(each int) {
	for _, key := range w.keys(each) {
		if err := w.act("a", &testingpb.Act{Key: []byte(key), Verb: "put", Value: big(1)}, actors.Call{}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestConnectionBreaksInEachPhase: the transfer goes on where it was, and no more
// than a window goes over again. If its stream alone breaks, no request notices.
func TestConnectionBreaksInEachPhase(t *testing.T) {
	for name, when := range moments {
		for _, alone := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, alone %v", name, alone), func(t *testing.T) {
				m := &moment{when: when}
				s := m.setup(name)
				s.unrepairs = alone // commands that were lost with the connection leave replicas unequal
				inWorld(t, s, "abc", func(w *world) {
					m.w = w
					if !alone {
						m.do = func(from, to string) { w.Break(from, to) }
					}
					breaks(t, w, m, alone)
				})
			})
		}
	}
}

func breaks(t *testing.T, w *world, m *moment, alone bool) {
	w.SetDelay(2 * time.Millisecond)
	w.fill(30)
	l := w.begin(200, 3, actors.Call{}, w.roam)
	w.join("d")
	w.settle(30 * time.Second)
	select {
	case <-m.done:
	default:
		t.Error("the moment did not come")
	}
	l.halt()
	elapse(time.Second)
	if again := m.again(); again > handoff.Window {
		t.Errorf("%d chunks were sent again, the window has %d", again, handoff.Window)
	}
	for _, f := range l.failures() {
		if alone {
			t.Error(f)
		}
	}
	w.settle(10 * time.Second)
	three := 3
	if !alone {
		l.conclude(actors.Call{R: &three})
		elapse(time.Second)
	}
	if said := w.unequal(); said != "" {
		t.Error(said)
	}
	l.conclude(actors.Call{R: &three})
	l.check(t)
}

// TestEachCommandIsExecutedOnceThoughStreamsBreak: with one replica, and a Merge
// that merely replaces, also when the stream breaks at the worst of times.
func TestEachCommandIsExecutedOnceThoughStreamsBreak(t *testing.T) {
	for name, when := range moments {
		t.Run(name, func(t *testing.T) {
			if name == "copying" { // the items are small
				when = func(_ *world, _ *tapped, f *handoffpb.Frame) bool { return f.GetChunk().GetSeq() == 1 }
			}
			m := &moment{when: when}
			s := m.setup(name)
			s.quorum, s.replaces, s.limits.Rate = actors.Quorum{N: 1}, true, 1000
			inWorld(t, s, "ab", func(w *world) {
				m.w = w
				w.SetDelay(2 * time.Millisecond)
				c := w.count(16, w.keys(20), 3*time.Millisecond)
				elapse(time.Second)
				w.join("c")
				w.settle(30 * time.Second)
				select {
				case <-m.done:
				default:
					t.Error("the moment did not come")
				}
				c.check()
			})
		})
	}
}

// TestNodeDiesInEachPhase: sender or receiver come back with nothing, or stay
// away and are given up. With strict quorums nothing is lost.
func TestNodeDiesInEachPhase(t *testing.T) {
	for name, when := range moments {
		for _, who := range []string{"sender", "receiver"} {
			for _, back := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, %s, back %v", name, who, back), func(t *testing.T) {
					m := &moment{when: when}
					inWorld(t, m.setup(name), "abcd", func(w *world) { dies(t, w, m, who, back) })
				})
			}
		}
	}
}

func dies(t *testing.T, w *world, m *moment, who string, back bool) {
	m.w, m.do = w, func(from, to string) {
		name := ring.NodeName(map[string]string{"sender": from, "receiver": to}[who])
		w.isolate(name)
		w.stop(name)
		for _, other := range w.names() {
			w.Heal(string(other), string(name))
			w.Heal(string(name), string(other))
		}
		elapse(time.Second)
		if back {
			w.start(name, 1)
		} else {
			w.commit(ring.MarkDown(name))
		}
	}
	w.SetDelay(2 * time.Millisecond)
	w.fill(20)
	l := w.begin(200, 3, actors.Call{Primary: 2}, w.roam)
	w.join("e")
	w.eventually(30*time.Second, func() string {
		select {
		case <-m.done:
			return w.unsettled()
		default:
			return "the moment did not come"
		}
	})
	l.halt()
	w.settle(30 * time.Second)
	three := 3
	l.conclude(actors.Call{R: &three})
	elapse(time.Second)
	if said := w.unequal(); said != "" {
		t.Error(said)
	}
	l.check(t)
}

// TestPlanChangesWhileItRuns: the transfer is called off, and its receiver keeps
// nothing of it.
func TestPlanChangesWhileItRuns(t *testing.T) {
	known := func(w *world, name ring.NodeName) ring.Member {
		m, _ := w.ring().Member(name)
		return m
	}
	for name, c := range map[string]struct{ begin, change func(*world) }{
		"a leave is called off": {
			func(w *world) { w.commit(ring.Leave("d")) },
			func(w *world) { w.commit(ring.Join(known(w, "d"))) },
		},
		"a node that comes turns back": {
			func(w *world) { w.join("e") },
			func(w *world) { w.commit(ring.Leave("e")) },
		},
		"one that comes is replaced": {
			func(w *world) { w.join("e") },
			func(w *world) { w.start("f", 1); w.commit(ring.Replace("e", known(w, "f"))) },
		},
		"one that comes is given up": {
			func(w *world) { w.join("e") },
			func(w *world) { w.commit(ring.MarkDown("e")) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := setup{quorum: actors.Quorum{N: 3}, unrepairs: true, limits: actors.TransferLimits{Out: 4, In: 4, Rate: 200_000}}
			inWorld(t, s, "abcd", func(w *world) {
				w.SetDelay(2 * time.Millisecond)
				w.fill(20)
				l := w.begin(200, 3, actors.Call{}, w.roam)
				c.begin(w)
				elapse(1500 * time.Millisecond)
				foreign := false
				for _, name := range w.names() {
					for p, s := range w.node(name).open() {
						foreign = foreign || w.ring().Owner(p) != name && s.Len() > 0
					}
				}
				if !foreign {
					w.t.Fatal("nothing is on its way")
				}
				c.change(w)
				w.settle(time.Minute)
				l.halt()
				elapse(time.Second)
				for _, f := range l.failures() {
					t.Error(f)
				}
				if said := w.unequal() + w.unsettled(); said != "" {
					t.Error(said)
				}
				l.conclude(actors.Call{})
				l.check(t)
			})
		})
	}
}
