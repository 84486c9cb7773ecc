// Package ping is the smallest service: a ping goes to the vnode that its key
// hashes to, which answers with the names of its partition and its node. It
// holds no state, so it is also what a stateless service looks like.
package ping

import (
	"context"

	torc "github.com/torc-io/torc"
	pingpb "github.com/torc-io/torc/proto/torc/ping/v1"
)

// Service answers pings.
type Service struct {
	*torc.Service[*vnode]
	Ping torc.Command[*pingpb.Ping, *pingpb.Pong]
}

// New returns the service. It keeps one replica of nothing.
func New() *Service {
	s := torc.NewService("ping", torc.Quorum{N: 1}, open)
	return &Service{s, torc.HandleRead(s, (*vnode).Ping, torc.NoWait[*pingpb.Pong]())}
}

type vnode struct {
	torc.Stateless
	host torc.Host
}

func open(_ context.Context, h torc.Host) (*vnode, error) { return &vnode{host: h}, nil }

// Ping says where it was answered.
func (v *vnode) Ping(context.Context, *pingpb.Ping) (*pingpb.Pong, error) {
	return &pingpb.Pong{Partition: uint32(v.host.Partition), Node: string(v.host.Node)}, nil
}
