package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/client"
	"github.com/torc-io/torc/gateway"
	"github.com/torc-io/torc/kv"
	pingpb "github.com/torc-io/torc/proto/torc/ping/v1"

	"github.com/torc-io/torc/ping"
)

// exampleNode starts a node with the services kv and ping behind a gateway, as
// the program node does, and returns where it answers.
func exampleNode(ctx context.Context) (address string, stop func()) {
	node, err := torc.Start(ctx, torc.Config{Name: "solo"}, kv.New(torc.Quorum{N: 3}), ping.New())
	if err != nil {
		panic(err)
	}
	commands := gateway.New(gateway.Config{})
	commands.Attach(node)
	server := httptest.NewUnstartedServer(commands)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	return server.URL, func() {
		server.Close()
		if err := node.Shutdown(ctx); err != nil {
			panic(err)
		}
	}
}

// A program outside of the cluster uses a service as one within does: with the
// client in the place of the node.
func Example() {
	ctx := context.Background()
	address, stop := exampleNode(ctx)
	defer stop()

	cluster, err := client.New(client.Config{Addresses: []string{address}})
	if err != nil {
		panic(err)
	}
	defer cluster.Close()

	store := kv.New(torc.Quorum{N: 3}).On(cluster)
	if _, err := store.Store(ctx, []byte("my_key"), kv.Value{Bytes: []byte("hello")}, torc.W(3)); err != nil {
		panic(err)
	}
	object, err := store.Fetch(ctx, []byte("my_key"))
	fmt.Printf("%s %v\n", object.GetValue(), err)

	pong, err := ping.New().Ping.Do(ctx, cluster, &pingpb.Ping{Key: []byte("my_key")})
	fmt.Println(pong.GetNode(), err)
	// Output:
	// hello <nil>
	// solo <nil>
}

// Errors are what they are on a node.
func Example_errors() {
	ctx := context.Background()
	address, stop := exampleNode(ctx)
	defer stop()

	cluster, err := client.New(client.Config{Addresses: []string{address}})
	if err != nil {
		panic(err)
	}
	defer cluster.Close()
	store := kv.New(torc.Quorum{N: 3}).On(cluster)

	_, err = store.Fetch(ctx, []byte("nothing"))
	fmt.Println(errors.Is(err, torc.ErrNotFound))

	_, err = store.Store(ctx, []byte("my_key"), kv.Value{}, torc.Nodes(2))
	if short, ok := errors.AsType[*torc.QuorumError](err); ok {
		fmt.Printf("needed %d of %d %v, safe to send again: %v\n",
			short.Needed, short.Of, short.Requirement, short.Outcome == torc.OutcomeFailed)
	}
	// Output:
	// true
	// needed 2 of 1 distinct nodes, safe to send again: true
}
