// Package torc is a framework for stateful services: riak_core for Go.
//
// # The story on one page
//
// A service's state is divided by key. A key hashes onto a ring of partitions,
// and the N partitions from there on, the key's preference list, each hold a
// replica of what is under the key. One partition of one service on one node is
// a vnode: an actor, written by you, whose methods run one at a time on state
// that is in its memory.
//
//	command ──▶ key ──▶ hash ──▶ partition p ──▶ preference list p, p+1, … p+N-1
//	                                                  │       │         │
//	             coordinator: an actor per request ───┼───────┼─────────┤
//	                                                  ▼       ▼         ▼
//	                                               vnode    vnode     vnode
//	                                               node a   node b    node c
//
// A command is a protobuf message with a field "bytes key". Sending it starts a
// coordinator, a short-lived actor that passes the command to the preference
// list, waits for W of the N replicas to acknowledge a write, or for R to answer
// a read, and replies to you. When a primary cannot be reached, another node
// stands in for it. When replicas disagree, the read resolves them and repairs
// those that are behind.
//
// # A service
//
//	type vnode struct{ *torc.Store[*counterpb.Count] }
//
//	func open(context.Context, torc.Host) (*vnode, error) {
//		return &vnode{torc.NewStore[*counterpb.Count](nil)}, nil
//	}
//
//	func (v *vnode) Increment(_ context.Context, cmd *counterpb.Increment) (*counterpb.Count, error) { … }
//
//	svc       := torc.NewService("counter", torc.Quorum{N: 1}, open)
//	increment := torc.HandleWrite(svc, (*vnode).Increment)  // registration returns the typed client
//	node, err := torc.Start(ctx, torc.Config{Name: "solo"}, svc)
//	count, err := increment.Do(ctx, node, &counterpb.Increment{Key: key})
//
// # The rules
//
//   - A command changes the state under its own key only. It is what makes
//     handoff, repair and standing in automatic.
//   - The methods of one vnode never run at the same time. They may block, and
//     delay only their own partition by it.
//   - A message is immutable once it has been sent or returned. Replicas on one
//     node share it, and it may still be on its way to another.
//   - Merge may see an item twice. What else a vnode meets while its partition
//     moves or comes back is told in docs/handoff.md.
//   - A handler's context ends at the request's deadline. It does not end when
//     the client goes away, since a write that some replicas have taken must
//     reach the others too.
//   - A handler may run more than once for one request, on different replicas
//     always, and on one replica if a node failed while the command was under
//     way. Write commands whose repetition does no harm, or use N=1.
//   - A handler must not send commands to services of its own node and wait:
//     it could wait for itself.
//
// # From outside
//
// Programs that are no members use the same commands: package client has what
// takes the node's place in Do. Package gateway is what answers it on a node, and
// any program that speaks gRPC, or HTTP with JSON.
//
// # Errors
//
// What a vnode's handler returns arrives as an error whose sentinel survives the
// network: errors.Is(err, [ErrNotFound]) holds no matter where the vnode was.
// When too few replicas answered, the error is a [*QuorumError], which says what
// was needed, what came, why each of the others did not count, and whether a
// write's outcome is known.
//
// # What it does not do
//
// State is in memory unless the vnode keeps it elsewhere. There are no
// transactions over keys, and no consensus: replicas converge, they do not agree
// in advance.
package torc
