package handoff_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// A vnode that is written to as fast as its items go over comes to an end all the
// same: after some rounds its writers wait. What is dirty then goes over beside.
func TestRoundsEnd(t *testing.T) {
	p := newPair(handoff.Ownership)
	p.from.standing.Found()
	p.fill = 1
	p.begin()
	if _, linked := p.connect(); !linked {
		t.Fatal("no connection")
	}
	for written := 0; p.sender.Phase() < handoff.Through; {
		for range 2 {
			written++
			p.write(fmt.Sprint("k", written%5), fmt.Sprint(written))
		}
		p.step()
		drain(t, p)
		if written > 1000 {
			t.Fatal("the rounds do not end")
		}
	}
	if p.sender.Left() == 0 {
		t.Fatal("nothing was dirty when the rounds ended: the test writes too little")
	}
	for p.sender.Next() != handoff.Ready {
		p.step()
		drain(t, p)
	}
	if got, want := list(p.to.items), list(p.from.items); got != want {
		t.Errorf("the receiver has %s, the sender %s", got, want)
	}
}

// drain has everything arrive that is on its way.
func drain(t testing.TB, p *pair) {
	t.Helper()
	for len(p.wire) > 0 {
		if said, err := p.deliver(); err != nil {
			t.Fatal(said, err)
		}
	}
	for len(p.back) > 0 {
		if said, _, err := p.hear(); err != nil {
			t.Fatal(said, err)
		}
	}
}

// Answers that no receiver should give.
func TestSenderRefusesAnswers(t *testing.T) {
	s := handoff.NewSender(handoff.Transfer{Type: handoff.Ownership}, true)
	refuses := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.HasPrefix(err.Error(), "handoff: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := s.Acked(1)
	refuses("an acknowledgement of nothing", err)
	refuses("a welcome to chunk 0", s.Welcome(0))
	refuses("a welcome to a chunk that is not made", s.Welcome(2))
	if err := s.Welcome(1); err != nil {
		t.Fatal(err)
	}
	s.Copied(encode(nil, codecItems[0]), 1, true)
	_, err = s.Acked(1)
	refuses("an acknowledgement of what was not sent", err)
	s.Outgoing()
	_, err = s.Acked(2)
	refuses("an acknowledgement of what is not made", err)
	if err := s.Agree(handoff.Count{Items: 9}); err != nil || s.Agreed() {
		t.Errorf("a count that was not asked for: %v, agreed: %v", err, s.Agreed())
	}
}

// What has gone over is told for the measurements.
func TestAckedReturnsWhatIsDone(t *testing.T) {
	s := handoff.NewSender(handoff.Transfer{Type: handoff.Ownership}, true)
	if err := s.Welcome(1); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.Copied(encode(nil, codecItems[0]), 1, true)
		s.Outgoing()
	}
	done, err := s.Acked(2)
	if err != nil || len(done) != 2 || done[1].Seq != 2 || done[1].Count != 1 {
		t.Errorf("done are %+v, %v", done, err)
	}
}

// BenchmarkPair moves items of 100 bytes from one map to another.
func BenchmarkPair(b *testing.B) {
	const items = 20_000
	value := strings.Repeat("v", 90)
	source := map[string]string{}
	for i := range items {
		source[fmt.Sprintf("key-%06d", i)] = value
	}
	b.ReportAllocs()
	for b.Loop() {
		p := newPair(handoff.Ownership)
		p.from.standing.Found()
		p.from.items, p.fill, p.quiet = source, handoff.ChunkBytes/104, true
		p.begin()
		if _, linked := p.connect(); !linked {
			b.Fatal("no connection")
		}
		for p.sender.Next() != handoff.Ready {
			p.step()
			drain(b, p)
		}
		if len(p.to.items) != items {
			b.Fatalf("%d items arrived", len(p.to.items))
		}
	}
	b.ReportMetric(float64(items*b.N)/b.Elapsed().Seconds(), "items/s")
}

// After a lost connection the rounds begin anew, however many there were: what was
// written meanwhile goes over before writers have to wait.
func TestRoundsBeginAnew(t *testing.T) {
	p := newPair(handoff.Ownership)
	p.from.standing.Found()
	p.fill = 1
	p.begin()
	for connection := range 20 {
		if _, linked := p.connect(); !linked {
			t.Fatal("no connection")
		}
		for p.sender.Next() != handoff.Ready {
			p.step()
			drain(t, p)
			if p.sender.Phase() == handoff.Through && p.sender.Left() > 0 {
				t.Fatalf("connection %d: writers wait while %d keys are dirty", connection, p.sender.Left())
			}
		}
		p.lose()
		for i := range 5 {
			p.write(fmt.Sprint("k", i), fmt.Sprint(connection))
		}
	}
}

// What came from the receiver itself is not returned to it as a hint, or it would go
// in circles; but a new owner has dropped what it had returned as a stand-in, and is
// sent it (seed 1266 of the simulation at first).
func TestMergedFromTheReceiver(t *testing.T) {
	for kind, want := range map[handoff.Type][2]bool{
		handoff.Hinted: {false, true}, handoff.Ownership: {true, true}, handoff.Repair: {false, false},
	} {
		for i, from := range []ring.NodeName{"receiver", "another"} {
			s := handoff.NewSender(handoff.Transfer{Type: kind, To: "receiver"}, false)
			s.Merged([]byte("key"), from)
			if _, sends := s.Take(); sends != want[i] {
				t.Errorf("%v: it sends what came from %s: %v", kind, from, sends)
			}
		}
	}
}
