// Package handoff decides how the items of a vnode get to another node while
// both of them serve.
//
// A transfer is two state machines, a [Sender] and a [Receiver], one of each for
// a vnode. [Standing] says what a vnode is to its partition, so what it answers
// and whose items it takes; [Agenda] and [Schedule] say which transfers begin. All are pure:
// no goroutine, clock, channel or I/O. Events go in, and [Sender.Next] says what
// there is to do. actors/handoff_sender.go and its neighbours do it. What a vnode
// has to bring along is [Stateful].
//
// # Picture
//
// Items go over as a virtual machine migrates: all of it while it runs, then what
// was changed meanwhile, and the last bit while it stands still for a moment.
//
//	           sender                                receiver
//	Copying    reads the snapshot      ──chunks──▶   merges, acknowledges
//	           a write makes its key dirty
//	Rounds     sends the present items ──chunks──▶   merges, acknowledges
//	           of the dirty keys, until a turn leaves none
//	Through    a write's item goes     ──chunks──▶   merges, acknowledges
//	           over at once, and its
//	           reply waits for that    ◀───acks───
//	Sealed     holds its commands      ───seal───▶   counts
//	           both agree              ◀──count───
//	           changes the ring        ───flip───▶   is the owner, and serves
//	Done
//
// Until the flip the sender is the owner, and whatever breaks, it goes on serving
// with all it has. The receiver is nothing yet. So a transfer may end at any
// point, and begin again, and costs no more than the time.
//
// # Three types
//
//	            from                  what goes over          ends when
//	Ownership   the owner             all items, and what is  the ring has changed
//	            to the next           removed meanwhile
//	Hinted      a fallback            the keys that commands  the owner has them all,
//	            to the owner          wrote there             and nothing was written
//	Repair      a neighbour           what of its snapshot    both have counted
//	            to one that recovers  the receiver is to hold
//
// An ownership transfer goes through all phases. A hinted one has no Through: its
// writes are acknowledged already, as a fallback's; it goes round until a turn finds
// that the owner has everything, and on that turn what was owed is forgotten. A
// former owner whose successor did not confirm returns everything in that way, by a
// snapshot. A repair needs no dirty keys, since the receiver is the owner and gets
// all writes itself; it is sealed when the snapshot is over.
//
// # What each rule is for
//
// Most of them are a way in which riak_core loses or doubts data:
//
//   - Snapshot and dirty keys begin on one turn of the vnode. A fold sees a key
//     before or after a write; a write behind the fold, in neither, is lost.
//   - A write in Through is acknowledged when both have it. riak_core acknowledges
//     it and forwards it with nobody waiting, and a lost forward is a lost write.
//   - A removed key goes over as a deleted item. Else the copy that was sent before
//     comes back to life.
//   - What goes over for a dirty key is its item at that time, taken and put in line
//     on one turn. So items of a key arrive in their order, and a vnode without
//     versions may just replace.
//   - Nothing is skipped. An item that cannot be encoded or merged, and a count that
//     differs, end the transfer with an error. (A handoff that drops what it could not
//     decode, and reports success, is found out when the data is needed.)
//   - The sender keeps a chunk until it is acknowledged; a receiver acknowledges it
//     after the merge, knows the next number, and outlives the connection. What is
//     sent again is a [Window] at most, and is not merged twice.
//   - A seal holds for one connection. After it the sender may go on writing, and
//     then be given up: a receiver that took a stale seal for the truth would answer
//     reads without those writes. It recovers instead, until the sender says that
//     the ring was changed on that seal.
//   - A seal is taken back by everything that comes after it, and a count that answers
//     an earlier seal is not heard.
//   - Even an empty vnode is copied, sealed and flipped. A fast path for is_empty loses
//     what is written after the look.
//   - The ring changes after both agree, and items are dropped after the receiver said
//     that it serves with them: destroy last. One that deletes first, or hands off to
//     itself, has nothing when the other was wrong.
//   - What a former transfer left behind is dropped before the next begins, or keys
//     removed since would come with it; unless it holds what commands wrote there, which
//     goes to the owner first. What has become the owner's is never dropped.
//   - A recovering vnode hears from all that share a key with it ([Sources]), not from
//     its two neighbours: with W=2 of 3 those need not have all. Until then it answers
//     no reads.
//   - A fallback answers a read only of a key that it was written: it knows nothing
//     about the others.
//   - Rounds end after some, even if as much is written as goes over: from then on
//     writers are slowed down to what the receiver takes.
//
// # Rules for the caller
//
// A Sender's methods never run at the same time; guard it with a mutex. Some have to
// run on the turn of the vnode, so that no command comes between:
//
//   - [Standing.Give], with the call of Snapshot.
//   - [Sender.Wrote], [Sender.Pass] and [Sender.Merged], with the command or the merge.
//   - [Sender.Take] until a chunk is full, the calls of Item, and [Sender.Collected].
//     If that makes the phase Done, [Standing.Returned] on the same turn.
//   - [Sender.Seal]. Commands are held before, and until the ring has changed or
//     [Sender.Reopen].
//
// Reading the snapshot and sending are for another goroutine. All methods of Standing
// and Receiver run on the vnode's turn, and a chunk's check, merge and [Receiver.Merged]
// on one. Whoever takes frames asks for the [Receiver.Connection] at each: what comes
// by an older connection is not for the receiver any more, and its answers are
// not for the sender. The connection must keep the order of frames.
//
// When [Sender.Lost] is called, let go of the replies that wait. The owner has executed
// them, and is the owner still.
//
// Where the ring changed after an agreement and the connection was lost, make another one,
// with the same hello, for the word of [Standing.Confirm]: the new owner then knows that
// it has everything. Only one that has restarted, and has nothing, is sent the items
// again ([Standing.Handed]).
//
// # What it does not do
//
// It does not know what an item means: conflicts are for Merge, and where replicas can
// diverge a removal has to be an item itself ([Stateful]). It changes no ring, and does
// not know who can be reached, how fast to send, or when to try again. It compares
// numbers of items, not their content; the [Checksum] of a chunk is for that on its way.
// A partition moves as a whole.
//
// # Testing
//
// testdata holds golden dialogues: transfers between two maps, what vnodes admit and
// welcome, and schedules. Read those first. Rewrite them with go test ./handoff/
// -rewrite, and justify the difference. Random events of all kinds, on the same two
// maps, check that both are equal when the sender says so, that what was acknowledged
// is there, and that no more is kept or sent again than should be. Sources, schedules
// and sets of keys have obvious twins. FuzzDecodeItems holds the codec to its word.
package handoff
