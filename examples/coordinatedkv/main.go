// Coordinatedkv stores each key on N vnodes, on as many nodes as there are, and
// answers when W of them have it, or R have been read.
package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/examples/member"
	coordinatedkvpb "github.com/torc-io/torc/proto/torc/examples/coordinatedkv/v1"
)

// timeout is how long a client waits, as in the original.
const timeout = 5 * time.Second

func main() { member.Main(run) }

func run(ctx context.Context, m *member.Member) error {
	svc := torc.NewService("coordinatedkv", torc.Quorum{N: 3}, open)
	store := torc.HandleWrite(svc, (*vnode).Store, torc.Resolve(newer))
	s := service{
		store: store,
		fetch: torc.HandleRead(svc, (*vnode).Fetch, torc.Resolve(newer), torc.Repair(store, rewrite)),
		ping:  torc.HandleRead(svc, (*vnode).Ping),
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

// service is what a client sees.
type service struct {
	node  *torc.Node
	store torc.Command[*coordinatedkvpb.Store, *coordinatedkvpb.Entry]
	fetch torc.Command[*coordinatedkvpb.Fetch, *coordinatedkvpb.Entry]
	ping  torc.Command[*coordinatedkvpb.Ping, *coordinatedkvpb.Pong]
}

// Store puts data under a key on n vnodes, and returns when w of them have it.
// If one of them has an entry from the future, by a clock that is ahead, it tries
// again with a version above that.
func (s service) Store(ctx context.Context, key, data string, n, w int) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	entry := &coordinatedkvpb.Entry{Data: data, WrittenAt: time.Now().UnixNano(), Writer: string(s.node.Name())}
	for {
		kept, err := s.store.Do(ctx, s.node, &coordinatedkvpb.Store{Key: []byte(key), Entry: entry}, torc.N(n), torc.W(w))
		if err != nil || compare(kept, entry) <= 0 {
			return err
		}
		entry = &coordinatedkvpb.Entry{Data: data, WrittenAt: kept.GetWrittenAt() + 1, Writer: entry.GetWriter()}
	}
}

// Fetch returns the newest data that r of n vnodes have, or torc.ErrNotFound.
func (s service) Fetch(ctx context.Context, key string, n, r int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	entry, err := s.fetch.Do(ctx, s.node, &coordinatedkvpb.Fetch{Key: []byte(key)}, torc.N(n), torc.R(r))
	return entry.GetData(), err
}

// Ping hashes the time, and returns what each of n vnodes answers.
func (s service) Ping(ctx context.Context, n int) ([]torc.Reply[*coordinatedkvpb.Pong], error) {
	return s.ping.All(ctx, s.node, &coordinatedkvpb.Ping{Key: []byte(time.Now().String())}, torc.N(n))
}

func (s service) commands() []member.Command {
	return []member.Command{
		{Usage: "store KEY DATA N W", Run: func(ctx context.Context, args []string) (string, error) {
			count, err := numbers(args[2:])
			if err != nil {
				return "", err
			}
			return "ok", s.Store(ctx, args[0], args[1], count[0], count[1])
		}},
		{Usage: "fetch KEY N R", Run: func(ctx context.Context, args []string) (string, error) {
			count, err := numbers(args[1:])
			if err != nil {
				return "", err
			}
			return s.Fetch(ctx, args[0], count[0], count[1])
		}},
		{Usage: "ping N", Run: func(ctx context.Context, args []string) (string, error) {
			count, err := numbers(args)
			if err != nil {
				return "", err
			}
			pongs, err := s.Ping(ctx, count[0])
			return list(pongs, func(*coordinatedkvpb.Pong) string { return "pong" }), err
		}},
		{Usage: "replicas KEY N", Run: func(ctx context.Context, args []string) (string, error) {
			count, err := numbers(args[1:])
			if err != nil {
				return "", err
			}
			entries, err := s.fetch.All(ctx, s.node, &coordinatedkvpb.Fetch{Key: []byte(args[0])}, torc.N(count[0]))
			return list(entries, (*coordinatedkvpb.Entry).GetData), err
		}},
		{Usage: "fill COUNT N W", Run: s.fill},
		{Usage: "check COUNT N R", Run: s.check},
	}
}

// numbers reads counts of replicas and of items.
func numbers(args []string) ([]int, error) {
	all := make([]int, len(args))
	for i, arg := range args {
		var err error
		if all[i], err = strconv.Atoi(arg); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// list says what each replica answered.
func list[A proto.Message](replies []torc.Reply[A], show func(A) string) string {
	var b strings.Builder
	for _, r := range replies {
		if r.Err != nil {
			fmt.Fprintf(&b, "partition %d on %s: error: %v\n", r.Partition, r.Node, r.Err)
			continue
		}
		fmt.Fprintf(&b, "partition %d on %s: %s\n", r.Partition, r.Node, show(r.Value))
	}
	return b.String()
}

// fill stores the numbers below the count under themselves.
func (s service) fill(ctx context.Context, args []string) (string, error) {
	count, err := numbers(args)
	if err != nil {
		return "", err
	}
	for i := range count[0] {
		if err := s.Store(ctx, strconv.Itoa(i), strconv.Itoa(i), count[1], count[2]); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("stored %d", count[0]), nil
}

// check fetches them again.
func (s service) check(ctx context.Context, args []string) (string, error) {
	count, err := numbers(args)
	if err != nil {
		return "", err
	}
	found := 0
	for i := range count[0] {
		key := strconv.Itoa(i)
		if data, err := s.Fetch(ctx, key, count[1], count[2]); err == nil && data == key {
			found++
		}
	}
	return fmt.Sprintf("found %d of %d", found, count[0]), nil
}
