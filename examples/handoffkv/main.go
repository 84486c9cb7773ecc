// Handoffkv keeps its data while members come and go: a partition that gets
// another owner takes its items along, and serves all the while. vnode.go has the
// vnode with all its methods written out.
package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/examples/member"
	handoffkvpb "github.com/torc-io/torc/proto/torc/examples/handoffkv/v1"
)

// replicas is one, so that it is plain to see which node answers for a key. The
// vnode is ready for more.
const replicas = 1

func main() { member.Main(run) }

func run(ctx context.Context, m *member.Member) error {
	svc := torc.NewService("handoffkv", torc.Quorum{N: replicas}, open)
	s := service{
		store: torc.HandleWrite(svc, (*vnode).Store, torc.Resolve(newer)),
		fetch: torc.HandleRead(svc, (*vnode).Fetch, torc.Resolve(newer)),
	}
	config, err := m.Config()
	if err != nil {
		return err
	}
	config.Transfers = torc.TransferLimits{Out: 1, In: 1} // one after the other, for the eye
	if s.node, err = torc.Start(ctx, config, svc); err != nil {
		return err
	}
	return m.Attend(ctx, s.node, s.commands()...)
}

// newer is the answer that stands if several replicas were asked.
func newer(a, b *handoffkvpb.Answer) *handoffkvpb.Answer {
	if compare(a.GetEntry(), b.GetEntry()) < 0 {
		return b
	}
	return a
}

// service is what a client sees.
type service struct {
	node  *torc.Node
	store torc.Command[*handoffkvpb.Store, *handoffkvpb.Answer]
	fetch torc.Command[*handoffkvpb.Fetch, *handoffkvpb.Answer]
}

// Store puts data under a key. If the vnode has an entry from the future, by a
// clock that is ahead, it tries again with a version above that.
func (s service) Store(ctx context.Context, key, data string) (*handoffkvpb.Answer, error) {
	entry := &handoffkvpb.Entry{Data: data, WrittenAt: time.Now().UnixNano(), Writer: string(s.node.Name())}
	for {
		answer, err := s.store.Do(ctx, s.node, &handoffkvpb.Store{Key: []byte(key), Entry: entry})
		if err != nil || compare(answer.GetEntry(), entry) <= 0 {
			return answer, err
		}
		above := answer.GetEntry().GetWrittenAt() + 1
		entry = &handoffkvpb.Entry{Data: data, WrittenAt: above, Writer: entry.GetWriter()}
	}
}

// Fetch returns the data under a key and who had it, or torc.ErrNotFound.
func (s service) Fetch(ctx context.Context, key string) (*handoffkvpb.Answer, error) {
	return s.fetch.Do(ctx, s.node, &handoffkvpb.Fetch{Key: []byte(key)})
}

func (s service) commands() []member.Command {
	return []member.Command{
		{Usage: "store KEY DATA", Run: func(ctx context.Context, args []string) (string, error) {
			answer, err := s.Store(ctx, args[0], args[1])
			return "ok, " + where(answer), err
		}},
		{Usage: "fetch KEY", Run: func(ctx context.Context, args []string) (string, error) {
			answer, err := s.Fetch(ctx, args[0])
			return fmt.Sprintf("%s, %s", answer.GetEntry().GetData(), where(answer)), err
		}},
		{Usage: "watch KEYS NODE", Run: func(ctx context.Context, args []string) (string, error) {
			keys, err := strconv.Atoi(args[0])
			if err != nil {
				return "", err
			}
			return s.watch(ctx, keys, torc.NodeName(args[1]))
		}},
	}
}

func where(a *handoffkvpb.Answer) string {
	return fmt.Sprintf("in partition %d on %s", a.GetPartition(), a.GetNode())
}
