package torc_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/membership/local"
	"github.com/torc-io/torc/ping"
	counterpb "github.com/torc-io/torc/proto/torc/examples/counter/v1"
	pingpb "github.com/torc-io/torc/proto/torc/ping/v1"
)

// A vnode of its own: the methods are commands, and the embedded store makes
// the items ready to move.
type tally struct{ *torc.Store[*counterpb.Count] }

func openTally(context.Context, torc.Host) (*tally, error) {
	return &tally{torc.NewStore(greater)}, nil
}

// greater merges two replicas of a counter that only grows.
func greater(a, b *counterpb.Count) *counterpb.Count {
	if a.GetValue() < b.GetValue() {
		return b
	}
	return a
}

func (v *tally) Increment(_ context.Context, cmd *counterpb.Increment) (*counterpb.Count, error) {
	if cmd.GetBy() < 0 {
		return nil, fmt.Errorf("%w: this counter only grows", torc.ErrInvalid)
	}
	count, _ := v.Get(cmd.GetKey())
	next := &counterpb.Count{Value: count.GetValue() + cmd.GetBy()}
	v.Put(cmd.GetKey(), next)
	return next, nil
}

func (v *tally) Read(_ context.Context, cmd *counterpb.Read) (*counterpb.Count, error) {
	count, ok := v.Get(cmd.GetKey())
	if !ok {
		return nil, torc.ErrNotFound
	}
	return count, nil
}

// The life of a service: declare it, register its handlers, start a node, send.
func Example() {
	svc := torc.NewService("tally", torc.Quorum{N: 3}, openTally)
	increment := torc.HandleWrite(svc, (*tally).Increment)
	read := torc.HandleRead(svc, (*tally).Read, torc.Resolve(greater))

	ctx := context.Background()
	node, err := torc.Start(ctx, torc.Config{Name: "solo"}, svc)
	if err != nil {
		log.Fatal(err)
	}
	key := []byte("visits")
	if _, err := increment.Do(ctx, node, &counterpb.Increment{Key: key, By: 42}); err != nil {
		log.Fatal(err)
	}
	count, err := read.Do(ctx, node, &counterpb.Read{Key: key})
	fmt.Println(count.GetValue(), err)
	fmt.Println(node.Shutdown(ctx))
	// Output:
	// 42 <nil>
	// <nil>
}

// Without a Membership, a node is a cluster of one.
func ExampleStart() {
	pinger := ping.New()
	ctx := context.Background()
	node, err := torc.Start(ctx, torc.Config{Name: "solo"}, pinger)
	if err != nil {
		log.Fatal(err)
	}
	pong, err := pinger.Ping.Do(ctx, node, &pingpb.Ping{Key: []byte("apple")})
	fmt.Println("partition", pong.GetPartition(), "on", pong.GetNode(), err)
	fmt.Println(node.Shutdown(ctx))
	// Output:
	// partition 38 on solo <nil>
	// <nil>
}

// Several nodes of one process share a store. Bootstrap makes all of them wait
// for each other, so that they share the first ring evenly.
func ExampleStart_cluster() {
	store, network, pinger := local.NewStore(), torc.NewNetwork(), ping.New()
	ctx := context.Background()
	nodes := make(chan *torc.Node)
	for _, name := range []string{"a", "b", "c"} {
		go func() {
			node, err := torc.Start(ctx, torc.Config{
				Name: name, Membership: store.Connect(), Network: network, Bootstrap: 3,
			}, pinger)
			if err != nil {
				log.Fatal(err)
			}
			nodes <- node
		}()
	}
	cluster := []*torc.Node{<-nodes, <-nodes, <-nodes}
	for _, m := range cluster[0].Ring().Members() {
		fmt.Println(m.Name, m.Status)
	}
	pong, err := pinger.Ping.Do(ctx, cluster[0], &pingpb.Ping{Key: []byte("apple")})
	fmt.Println("partition", pong.GetPartition(), "answered:", err == nil)
	for _, node := range cluster {
		if err := node.Shutdown(ctx); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// a valid
	// b valid
	// c valid
	// partition 38 answered: true
}

// A handler's sentinel reaches the client, wherever the handler ran.
func ExampleQuorumError() {
	svc := torc.NewService("tally", torc.Quorum{N: 3}, openTally)
	increment := torc.HandleWrite(svc, (*tally).Increment)
	read := torc.HandleRead(svc, (*tally).Read)
	ctx := context.Background()
	node, err := torc.Start(ctx, torc.Config{Name: "solo"}, svc)
	if err != nil {
		log.Fatal(err)
	}
	_, err = read.Do(ctx, node, &counterpb.Read{Key: []byte("nothing")})
	fmt.Println(errors.Is(err, torc.ErrNotFound))

	_, err = increment.Do(ctx, node, &counterpb.Increment{Key: []byte("visits"), By: -1}, torc.W(2))
	if short, ok := errors.AsType[*torc.QuorumError](err); ok {
		fmt.Println("needed", short.Needed, "of", short.Of, "got", short.Got)
	}
	fmt.Println(errors.Is(err, torc.ErrInvalid))
	fmt.Println(node.Shutdown(ctx))
	// Output:
	// true
	// needed 2 of 3 got 0
	// true
	// <nil>
}

// Every reply by itself, and a receipt of who acknowledged.
func ExampleCommand_All() {
	svc := torc.NewService("tally", torc.Quorum{N: 3}, openTally)
	increment := torc.HandleWrite(svc, (*tally).Increment)
	read := torc.HandleRead(svc, (*tally).Read)
	ctx := context.Background()
	node, err := torc.Start(ctx, torc.Config{Name: "solo"}, svc)
	if err != nil {
		log.Fatal(err)
	}
	var receipt torc.Receipt
	_, err = increment.Do(ctx, node, &counterpb.Increment{Key: []byte("visits"), By: 2},
		torc.W(3), torc.WithReceipt(&receipt))
	fmt.Println(len(receipt.Acks), "of", receipt.N, err)

	replies, err := read.All(ctx, node, &counterpb.Read{Key: []byte("visits")})
	for _, r := range replies {
		fmt.Println("partition", r.Partition, "on", r.Node, "has", r.Value.GetValue(), r.Err)
	}
	fmt.Println(err, node.Shutdown(ctx))
	// Output:
	// 3 of 3 <nil>
	// partition 32 on solo has 2 <nil>
	// partition 33 on solo has 2 <nil>
	// partition 34 on solo has 2 <nil>
	// <nil> <nil>
}
