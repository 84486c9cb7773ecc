// Package client sends commands to a cluster from outside of it. A [Client] is a
// torc.Sender: it takes the place of the node in the methods of every command.
//
//	service := kv.New(torc.Quorum{N: 3})                      // the same as on the nodes
//	cluster, err := client.New(client.Config{Addresses: []string{"a:4000", "b:4000", "c:4000"}})
//	object, err := service.On(cluster).Fetch(ctx, key)        // or fetch.Do(ctx, cluster, command)
//
// Where Consul knows the nodes, it finds them there: a consul.Store's HTTPAddresses
// is what [Config].Resolve wants.
//
// It speaks to the HTTP address of the nodes, where package gateway answers. Any
// node takes any command, and coordinates it.
//
// # Errors
//
// They are those of a node: errors.Is finds torc's sentinels, and errors.As the
// *torc.QuorumError with its causes, no matter on which machine they arose. The
// network between client and node adds three cases, in the same words:
//
//   - torc.ErrUnreachable: no node could be connected to. Nothing was executed.
//   - torc.ErrLost: the connection broke after the command had been sent.
//   - torc.ErrNoReply, with context.DeadlineExceeded: the node said nothing in time.
//
// After the last two the outcome of a write is unknown, as it is after a
// QuorumError that says so and after the caller's own cancellation.
//
// # What is sent again
//
// When a node fails, the request goes on to the next one, each node once, within
// the deadline:
//
//   - A read always, unless a node has answered it. It changes nothing. As long as
//     there is another node to ask, one gets half of the time that is left.
//   - A write only if it is proven that no replica has executed it: no connection
//     was made, or the node said so, because it is stopping, overloaded, or finds
//     too few replicas to send to.
//   - A write whose outcome is unknown never.
//
// So of all that one call of Do sends, at most one attempt is executed if the
// command is a write: the client is at most once. It is for the caller to
// send it again after an unknown outcome, and that makes it at least once.
// Within the cluster, what torc says of handlers goes: each replica executes the
// command, and a replica may do so twice if a node fails in between.
//
// # Nodes
//
// Requests go to the nodes in turn. One that fails is left alone for a second,
// then for two, up to half a minute, before it is asked something of no
// consequence; once it answers, requests go there again. While all nodes are
// failing, they are tried nonetheless.
//
// # What it does not do
//
// It does not know the ring, so a command may take one hop more than from a
// node. It does not limit how many requests are under way: the nodes do, with
// torc.ErrOverloaded.
package client
