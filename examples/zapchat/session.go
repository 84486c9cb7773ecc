package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	chatpb "github.com/torc-io/torc/proto/torc/examples/zapchat/v1"
)

// maxRooms bounds the rooms that one client is in.
const maxRooms = 50

// session is one client: what it has told of itself, and its seats.
type session struct {
	lobby *lobby
	out   *outbox
	name  string
	seats map[string]*seat
	shop  shop
}

// serve talks with a client until it hangs up, or is dropped.
func serve(ctx context.Context, l *lobby, conn net.Conn) {
	s := &session{lobby: l, out: newOutbox(conn), seats: map[string]*seat{}}
	go s.out.run()
	s.out.answer("connected! 'set-name <name>' and 'join <chat name>' to get started\n")
	s.converse(ctx, &input{from: conn})
	// The rooms are told even if the whole program is about to end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for _, seat := range s.seats {
		_ = seat.rise(ctx) // if nobody hears of it, another node finds out
	}
	s.out.finish()
	_ = conn.Close()
}

func (s *session) converse(ctx context.Context, in *input) {
	for ctx.Err() == nil {
		line, err := in.line()
		if errors.Is(err, errLineTooLong) {
			s.out.notice(fmt.Sprintf("sorry, a line has at most %d bytes", maxLineBytes))
		}
		if err != nil {
			return
		}
		s.out.heard()
		s.out.answer(s.answer(ctx, clean(line)))
	}
}

// answer does what a line asks for, and returns what to say to it.
func (s *session) answer(ctx context.Context, line string) string {
	if line == "" {
		return ""
	}
	words := split(line)
	if s.name == "" && words[0] != "set-name" {
		return "must set a name before joining/chatting\n"
	}
	if text, ok := s.shop.hear(line); ok {
		return text
	}
	for _, c := range commands() {
		if c.name == words[0] && c.words == len(words) {
			return c.run(s, ctx, words[1:])
		}
	}
	return fmt.Sprintf("sorry, I don't understand '%s'\n", line)
}

// split returns the first two words of a line, and the rest of it as it is.
func split(line string) (words []string) {
	for line != "" && len(words) < 2 {
		word, rest, _ := strings.Cut(line, " ")
		words, line = append(words, word), strings.TrimLeft(rest, " ")
	}
	if line != "" {
		words = append(words, line)
	}
	return words
}

// say has a line stored, and then shown to the room.
func (s *session) say(ctx context.Context, room, text string, act bool) error {
	l := s.lobby
	line := &chatpb.Line{Time: l.clock.next(), Id: newID(), User: s.name, Text: text, Act: act}
	to, err := send(ctx, l.say.Do, l.node, &chatpb.Say{Key: []byte(room), Line: line})
	if err == nil {
		l.spread(room, to, &chatpb.Room{Lines: []*chatpb.Line{line}})
	}
	return err
}
