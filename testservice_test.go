package torc_test

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	torc "github.com/torc-io/torc"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
)

// puppet is a service whose handlers do what the command's verb says.
type puppet struct {
	*torc.Service[*puppetVnode]
	act  torc.Command[*testingpb.Act, *testingpb.Seen]
	look torc.Command[*testingpb.Look, *testingpb.Seen]

	executed atomic.Int64
	opened   atomic.Int64
	// pause is how long the verb "slow" takes.
	pause time.Duration
	// failOpen makes opening a vnode fail while it is true.
	failOpen atomic.Bool
}

var errPuppet = errors.New("as told")

func newPuppet(q torc.Quorum) *puppet {
	p := &puppet{pause: time.Millisecond}
	p.Service = torc.NewService("puppet", q, p.open)
	p.act = torc.HandleWrite(p.Service, (*puppetVnode).Act)
	p.look = torc.HandleRead(p.Service, (*puppetVnode).Look,
		torc.Resolve(newestSeen), torc.Repair(p.act, storeSeen))
	return p
}

func newestSeen(a, b *testingpb.Seen) *testingpb.Seen {
	if a.GetVersion() < b.GetVersion() {
		return b
	}
	return a
}

func storeSeen(key []byte, s *testingpb.Seen) *testingpb.Act {
	return &testingpb.Act{Key: key, Verb: "store", Value: s.GetValue()}
}

type puppetVnode struct {
	*torc.Store[*testingpb.Seen]
	puppet *puppet
}

func (p *puppet) open(context.Context, torc.Host) (*puppetVnode, error) {
	p.opened.Add(1)
	if p.failOpen.Load() {
		return nil, errPuppet
	}
	return &puppetVnode{torc.NewStore(newestSeen), p}, nil
}

func (v *puppetVnode) Act(ctx context.Context, cmd *testingpb.Act) (*testingpb.Seen, error) {
	v.puppet.executed.Add(1)
	if err := v.puppet.perform(ctx, cmd.GetVerb()); err != nil {
		return nil, err
	}
	present, _ := v.Get(cmd.GetKey())
	seen := &testingpb.Seen{Value: cmd.GetValue(), Version: present.GetVersion() + 1}
	v.Put(cmd.GetKey(), seen)
	return seen, nil
}

func (v *puppetVnode) Look(ctx context.Context, cmd *testingpb.Look) (*testingpb.Seen, error) {
	v.puppet.executed.Add(1)
	if err := v.puppet.perform(ctx, cmd.GetVerb()); err != nil {
		return nil, err
	}
	seen, ok := v.Get(cmd.GetKey())
	if !ok {
		return nil, torc.ErrNotFound
	}
	return seen, nil
}

func (p *puppet) perform(ctx context.Context, verb string) error {
	switch verb {
	case "fail":
		return errPuppet
	case "invalid":
		return torc.ErrInvalid
	case "panic":
		panic("as told")
	case "slow":
		time.Sleep(p.pause) //archtest:sleep a handler that takes its time
	case "hang":
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}
