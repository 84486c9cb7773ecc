package main

import (
	"fmt"
	"strings"
	"testing"

	chatpb "github.com/torc-io/torc/proto/torc/examples/zapchat/v1"
)

// game makes a game from "who:number" words, in their order.
func game(id int, owner string, number uint32, attempts string) *chatpb.Game {
	g := &chatpb.Game{Time: int64(id), Id: uint64(id), User: owner, Number: number}
	for i, word := range strings.Fields(attempts) {
		who, n, _ := strings.Cut(word, ":")
		g.Attempts = append(g.Attempts, &chatpb.Attempt{Time: int64(i), Id: uint64(i), User: who, Number: numberOf(n)})
	}
	return g
}

func numberOf(word string) (n uint32) {
	_, _ = fmt.Sscan(word, &n)
	return n
}

func TestPoints(t *testing.T) {
	for before, want := range []int{10, 8, 8, 5, 3, 1, 1, 1} {
		if got := points(before); got != want {
			t.Errorf("%d guesses before the right one give %d points, want %d", before, got, want)
		}
		attempts := strings.Join(strings.Fields("a:1 b:1 c:1 a:1 b:1 c:1 a:1")[:before], " ") + " w:9"
		s := scores([]*chatpb.Game{game(1, "o", 9, attempts)})
		if s[0] != (score{"w", 1, 0, want}) {
			t.Errorf("after %q: %v, want %d points", attempts, s[0], want)
		}
	}
}

func TestWhichAttemptsCount(t *testing.T) {
	for _, test := range []struct {
		attempts, placed, winner string
	}{
		{"", "", ""},
		{"a:3 b:12", "a:3 b:12", ""},
		{"a:9", "a:9", "a"},
		{"a:3 b:9 c:9 a:9", "a:3 b:9", "b"},
		{"a:1 a:2 a:3 a:9", "a:1 a:2 a:3", ""},
		{"a:1 a:2 a:3 a:9 b:9", "a:1 a:2 a:3 b:9", "b"},
		{"a:1 a:2 a:9", "a:1 a:2 a:9", "a"},
	} {
		p := playOf(game(1, "o", 9, test.attempts))
		var placed []string
		for _, a := range p.placed {
			placed = append(placed, fmt.Sprintf("%s:%d", a.GetUser(), a.GetNumber()))
		}
		if got := strings.Join(placed, " "); got != test.placed || p.winner != test.winner {
			t.Errorf("of %q there count %q, and the winner is %q; want %q and %q", test.attempts, got, p.winner, test.placed, test.winner)
		}
	}
}

func TestScoreboard(t *testing.T) {
	games := []*chatpb.Game{
		game(1, "o", 9, "jane:3 bob:9"),           // bob 8
		game(2, "o", 9, "jane:9"),                 // jane 10
		game(3, "o", 9, "jane:1 jane:2 jane:3"),   // nobody: no loss either
		game(4, "o", 5, "bob:5 jane:5"),           // bob 10; jane came too late
		game(5, "o", 5, "al:1 bob:2 al:3 jane:5"), // jane 5
		game(6, "o", 5, "al:1"),                   // runs
	}
	var got []string
	for _, s := range scores(games) {
		got = append(got, s.String())
	}
	want := "  bob: wins 2, losses 1, points 18|  jane: wins 2, losses 1, points 15|  al: wins 0, losses 1, points 0"
	if strings.Join(got, "|") != want {
		t.Errorf("got %q\nwant %q", strings.Join(got, "|"), want)
	}
	var many strings.Builder
	for i := range 2 * topGuessers {
		fmt.Fprintf(&many, "user%d:1 ", i)
	}
	if got := scores([]*chatpb.Game{game(1, "o", 9, many.String()+"w:9")}); len(got) != topGuessers || got[0].user != "w" {
		t.Errorf("%d lines, the first is of %s", len(got), got[0].user)
	}
}

func TestVerdicts(t *testing.T) {
	g := game(1, "Bob", 9, "Jane:3 Jane:15 Jane:9")
	for i, want := range []string{"Jane guessed 3: higher", "Jane guessed 15: lower", "Jane guessed 9: winner!"} {
		if got := verdict(g, g.GetAttempts()[i]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWhoMayStart(t *testing.T) {
	in := func(users string, g ...*chatpb.Game) *chatpb.Room {
		room := &chatpb.Room{Games: g}
		for u := range strings.FieldsSeq(users) {
			room.Members = append(room.Members, &chatpb.Member{User: u})
		}
		return room
	}
	for what, test := range map[string]struct {
		room *chatpb.Room
		want bool
	}{
		"no game":          {in("al bob"), true},
		"one that runs":    {in("al bob", game(1, "bob", 9, "al:1 al:2")), false},
		"one that is won":  {in("al bob", game(1, "bob", 9, "al:9")), true},
		"one's own":        {in("al bob", game(1, "al", 9, "bob:1")), true},
		"an orphan":        {in("al eve", game(1, "bob", 9, "")), true},
		"no guesses left":  {in("bob al", game(1, "bob", 9, "al:1 al:1 al:1 bob:1 bob:1 bob:1")), true},
		"the last is what": {in("al bob", game(1, "bob", 9, "al:9"), game(2, "bob", 9, "")), false},
		"a full one":       {in("al bob", game(1, "bob", 9, strings.Repeat("al:1 ", maxAttempts))), true},
	} {
		if got := mayStart(test.room, "al"); got != test.want {
			t.Errorf("%s: may al start one? %v", what, got)
		}
	}
}
