// Sillykv stores data on the one vnode that its key hashes to, which is silly: who
// loses the node loses the data.
package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/examples/member"
	sillykvpb "github.com/torc-io/torc/proto/torc/examples/sillykv/v1"
)

func main() { member.Main(run) }

func run(ctx context.Context, m *member.Member) error {
	svc := torc.NewService("sillykv", torc.Quorum{N: 1}, open) // N=1 is what is silly
	s := service{
		store: torc.HandleWrite(svc, (*vnode).Store),
		fetch: torc.HandleRead(svc, (*vnode).Fetch),
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

// values is the state of a vnode. The alias keeps the embedded field from being
// called Store, as the handler is.
type values = torc.Store[*sillykvpb.Value]

// vnode holds the data of one partition.
type vnode struct {
	*values
	host torc.Host
}

func open(_ context.Context, h torc.Host) (*vnode, error) {
	return &vnode{torc.NewStore[*sillykvpb.Value](nil), h}, nil
}

// Store puts the data under its key.
func (v *vnode) Store(_ context.Context, cmd *sillykvpb.Store) (*sillykvpb.Stored, error) {
	v.Put(cmd.GetKey(), &sillykvpb.Value{Data: cmd.GetData()})
	return &sillykvpb.Stored{Partition: uint32(v.host.Partition), Node: string(v.host.Node)}, nil
}

// Fetch returns what is under a key.
func (v *vnode) Fetch(_ context.Context, cmd *sillykvpb.Fetch) (*sillykvpb.Value, error) {
	if value, ok := v.Get(cmd.GetKey()); ok {
		return value, nil
	}
	return nil, torc.ErrNotFound
}

// service is what a client sees.
type service struct {
	node  *torc.Node
	store torc.Command[*sillykvpb.Store, *sillykvpb.Stored]
	fetch torc.Command[*sillykvpb.Fetch, *sillykvpb.Value]
}

// Store returns where the data is now. It is for a primary alone: a node that
// stands in for another one has none of its data, and would begin anew.
func (s service) Store(ctx context.Context, key, data string) (*sillykvpb.Stored, error) {
	return s.store.Do(ctx, s.node, &sillykvpb.Store{Key: []byte(key), Data: data}, torc.Primaries(1))
}

// Fetch returns the data under a key, or torc.ErrNotFound.
func (s service) Fetch(ctx context.Context, key string) (string, error) {
	value, err := s.fetch.Do(ctx, s.node, &sillykvpb.Fetch{Key: []byte(key)}, torc.Primaries(1))
	return value.GetData(), err
}

func (s service) commands() []member.Command {
	return []member.Command{
		{Usage: "store KEY DATA", Run: func(ctx context.Context, args []string) (string, error) {
			stored, err := s.Store(ctx, args[0], args[1])
			return fmt.Sprintf("ok, in partition %d on %s", stored.GetPartition(), stored.GetNode()), err
		}},
		{Usage: "fetch KEY", Run: func(ctx context.Context, args []string) (string, error) {
			return s.Fetch(ctx, args[0])
		}},
		{Usage: "fill COUNT", Run: counted(s.fill)},
		{Usage: "check COUNT", Run: counted(s.check)},
	}
}

// counted makes a command of what is done count times.
func counted(do func(ctx context.Context, count int) (string, error)) func(context.Context, []string) (string, error) {
	return func(ctx context.Context, args []string) (string, error) {
		count, err := strconv.Atoi(args[0])
		if err != nil {
			return "", err
		}
		return do(ctx, count)
	}
}

// fill stores the numbers below count under themselves.
func (s service) fill(ctx context.Context, count int) (string, error) {
	for i := range count {
		if _, err := s.Store(ctx, strconv.Itoa(i), strconv.Itoa(i)); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("stored %d", count), nil
}

// check fetches them, and tells for each owner of partitions what came of it.
func (s service) check(ctx context.Context, count int) (string, error) {
	ring := s.node.Ring()
	tallies := map[torc.NodeName]*tally{}
	for _, m := range ring.Members() {
		tallies[m.Name] = &tally{}
	}
	for i := range count {
		key := strconv.Itoa(i)
		data, err := s.Fetch(ctx, key)
		if err == nil && data != key {
			return "", fmt.Errorf("under %s is %s", key, data)
		}
		tallies[ring.Owner(ring.Partition([]byte(key)))].add(err)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(tallies)) {
		if t := tallies[name]; *t != (tally{}) {
			fmt.Fprintf(&b, "%s: %d found, %d lost, %d out of reach\n", name, t.found, t.lost, t.away)
		}
	}
	return b.String(), nil
}

// tally counts what came of fetches.
type tally struct{ found, lost, away int }

func (t *tally) add(err error) {
	switch {
	case err == nil:
		t.found++
	case errors.Is(err, torc.ErrNotFound):
		t.lost++
	default:
		t.away++
	}
}
