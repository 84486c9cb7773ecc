// Counter is a service of one command and one query, in a page.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	torc "github.com/torc-io/torc"
	counterpb "github.com/torc-io/torc/proto/torc/examples/counter/v1"
)

// vnode holds the counters of one partition. The embedded store is what moves
// when the partition does.
type vnode struct{ *torc.Store[*counterpb.Count] }

func open(context.Context, torc.Host) (*vnode, error) {
	return &vnode{torc.NewStore[*counterpb.Count](nil)}, nil
}

func (v *vnode) Increment(_ context.Context, cmd *counterpb.Increment) (*counterpb.Count, error) {
	count, _ := v.Get(cmd.GetKey())
	next := &counterpb.Count{Value: count.GetValue() + cmd.GetBy()}
	v.Put(cmd.GetKey(), next)
	return next, nil
}

func (v *vnode) Read(_ context.Context, cmd *counterpb.Read) (*counterpb.Count, error) {
	if count, ok := v.Get(cmd.GetKey()); ok {
		return count, nil
	}
	return nil, torc.ErrNotFound
}

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	svc := torc.NewService("counter", torc.Quorum{N: 1}, open)
	increment := torc.HandleWrite(svc, (*vnode).Increment)
	read := torc.HandleRead(svc, (*vnode).Read)

	node, err := torc.Start(ctx, torc.Config{Name: "solo"}, svc)
	if err != nil {
		return err
	}
	for range 3 {
		if _, err := increment.Do(ctx, node, &counterpb.Increment{Key: []byte("visits"), By: 14}); err != nil {
			return err
		}
	}
	count, err := read.Do(ctx, node, &counterpb.Read{Key: []byte("visits")})
	fmt.Println("visits:", count.GetValue())
	return errors.Join(err, node.Shutdown(ctx))
}
