// Simplehash spreads work over a cluster by hashing: a ping goes to the vnode that
// its key hashes to, and nothing is stored.
package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/examples/member"
	simplehashpb "github.com/torc-io/torc/proto/torc/examples/simplehash/v1"
)

func main() { member.Main(run) }

func run(ctx context.Context, m *member.Member) error {
	svc := torc.NewService("simplehash", torc.Quorum{N: 1}, open)
	s := service{
		ping:     torc.HandleRead(svc, (*vnode).Ping),
		pingNode: torc.HandleRead(svc, (*vnode).PingNode),
	}
	config, err := m.Config()
	if err != nil {
		return err
	}
	if s.node, err = torc.Start(ctx, config, svc); err != nil {
		return err
	}
	return m.Attend(ctx, s.node, s.commands()...)
}

// vnode answers for one partition. It has no items, so it moves by a change of the
// ring alone.
type vnode struct {
	torc.Stateless
	host torc.Host
}

func open(_ context.Context, h torc.Host) (*vnode, error) { return &vnode{host: h}, nil }

// Ping is where the work would be.
func (v *vnode) Ping(context.Context, *simplehashpb.Ping) (*simplehashpb.Pong, error) {
	return &simplehashpb.Pong{Partition: uint32(v.host.Partition)}, nil
}

// PingNode also tells the node.
func (v *vnode) PingNode(context.Context, *simplehashpb.PingNode) (*simplehashpb.NodePong, error) {
	return &simplehashpb.NodePong{Partition: uint32(v.host.Partition), Node: string(v.host.Node)}, nil
}

// service is what a client sees.
type service struct {
	node     *torc.Node
	ping     torc.Command[*simplehashpb.Ping, *simplehashpb.Pong]
	pingNode torc.Command[*simplehashpb.PingNode, *simplehashpb.NodePong]
}

// Ping hashes the time, and returns the partition that answered.
func (s service) Ping(ctx context.Context) (uint32, error) {
	pong, err := s.ping.Do(ctx, s.node, &simplehashpb.Ping{Key: []byte(time.Now().String())})
	return pong.GetPartition(), err
}

// PingNode hashes the text, and returns who answered.
func (s service) PingNode(ctx context.Context, text string) (*simplehashpb.NodePong, error) {
	return s.pingNode.Do(ctx, s.node, &simplehashpb.PingNode{Key: []byte(text)})
}

func (s service) commands() []member.Command {
	return []member.Command{
		{Usage: "ping", Run: func(ctx context.Context, _ []string) (string, error) {
			partition, err := s.Ping(ctx)
			return fmt.Sprintf("pong from partition %d", partition), err
		}},
		{Usage: "ping-node TEXT", Run: func(ctx context.Context, args []string) (string, error) {
			pong, err := s.PingNode(ctx, args[0])
			return fmt.Sprintf("pong from partition %d on %s", pong.GetPartition(), pong.GetNode()), err
		}},
		{Usage: "spread COUNT", Run: func(ctx context.Context, args []string) (string, error) {
			count, err := strconv.Atoi(args[0])
			if err != nil {
				return "", err
			}
			return s.spread(ctx, count)
		}},
	}
}

// spread pings many texts, one after the other, and counts who answered.
func (s service) spread(ctx context.Context, count int) (string, error) {
	nodes, partitions := map[string]int{}, map[uint32]int{}
	for i := range count {
		pong, err := s.PingNode(ctx, strconv.Itoa(i))
		if err != nil {
			return "", err
		}
		nodes[pong.GetNode()]++
		partitions[pong.GetPartition()]++
	}
	var b strings.Builder
	for _, node := range slices.Sorted(maps.Keys(nodes)) {
		fmt.Fprintf(&b, "%s answered %d\n", node, nodes[node])
	}
	counts := slices.Sorted(maps.Values(partitions))
	if count > 0 {
		fmt.Fprintf(&b, "%d partitions answered %d to %d each\n", len(counts), counts[0], counts[len(counts)-1])
	}
	return b.String(), nil
}
