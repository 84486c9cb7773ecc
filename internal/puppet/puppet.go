// Package puppet is a service for tests of what stands on the public API: its
// handlers do what the verb of a command tells them to.
//
//	fail       return an error of their own
//	invalid    return torc.ErrInvalid
//	panic      panic
//	slow       take as long as the service's Pause, whatever the deadline
//	hang       wait for the deadline, and give up
//	wait       wait until the service's Gate is closed, whatever the deadline
//	deadline   answer with the time that is left, as text
//	anything   store and return the value, or return what is stored
package puppet

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	torc "github.com/torc-io/torc"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
)

// Service is one puppet, which any number of nodes may share.
type Service struct {
	*torc.Service[*vnode]
	Act  torc.Command[*testingpb.Act, *testingpb.Seen]
	Look torc.Command[*testingpb.Look, *testingpb.Seen]
	// Executed counts what handlers began to do, on all replicas.
	Executed atomic.Int64
	// Opened counts the attempts to open a vnode, which fail while FailOpen says so.
	Opened   atomic.Int64
	FailOpen atomic.Bool
	// Pause is how long the verb "slow" takes; set it before it is used.
	Pause time.Duration
	// Gate holds up the verb "wait" until it is closed.
	Gate chan struct{}
}

// New returns the service, named "puppet". Its reads do not repair.
func New(q torc.Quorum) *Service {
	s := begin(q)
	s.Look = torc.HandleRead(s.Service, (*vnode).Look, torc.Resolve(newest))
	return s
}

// NewRepairing returns the service with reads that repair.
func NewRepairing(q torc.Quorum) *Service {
	s := begin(q)
	s.Look = torc.HandleRead(s.Service, (*vnode).Look, torc.Resolve(newest), torc.Repair(s.Act, rewrite))
	return s
}

// begin makes the service without its read.
func begin(q torc.Quorum) *Service {
	s := &Service{Pause: time.Millisecond, Gate: make(chan struct{})}
	s.Service = torc.NewService("puppet", q, s.open)
	s.Act = torc.HandleWrite(s.Service, (*vnode).Act)
	return s
}

func (s *Service) open(context.Context, torc.Host) (*vnode, error) {
	s.Opened.Add(1)
	if s.FailOpen.Load() {
		return nil, errAsTold
	}
	return &vnode{torc.NewStore(newest), s}, nil
}

func rewrite(key []byte, seen *testingpb.Seen) *testingpb.Act {
	return &testingpb.Act{Key: key, Verb: "store", Value: seen.GetValue()}
}

func newest(a, b *testingpb.Seen) *testingpb.Seen {
	if a.GetVersion() < b.GetVersion() {
		return b
	}
	return a
}

type vnode struct {
	*torc.Store[*testingpb.Seen]

	service *Service
}

// Act is the write.
func (v *vnode) Act(ctx context.Context, cmd *testingpb.Act) (*testingpb.Seen, error) {
	seen, err := v.perform(ctx, cmd.GetVerb())
	if seen != nil || err != nil {
		return seen, err
	}
	present, _ := v.Get(cmd.GetKey())
	seen = &testingpb.Seen{Value: cmd.GetValue(), Version: present.GetVersion() + 1}
	v.Put(cmd.GetKey(), seen)
	return seen, nil
}

// Look is the read.
func (v *vnode) Look(ctx context.Context, cmd *testingpb.Look) (*testingpb.Seen, error) {
	seen, err := v.perform(ctx, cmd.GetVerb())
	if seen != nil || err != nil {
		return seen, err
	}
	if seen, ok := v.Get(cmd.GetKey()); ok {
		return seen, nil
	}
	return nil, torc.ErrNotFound
}

var errAsTold = errors.New("as told")

// perform does what a verb says; it returns nothing if that is to store or look.
func (v *vnode) perform(ctx context.Context, verb string) (*testingpb.Seen, error) {
	v.service.Executed.Add(1)
	switch verb {
	case "fail":
		return nil, errAsTold
	case "invalid":
		return nil, torc.ErrInvalid
	case "panic":
		panic("as told")
	case "slow":
		time.Sleep(v.service.Pause) //archtest:sleep a handler that takes its time
	case "hang":
		<-ctx.Done()
		return nil, ctx.Err()
	case "wait":
		<-v.service.Gate
	case "deadline":
		deadline, _ := ctx.Deadline()
		return &testingpb.Seen{Value: []byte(time.Until(deadline).String())}, nil
	}
	return nil, nil //nolint:nilnil // the verb is none of these
}
