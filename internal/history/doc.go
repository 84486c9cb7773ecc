// Package history keeps what clients did to a store of keys, and checks
// afterwards whether the store kept its promises. It knows nothing of the store:
// a checker that shares code with what it checks shares its mistakes.
//
// # What is kept
//
// An [Op] is one operation of one client on one key: from when to when, how it
// ended, and which version it wrote or returned. Versions are the client's own
// numbers, and not the store's: 1, 2, 3 … for each key, and one for each delete
// too. A key has one writer at a time, so these numbers are the order in which
// its writes happened. Each checker rests on that.
//
// # What is checked
//
//	Lost         the end knows less of a key than was acknowledged
//	Resurrected  a value is back that an acknowledged delete had removed
//	Stale        a read returned less than had been acknowledged when it began
//	Invented     a read returned what nobody wrote
//	Failures     operations that were not answered, by phase
//
// The first four return a [Finding] for each read that is wrong, which names the
// operation that proves it. A value that is back is stale or lost as well, so one
// read may be found twice: the more special word says more.
//
// # What is not known
//
// Of an operation that ended [Unknown] nobody can say whether it took effect; it
// may do so at any time until the end. What it wrote is therefore never too old
// to be read, with one exception: once a read has returned it, it has taken
// effect, and whatever is begun and acknowledged after that is newer. What it did
// not write is judged as if it had never been.
//
// Only what must hold for any store with quorums that overlap is called wrong. Two
// reads during one write may see the new value first and the old one then.
package history
