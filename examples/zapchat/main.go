// Zapchat is a chat server for telnet and nc, web scale: clients on any node share
// rooms, and rooms outlive nodes.
//
//	client ──▶ session ──▶ command ──▶ three replicas of the room, two of which
//	              │                    have the line when the command is done
//	              └─ and then ──▶ News ──▶ inbox of each node with members
//	                                          │
//	                     all clients there ◀──┴── view: shows what is new in it
//
// Where to read on: room.go is what a room is, vnode.go its commands, view.go how
// each line gets on every screen once, game.go the game, commands.go what one can
// type.
package main

import (
	"context"
	"flag"
	"fmt"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/examples/member"
)

func main() {
	address := flag.String("chat", "127.0.0.1:4040", "`address` for chat clients")
	member.Main(func(ctx context.Context, m *member.Member) error { return run(ctx, m, *address) })
}

func run(ctx context.Context, m *member.Member, address string) error {
	config, err := m.Config()
	if err != nil {
		return err
	}
	service := newChat()
	node, err := torc.Start(ctx, config, service)
	if err != nil {
		return err
	}
	server, err := listen(ctx, address, maxConnections)
	if err != nil {
		return err
	}
	fmt.Printf("chat on %s\n", server.listener.Addr())
	_, m.Last = server.start(ctx, node, service)
	return m.Attend(ctx, node)
}
