// Package sim runs whole clusters of the pure machines in one loop, by a seed.
//
// Three to seven nodes with their vnodes, reply tables, failure detectors and
// transfers, a membership store, a network and clients live on one goroutine and
// one queue of events, in order of time and then of entry. There is no clock but
// the queue's, no chance but the seed's, and no iteration over a map that anybody
// could notice: one seed is one history, byte for byte, on any machine. So what
// real processes show once a week is found in minutes, and happens again whenever
// somebody wants to look at it (FoundationDB and TigerBeetle are the models).
//
//	go run ./internal/sim/cmd/simulate -seed 7       its trace, a line for each event
//	go run ./internal/sim/cmd/simulate -seeds 10000  many, on all cores; failures are shrunk
//	make soak                                        by the clock
//
// # What is real, and what is not
//
// All decisions are those of the product: ring.Plan and Complete,
// coordinator.Request, handoff.Call, Standing, Sender, Receiver, Switch, Agenda,
// Sources and Arrears, membership.Detector and Claimant. The drivers around them
// are this package's own, without actors: proxy.go does what
// actors/vnode_proxy.go does, with the same times, and so on. What a driver of
// the one does that the other does not is what the simulation cannot see; when you
// change a driver in actors, change its twin here, or better, move the decision
// into the pure package.
//
//	world.go, queue.go, run.go     the loop; how a run begins, ends and is judged
//	scenario.go, fault.go, heal.go what a seed means; what goes wrong; how it is mended
//	network.go, stream.go          messages between nodes, connections of transfers
//	store.go                       the membership store: documents, watches, sessions
//	node.go, heartbeat.go, keeper.go, claimant.go
//	                               a node, whom it can reach, its ring, its plans
//	proxy.go, vnode.go, item.go    commands on their way to a vnode, and in it
//	request.go, client.go          coordinators, and who uses them
//	mover.go, sending.go, switch.go, receiving.go
//	                               transfers
//	ledger.go, heal.go, run.go     the checkers
//
// # What goes wrong
//
// Messages take long, get lost, come twice, and wait while a direction is cut.
// Connections break, noticed by one end before the other. Processes crash and
// forget everything, stop and go on, and have clocks that step. The store is away,
// for one node or for all, answers late or only after nobody waits any more, and
// its watches skip states and show old ones; sessions end under their holders.
// Nodes join, leave, replace each other, are given up, come back, change their
// mind. Half of the faults that follow a change wait for a cue (a transfer begins,
// an owner is about to change, a ring is published) and then hit the nodes that it
// concerns.
//
// # What is promised, and so what is a bug
//
// A checker that asks for too much is as useless as one that asks for too little.
// With N=3, R=W=2, and writes that are on two different nodes (Nodes: 2; without
// that, W=2 may be two positions of one node, which are lost together):
//
// In half of the seeds quorums are strict: two primaries answer each read and take
// each write. Then no read is stale, ever; and an acknowledged write survives any
// number of losses of memory, as long as they come one at a time: no process
// crashes while a partition of the stored ring has an owner that is not there or
// that recovers. For the write is on two primaries; a crash leaves one, which the
// recovering vnode hears before it is whole. On rings whose preference lists
// repeat a node two primaries may be one node, so nobody crashes while the ring is
// such, and a member that still runs is not evicted: its partitions would have two
// owners until it hears of it. (With sloppy quorums it is.)
//
// In the other half quorums are sloppy: fallbacks count. A read may then be stale
// after a fault (they are counted), but what was acknowledged is not lost and what
// was deleted does not come back, if one more rule is kept: between two losses of
// memory everything is mended, hints go home, and each key is read until its
// replicas are the same. For W=2 may be a primary and a fallback; if one of them is
// lost there is one copy, and recovery, which asks primaries, may be over before
// the fallback's hint is home. Nothing but a read brings the second copy back. The
// same goes for a ring whose preference lists repeat a node: the two copies of a
// write, on two nodes before, may have moved to one. That is what any store without
// anti-entropy promises.
//
// In both halves: at the end, when everything is mended, the cluster comes to rest,
// with all owners whole and nothing on fallbacks. Then keys whose writes all
// reached N replicas must be the same on them already; the others may need one
// read, and must be the same after it: those of which a coordinator ended early or
// ran out of time, those that were on a fallback, or being written, when memory was
// lost, and those of a member that was given up while it ran.
//
// # The checkers
//
//	lost, stale, resurrected, invented   package history, on what clients saw
//	replicas equal      at rest, before and after a sweep of reads
//	one ring an epoch   two rings are never published at one epoch; epochs grow
//	epochs grow         also in each process
//	one owner           a command is executed by the owner of the node's ring, or a fallback
//	positions keep      a position has, for ever, what it took of acknowledged writes
//	quorums distinct    an answer stands for W positions, executed on distinct nodes
//	deadline            every request is answered once, and in time
//	settles             nobody recovers, holds, moves or leaves for ever
//	transfer            no transfer ends since both sides differ
//
// Ten mutants, in mutants_test.go, show that they notice something.
//
// # What it does not do
//
// The store does not lose its document, values are small, a node has one service,
// and mailboxes are not full. Bytes on the wire, goroutines and real clocks are for
// the tests of actors and of real processes.
package sim
