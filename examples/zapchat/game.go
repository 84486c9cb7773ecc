package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	chatpb "github.com/torc-io/torc/proto/torc/examples/zapchat/v1"
)

// The rules of the game.
const (
	highest      = 20 // the lowest is 1
	guessesEach  = 3  // of a user in a game
	topGuessers  = 10 // lines of the scoreboard
	pointsAtLast = 1  // for all who are later than the table of points
)

// points are those of the winner, by how many guesses were placed before.
func points(before int) int {
	table := []int{10, 8, 8, 5, 3}
	if before < len(table) {
		return table[before]
	}
	return pointsAtLast
}

// play is a game as its attempts make it: the attempts that count, in their
// order, up to the right one. It is derived from the facts whenever it is needed
// and never kept, so replicas with the same facts agree on who has won.
type play struct {
	game   *chatpb.Game
	placed []*chatpb.Attempt
	winner string
}

func playOf(g *chatpb.Game) play {
	p := play{game: g}
	for _, a := range g.GetAttempts() {
		if p.winner != "" || p.placedBy(a.GetUser()) == guessesEach {
			continue // too late, or too many
		}
		p.placed = append(p.placed, a)
		if a.GetNumber() == g.GetNumber() {
			p.winner = a.GetUser()
		}
	}
	return p
}

func (p play) placedBy(user string) (n int) {
	for _, a := range p.placed {
		if a.GetUser() == user {
			n++
		}
	}
	return n
}

func (p play) full() bool { return len(p.game.GetAttempts()) >= maxAttempts }

// counts says whether an attempt is part of the game.
func (p play) counts(id uint64) bool {
	return slices.ContainsFunc(p.placed, func(a *chatpb.Attempt) bool { return a.GetId() == id })
}

// currentGame returns the room's running game, false if there is none.
func currentGame(room *chatpb.Room) (play, bool) {
	if len(room.GetGames()) == 0 {
		return play{}, false
	}
	p := playOf(latest(room.GetGames(), 1)[0])
	return p, p.winner == "" && !p.full()
}

// mayStart says whether a user may start a game in a room: not while another runs,
// unless it is the user's own, or its owner has left, or nobody can guess on.
func mayStart(room *chatpb.Room, user string) bool {
	p, runs := currentGame(room)
	if !runs || p.game.GetUser() == user {
		return true
	}
	ownerIsHere, somebodyCanGuess := false, false
	for _, m := range present(room) {
		ownerIsHere = ownerIsHere || m.GetUser() == p.game.GetUser()
		somebodyCanGuess = somebodyCanGuess || p.placedBy(m.GetUser()) < guessesEach
	}
	return !ownerIsHere || !somebodyCanGuess
}

// verdict is what all in the room see of an attempt.
func verdict(g *chatpb.Game, a *chatpb.Attempt) string {
	outcome := "winner!"
	switch {
	case a.GetNumber() < g.GetNumber():
		outcome = "higher"
	case a.GetNumber() > g.GetNumber():
		outcome = "lower"
	}
	return fmt.Sprintf("%s guessed %d: %s", a.GetUser(), a.GetNumber(), outcome)
}

// score is a line of the scoreboard.
type score struct {
	user                 string
	wins, losses, points int
}

// scores sums up the games that have been won, the best guesser first. Who
// guessed in one and did not win has lost it.
func scores(games []*chatpb.Game) []score {
	byUser := map[string]*score{}
	of := func(user string) *score {
		if byUser[user] == nil {
			byUser[user] = &score{user: user}
		}
		return byUser[user]
	}
	for _, g := range games {
		p := playOf(g)
		if p.winner == "" {
			continue
		}
		of(p.winner).wins++
		of(p.winner).points += points(len(p.placed) - 1)
		for loser := range p.losers() {
			of(loser).losses++
		}
	}
	var all []score
	for _, s := range byUser {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b score) int {
		return cmp.Or(b.points-a.points, b.wins-a.wins, a.losses-b.losses, strings.Compare(a.user, b.user))
	})
	return all[:min(len(all), topGuessers)]
}

func (p play) losers() map[string]bool {
	all := map[string]bool{}
	for _, a := range p.placed {
		if a.GetUser() != p.winner {
			all[a.GetUser()] = true
		}
	}
	return all
}

func (s score) String() string {
	return fmt.Sprintf("  %s: wins %d, losses %d, points %d", s.user, s.wins, s.losses, s.points)
}

// last is the time of the last thing that happened in the game.
func (p play) last() int64 {
	at := p.game.GetTime()
	for _, a := range p.game.GetAttempts() {
		at = max(at, a.GetTime())
	}
	return at
}
