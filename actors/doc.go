// Package actors is where decisions become actions: the only package that
// imports Proto.Actor. What to do is decided by the pure packages ring,
// coordinator and handoff, and by types without goroutines; each actor here
// drives one of them and stays boring.
//
// # What runs on a node
//
//	Node
//	├── transport             TCP, or Proto.Actor's protocol; behind the guard
//	│                         memory: nodes of one process, for tests
//	├── permanent processes, each under an address that never changes
//	│   ├── "reply"           replyTable: all replies come here, by request id
//	│   ├── "heartbeat"       heartbeat: drives the failure detector
//	│   ├── "repair"          repairDesk: recovering nodes ask here
//	│   ├── "inbox"           inboxDesk: what vnodes send to the clients of this node
//	│   └── "<service>/<p>"   vnodeProxy: one for each service and partition
//	├── actors
//	│   ├── vnode             behind its proxy, under a private id
//	│   └── coordinatorActor  one for each request in flight, free for another when it is over
//	└── goroutines
//	    ├── ringKeeper.run    adopts rings from the membership store
//	    ├── heartbeat.run     asks the peers, four times a second
//	    ├── claimant.run      plans, while it holds the lock
//	    └── mover.run         begins transfers, each of which has some of its own
//
// # A write, step by step
//
//  1. Node.Execute finds the partition of the key in the current view, enters a
//     coordinator that is free in the reply table, and has it begin.
//  2. The coordinator starts its machine, which names the vnodes to ask. One on
//     this node gets the command by pointer, through its proxy, into its
//     mailbox; one on another node gets it encoded, through the transport.
//  3. A worker of the pool runs the vnode: the handler is called, and its reply
//     sent to the reply table of whoever asked. If the handler waits for nothing
//     and the vnode is idle, the sender within the node does so instead.
//  4. The table finds the coordinator. On the goroutine that brought the reply
//     the machine counts it, and on the W-th answers the client.
//  5. The coordinator stays for the replies still out: a replica that refuses
//     gets a fallback even now, and a read repairs replicas that are behind.
//
// # Messages
//
//	to            message                       from
//	vnode proxy   *command (in an envelope)     coordinators of this node
//	              transportpb.Command           coordinators of other nodes
//	reply table   *Reply                        vnodes of this node
//	              transportpb.Reply             vnodes of other nodes
//	heartbeat     transportpb.Heartbeat, …Ack   heartbeats of other nodes
//	coordinator   begin                         the goroutine of its client
//	              *Reply, *nodeDown, expired    the reply table
//	inbox desk    transportpb.Push, …Gone       vnodes and inboxes of all nodes
//	repair desk   transportpb.RepairRequest     movers of other nodes
//	vnode         *command, *visit              its proxy; visits of transfers
//
// # Why not Proto.Actor's own
//
// Proto.Actor's mailboxes are unbounded or spin; a message that meets a spawn
// crashes its sender; messages behind a stop vanish; an actor per request with
// the default parts costs 10 µs and more. So mailboxes, dispatcher, addresses,
// request ids and deadlines are ours, on the interfaces that it offers for them.
// Its remote package is used for its protocol alone: its ends sleep two seconds
// after a failed dial, queue without bound, write a global of gRPC's unlocked at
// every start, and die of a crafted frame. Its cluster package is not used: it
// moves actors by killing them.
package actors
