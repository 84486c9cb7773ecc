// Package ring decides which node serves which key: it is the consistent hash
// ring of a cluster, and the rules by which the ring changes.
//
// # Picture
//
// The hash space is cut into Q equal partitions. A key belongs to the
// partition that its hash falls into, and is replicated on the N partitions
// from there on, its preference list. Each partition has an owner:
//
//	           key ── hash ──▶ partition 4
//	                              │
//	partition   0   1   2   3   4   5   6   7   8   9  10  11
//	owner       a   b   c   a   b   c   a   b   c   a   b   c
//	                            └───┬───┘
//	              preference list for N=3: b, c, a
//
// A [Ring] is one version of that assignment, numbered by its [Epoch]. It also
// holds the members with their [Status], and the pending [Transfer] of every
// partition that is on its way to its next owner. A Ring never changes. Each
// change is a function from one ring to the next:
//
//	ring ── Plan(Join(d)) ──▶ plan.Next ── Complete(t) ──▶ … ──▶ settled ring
//	          proposes d's share as transfers     flips one owner each
//
// [Ring.String], [Plan.String] and [Ring.MembersTable] draw them.
//
// # Lookup
//
// [Ring.Partition] and [Ring.PreferenceList] take some nanoseconds and do not
// allocate. [Ring.ReachableList] puts fallbacks in for unreachable primaries,
// always on nodes that are not in the list yet while there are any. These are
// sections 4.3 and 4.6 of the Dynamo paper (DeCandia et al., SOSP 2007) and
// riak_core_apl.
//
// # Claim
//
// Which member shall own which partition is decided by claim
// (riak_core_membership_claim). Whatever joins, leaves and replacements came
// before, for n members that claim:
//
//   - Balance: no two members differ by more than one partition.
//   - Spread: no window of TargetN consecutive partitions, around the end too,
//     repeats a member if there is any such ring, that is, if
//     n ≥ N + ⌈(Q mod N) / ⌊Q/N⌋⌉. Otherwise as few windows as possible do; three
//     members and 64 partitions have at least 2, so [DefaultSize] is 120. A [Plan]
//     shows its violations beside the least possible.
//   - Movement: few partitions change hands. On random walks of n > N+1 members
//     with N up to 5, all moves together are at most 1.1 times the lower bound
//     that balance alone demands, and mostly equal to it. A plan shows its moves
//     beside that bound. With n near N few rings are good, and getting from one
//     to another may take more.
//   - Determinism: the same ring and changes give the same plan on every machine.
//
// It repairs the present ring by a local search (repair.go, on the tables in
// board.go), tries many ways within a fixed amount of work, and takes the best.
// Where only a few regular rings are good it deals a new one (deal.go), turned
// and renamed to fit the present one (fit.go, match.go). Neither balance nor the
// number of violations depends on the search's luck; only the moves do.
//
// # Rules for callers
//
// A Ring may be used by any number of goroutines. Lists of targets are parts of
// the ring: never write to them. Compare partitions only between rings of one
// size, and epochs only between rings of one cluster id.
//
// Nothing here panics on what a caller or a stored document can hold: functions
// that make a ring return an error that names both sides and a witness, such as
//
//	ring: partition 17: b and d both claim it at epoch 12
//
// and every ring they return has passed the same invariants (invariants.go).
// Lookups of a partition the ring does not have find nobody.
//
// A member that is down changes owner at once in a plan, since it cannot hand
// off; all other partitions keep their owner until [Ring.Complete].
//
// # What it does not do
//
// It does not know who is alive: reachability is asked of the caller, and no
// status follows from it. It does not publish rings; whoever does must compare and
// set on the epoch. It moves no data. It has no goroutines, clocks, randomness
// or logs. And claim gives every member the same share, and looks at neither
// weights nor zones yet.
//
// # Testing
//
// The tests hold claim against obvious twins and exhaustive search on small
// rings, and walk it through random joins, leaves and replacements. A failing
// walk prints its seed, to replay with -walk; -walks 100 walks farther. Pictures
// are golden files in testdata; go test -rewrite writes them anew.
package ring
