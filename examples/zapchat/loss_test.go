package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/consultest"
)

// witness is a client that talks, and remembers all that it sees.
type witness struct {
	*client

	mu   sync.Mutex
	seen []string
}

func witnesses(c *client) *witness {
	w := &witness{client: c}
	go func() {
		for line := range c.lines {
			w.mu.Lock()
			w.seen = append(w.seen, line)
			w.mu.Unlock()
		}
	}()
	return w
}

func (w *witness) count(line string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.seen {
		if s == line {
			n++
		}
	}
	return n
}

// tells says a line and waits until it is confirmed.
func (w *witness) tells(room, text string) (shown string) {
	w.t.Helper()
	shown = fmt.Sprintf("%s - %s: %s", room, w.name, text)
	apologies := w.count(strings.TrimSpace(sorry))
	w.types("say " + room + " " + text)
	eventuallyQuiet(w.t, fmt.Sprintf("%s has %q confirmed", w.name, text), func() bool {
		if w.count(strings.TrimSpace(sorry)) > apologies {
			w.t.Fatalf("%s could not say %q", w.name, text)
		}
		return w.count(shown) > 0
	})
	return shown
}

// talk has some witnesses talk without a pause until what happens is over, and
// returns what was confirmed.
func talk(room, topic string, who []*witness, happens func()) (confirmed []string) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	over := make(chan struct{})
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	for _, w := range who {
		wg.Go(func() {
			for i := 0; ; i++ {
				line := w.tells(room, fmt.Sprint(topic, " ", i))
				mu.Lock()
				confirmed = append(confirmed, line)
				mu.Unlock()
				select {
				case <-over:
					return
				case <-pace.C:
				}
			}
		})
	}
	happens()
	close(over)
	wg.Wait()
	return confirmed
}

// TestAcrossNodes is what three processes, and then four, with a real Consul must
// keep up: the transcripts, and a room while one node is killed, comes back, and
// another one joins.
func TestAcrossNodes(t *testing.T) {
	agent := consultest.Start(t)
	at := []string{}
	members := []*process{}
	for _, name := range []string{"a", "b", "c"} {
		members = append(members, begin(t, agent, name, freePort(t)))
	}
	for _, m := range members {
		at = append(at, m.address())
	}
	playAll(t, at)
	if t.Failed() {
		return
	}
	// If it were the claimant that dies, Consul would keep its lock for half a minute,
	// in which all goes on, but no member joins.
	last := slices.IndexFunc(members, func(m *process) bool { return m.name != claimant(t, agent) })
	c := members[last]
	at[last], at[2] = at[2], at[last]
	alex, jane := witnesses(enters(t, at[0], "Alex", "loss")), witnesses(enters(t, at[1], "Jane", "loss"))
	bob, both := enters(t, at[2], "Bob", "loss"), []*witness{alex, jane}
	eve := enters(t, at[1], "Eve", "loss")
	eve.types("leave loss")
	eve.until("* Eve has left loss")
	alex.types("start-game loss 9")
	alex.await("loss - Alex has started a game. place your guesses, 1-20!")
	jane.types("guess loss 3")
	jane.await("loss - Jane guessed 3: higher")
	bob.until("loss - Jane guessed 3: higher")

	said := talk("loss", "while c dies", both, func() {
		c.kill()
		alex.await("* Bob has left loss")
		jane.await("* Bob has left loss")
	})
	jane.types("guess loss 15")
	jane.await("loss - Jane guessed 15: lower")
	said = append(said, talk("loss", "while c comes back", both, func() {
		c = begin(t, agent, c.name, c.listen)
		bob = enters(t, c.address(), "Bob", "loss")
	})...)
	bob.types("guess loss 12")
	bob.until("loss - Bob guessed 12: lower")
	var d *process
	said = append(said, talk("loss", "while d joins", both, func() {
		d = begin(t, agent, "d", freePort(t))
		d.address()
		d.settled(4)
	})...)
	jane.types("guess loss 9")
	jane.await("loss - Jane guessed 9: winner!")
	t.Logf("%d lines were confirmed", len(said))

	for _, line := range append(said, "* Bob has left loss", "* Eve has left loss", "loss - Jane guessed 9: winner!", "loss - Bob guessed 12: lower") {
		for _, w := range both {
			w.await(line)
		}
	}
	frank := enters(t, d.address(), "Frank", "loss") // who learns of it all anew
	frank.types("scoreboard loss")
	frank.sees("Top room guessers are:", "  Jane: wins 1, losses 0, points 5", "  Bob: wins 0, losses 1, points 0")
	eve.types("join loss")
	eve.until("* Eve has joined loss")
	eve.types("show-unread loss")
	eve.types("show-unread loss")
	missed := eve.until("no unread messages")
	for _, w := range both {
		w.sawOnce(said)
		w.sawOnce([]string{"* Bob has left loss", "* Eve has left loss", "* Frank has joined loss"})
	}
	once(t, "Eve has missed", only(missed, regexp.MustCompile(`^  (Alex|Jane): `).MatchString), unreadForm(said))
}

// unreadForm makes "  Alex: hi" of "room - Alex: hi".
func unreadForm(lines []string) (all []string) {
	for _, line := range lines {
		_, line, _ = strings.Cut(line, " - ")
		all = append(all, "  "+line)
	}
	return all
}

func (w *witness) await(line string) {
	w.t.Helper()
	eventuallyQuiet(w.t, fmt.Sprintf("%s sees %q", w.name, line), func() bool { return w.count(line) > 0 })
}

func (w *witness) sawOnce(lines []string) {
	w.t.Helper()
	for _, line := range lines {
		if n := w.count(line); n != 1 {
			w.t.Errorf("%s saw %q %d times", w.name, line, n)
		}
	}
}

// once wants the same lines, each once, in any order.
func once(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s %d lines, want %d\n%q\n%q", what, len(got), len(want), got, want)
	}
}
