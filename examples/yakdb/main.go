// Yakdb is the base project: a service that answers pings, and a member that
// prints the cluster whenever it changes. Copy it, rename it, go.
package main

import (
	"context"
	"fmt"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/examples/member"
	yakdbpb "github.com/torc-io/torc/proto/torc/examples/yakdb/v1"
)

func main() { member.Main(run) }

func run(ctx context.Context, m *member.Member) error {
	svc := torc.NewService("yakdb", torc.Quorum{N: 1}, open)
	ping := torc.HandleRead(svc, (*vnode).Ping)

	config, err := m.Config()
	if err != nil {
		return err
	}
	node, err := torc.Start(ctx, config, svc)
	if err != nil {
		return err
	}
	go printMembers(ctx, node)
	return m.Attend(ctx, node, member.Command{
		Usage: "ping",
		Run: func(ctx context.Context, _ []string) (string, error) {
			pong, err := ping.Do(ctx, node, &yakdbpb.Ping{Key: []byte(time.Now().String())})
			return fmt.Sprintf("pong from partition %d on %s", pong.GetPartition(), pong.GetNode()), err
		},
	})
}

// vnode serves one partition. It has no items yet: a vnode that keeps some embeds
// a torc.Store in place of torc.Stateless.
type vnode struct {
	torc.Stateless
	host torc.Host
}

func open(_ context.Context, h torc.Host) (*vnode, error) { return &vnode{host: h}, nil }

// Ping says where it was answered.
func (v *vnode) Ping(context.Context, *yakdbpb.Ping) (*yakdbpb.Pong, error) {
	return &yakdbpb.Pong{Partition: uint32(v.host.Partition), Node: string(v.host.Node)}, nil
}

// lookEvery is often enough to see partitions move, and seldom enough to read.
const lookEvery = 500 * time.Millisecond

// printMembers prints the members and their shares, now and after each change.
func printMembers(ctx context.Context, node *torc.Node) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for last := ""; ctx.Err() == nil; {
		if table := node.Ring().MembersTable(); table != last {
			fmt.Printf("\n%s> ", table)
			last = table
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
