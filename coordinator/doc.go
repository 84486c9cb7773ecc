// Package coordinator decides how one request is served by the vnodes of a
// preference list.
//
// A [Request] sends a command to the N partitions of its key's preference
// list, counts their replies, answers when R (or W) of them came, goes to a
// fallback where a node refuses or is lost, and at the end tells which replicas
// a read should repair. It is a state machine: events go in, a [Step] of things
// to do comes out. It is pure: no goroutine, clock, channel or I/O. The actor
// around it (actors/coordinator.go) owns the deadline, the replies and the
// sending. riak_core leaves all of this to its users; Riak KV has it in
// riak_kv_get_fsm and riak_kv_put_fsm, each with its own core.
//
// # The states
//
//	zero ──Init──▶ prepared ──Start──▶ waiting ────Met────▶ answered
//	                  │                   │                     │
//	                  │ Expire            │ Impossible, Expire  │ all settled, Expire
//	                  │                   ▼                     │
//	                  └───────────────▶ closed ◀────────────────┘
//	                                      └──▶ Repairs, of a read that was Met
//
// The workshop's FSM calls the first two transitions prepare and execute.
// The client is answered once, on the way out of waiting: [Met], [Impossible]
// or [Expired]. After Met the request stays open, so that a third replica that
// refuses a write still gets its fallback, and a third reply of a read can
// still be found stale. After Impossible and Expired it is closed at once: a
// request that failed sends nothing more. Answer and Closed are each reported
// by exactly one Step of a request, and Expire closes it whatever came before.
//
// # Positions, not replies, are counted
//
// Position i of a request stands for partition p+i. The partition a reply names
// is its position, whoever sent it, and each position counts once: a duplicate,
// a late reply, or the reply of a primary and of its stand-in are one answer.
// (riak_kv_put_core counts replies: there a forwarded write that is
// acknowledged by its old and its new owner makes W=2 of one replica.) The epoch
// of a reply does not matter: partitions keep their numbers for the ring's life.
//
// A position is open until it is settled: by an answer, or by a failure that
// nobody can make good. While it is open, an answer is taken from
//   - the node asked last,
//   - a node asked before it, which refused or was lost too early,
//   - a node never asked, to which an owner forwarded the command while the
//     partition moves. It says itself whether it is a fallback.
//
// A failure is taken from the node asked last; or from a node never asked while
// only one node has been asked, since then that one must have forwarded it. Any
// other failure is old news.
//
// # Outcomes
//
// What a reply does to its position:
//
//	outcome     read               write     executed?
//	Acked       answer             answer    yes
//	NotFound    answer; none if    (Failed)  yes
//	            by a fallback
//	Behind      answer, if the     answer    yes
//	            others do not do
//	Recovering  settled            settled   no
//	Failed      settled            settled   maybe
//	Shed        settled            settled   no
//	Refused     next fallback      same      no
//	Lost        next fallback      same      maybe
//
// A fallback's not-found says only that it was never asked before, so it is no
// answer: trap 16 of riak_core, which let an empty stand-in deny a key that two
// replicas held. Shed is not sent elsewhere, because load that moves on a
// refusal for overload spreads the overload. Recovering is a vnode that came
// back empty and cannot deny a key yet; it takes writes, and so answers them.
//
// Behind is the answer of a primary that was away, and for which a fallback still
// holds writes. It is kept, and counts only when no other answer can come and the
// request would fail without it: an old value is then better than none, and where
// the primaries of reads and writes overlap it is not even old. Doubtful tells of it.
//
// An acknowledgement of a write counts until the write is answered only as long as
// its node stays: a node that went away may come back without its memory, and
// recover from replicas that the write has yet to reach. Its position is settled,
// and goes nowhere.
//
// # Fallbacks
//
// A position goes on to the next reachable node along the ring that is not in
// the request yet; to a node already in it only when there is no other, and
// then never to one that refused, shed or was lost in this request. Each node is asked
// at most once for a position, and a position asks at most [MaxTries] nodes.
// An answered read goes to no fallback: nobody waits for it any more.
//
// A write whose node was lost may have been executed there, and goes to a
// fallback all the same. So a command runs at most once on a node, yet perhaps
// on a primary and on its stand-in both, for one position. That is safe, since
// what the stand-in hands back later is the item, joined by Merge, and not the
// command.
//
// # Failing early, and saying what is known
//
// Each event compares the quorum with the best case: that every node asked and
// not heard acknowledges. Where even that is too little the answer is
// [Impossible], at once and not at the deadline. At Start this happens before
// anything is sent. A [QuorumError] then names each position that did not
// answer and why. A failed write is Unknown instead of Failed as soon as any
// node executed it or may have: a client must not take it for undone.
//
// # Rules for the caller
//
//   - One goroutine at a time calls a Request. It may call it again from inside
//     its loop over Sends: a Step's Sends stay as they are until the next Init.
//   - Send each Send once. A send that fails at once is a Reply of Refused from
//     that target; a connection that breaks later is a NodeDown.
//   - Keep the value of a reply that counted under its position, and the error
//     of one that did not, if its position is not -1.
//   - Call Expire at the deadline, even after the answer. It costs nothing on a
//     request that is closed.
//   - A Request is large (under 4 KiB, for [ring.MaxN] positions and all their
//     tries), so keep it in a pool. Init makes it new without clearing all of it.
//     It keeps the ring it had alive until the next Init.
//
// # What it does not do
//
// It does not know the commands, their values or how to join divergent ones:
// the caller resolves the replies, and says in Repairs which equal the result.
// It does not retry a command, and does not deduplicate requests: two requests
// for one client command are two executions.
//
// # Testing
//
// testdata holds golden dialogues, one line an event: read those first. Rewrite
// them with go test ./coordinator/ -rewrite, and justify the difference. The
// arithmetic is compared with a twin that tries all outcomes, and random
// dialogues are checked against the rules above by a model that keeps nothing
// but the history.
package coordinator
