package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	chatpb "github.com/torc-io/torc/proto/torc/examples/zapchat/v1"
)

// command is what a client can type.
type command struct {
	name  string
	words int // with its name; the last one may have spaces in it, if it is the third
	run   func(s *session, ctx context.Context, args []string) string
}

func commands() []command {
	return []command{
		{"set-name", 2, (*session).setName},
		{"join", 2, (*session).join},
		{"leave", 2, inRoom((*session).leave)},
		{"say", 3, inRoom((*session).speak)},
		{"show-unread", 2, inRoom((*session).showUnread)},
		{"shop", 2, (*session).goShopping},
		{"start-game", 3, inRoom((*session).startGame)},
		{"guess", 3, inRoom((*session).guess)},
		{"scoreboard", 2, inRoom((*session).scoreboard)},
	}
}

// inRoom makes a command of something to do in a room that one is in. Errors are
// for the operator's metrics; to the client they are all the same.
func inRoom(do func(s *session, ctx context.Context, at *seat, args []string) (string, error)) func(*session, context.Context, []string) string {
	return func(s *session, ctx context.Context, args []string) string {
		at := s.seats[args[0]]
		if at == nil {
			return fmt.Sprintf("you are not in %s\n", args[0])
		}
		text, err := do(s, ctx, at, args[1:])
		if err != nil {
			return sorry
		}
		return text
	}
}

const (
	sorry    = "sorry, that may not have worked, try again\n"
	badName  = "names have up to 32 letters, digits, and - _ .\n"
	badGuess = "numbers are 1-20\n"
)

func (s *session) setName(_ context.Context, args []string) string {
	switch {
	case !isName(args[0]):
		return badName
	case len(s.seats) > 0:
		return "leave your rooms before you change your name\n"
	}
	s.name = args[0]
	return fmt.Sprintf("ok your name is %s\n", s.name)
}

func (s *session) join(ctx context.Context, args []string) string {
	room := args[0]
	switch {
	case !isName(room):
		return badName
	case s.seats[room] != nil:
		return fmt.Sprintf("you are in %s already\n", room)
	case len(s.seats) == maxRooms:
		return fmt.Sprintf("you are in %d rooms, leave one first\n", maxRooms)
	}
	at, history, err := s.lobby.sit(ctx, room, s.name, s.out)
	if err != nil {
		return sorry
	}
	s.seats[room] = at
	var b strings.Builder
	fmt.Fprintf(&b, "joined %s! 'say %[1]s <message>' to chat\n", room)
	if len(history) > 0 {
		b.WriteString("the most recent messages are:\n")
	}
	for _, l := range history {
		b.WriteString(shown(room, l) + "\n")
	}
	fmt.Fprintf(&b, "* %s has joined %s\n", s.name, room)
	return b.String()
}

func (s *session) leave(ctx context.Context, at *seat, _ []string) (string, error) {
	delete(s.seats, at.view.name)
	_ = at.rise(ctx) // if nobody hears of it now, this node says it again
	return fmt.Sprintf("* %s has left %s\n", s.name, at.view.name), nil
}

func (s *session) speak(ctx context.Context, at *seat, args []string) (string, error) {
	return "", s.say(ctx, at.view.name, args[0], false)
}

func (s *session) showUnread(_ context.Context, at *seat, _ []string) (string, error) {
	if len(at.missed) == 0 {
		return "no unread messages\n", nil
	}
	var b strings.Builder
	b.WriteString("You missed the following messages:\n")
	for _, l := range at.missed {
		fmt.Fprintf(&b, "  %s: %s\n", l.GetUser(), l.GetText())
	}
	at.missed = nil
	return b.String(), nil
}

func (s *session) goShopping(_ context.Context, args []string) string {
	if args[0] != "hotels" {
		return "there are only hotels\n"
	}
	return s.shop.enter()
}

// number reads a number of the game, 0 if it is none.
func number(word string) uint32 {
	if n, err := strconv.Atoi(word); err == nil && n >= 1 && n <= highest {
		return uint32(n)
	}
	return 0
}

func (s *session) startGame(ctx context.Context, at *seat, args []string) (string, error) {
	l, n := s.lobby, number(args[0])
	if n == 0 {
		return badGuess, nil
	}
	room, err := at.view.ask(ctx, s.name)
	if err != nil {
		return "", err
	}
	if !mayStart(room, s.name) {
		return "there is a game already\n", nil
	}
	g := &chatpb.Game{Time: l.clock.next(), Id: newID(), User: s.name, Number: n}
	if _, err := send(ctx, l.start.Do, l.node, &chatpb.Start{Key: []byte(at.view.name), Game: g}); err != nil {
		return "", err
	}
	return "", s.say(ctx, at.view.name, fmt.Sprintf("%s has started a game. place your guesses, 1-%d!", s.name, highest), true)
}

// guess has an attempt stored first and judged then, by all that two replicas know:
// of two users who are right at the same time, the second finds the first.
func (s *session) guess(ctx context.Context, at *seat, args []string) (string, error) {
	l, n := s.lobby, number(args[0])
	if n == 0 {
		return badGuess, nil
	}
	room, err := at.view.ask(ctx, s.name)
	if err != nil {
		return "", err
	}
	p, runs := currentGame(room)
	switch {
	case !runs:
		return fmt.Sprintf("there is no game, 'start-game %s <number>' starts one\n", at.view.name), nil
	case p.placedBy(s.name) >= guessesEach:
		return "you have no guesses left\n", nil
	}
	l.clock.saw(p.last())
	a := &chatpb.Attempt{Time: l.clock.next(), Id: newID(), User: s.name, Number: n}
	g := &chatpb.Game{Time: p.game.GetTime(), Id: p.game.GetId(), User: p.game.GetUser(), Number: p.game.GetNumber(), Attempts: []*chatpb.Attempt{a}}
	after, err := send(ctx, l.chat.guess.Do, l.node, &chatpb.Guess{Key: []byte(at.view.name), Game: g})
	if err != nil {
		return "", err
	}
	for _, now := range after.GetGames() {
		if now.GetId() == g.GetId() && !playOf(now).counts(a.GetId()) {
			return "too late\n", nil
		}
	}
	return "", s.say(ctx, at.view.name, verdict(g, a), true)
}

func (s *session) scoreboard(ctx context.Context, at *seat, _ []string) (string, error) {
	room, err := at.view.ask(ctx, s.name)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("Top room guessers are:\n")
	for _, line := range scores(room.GetGames()) {
		b.WriteString(line.String() + "\n")
	}
	return b.String(), nil
}
