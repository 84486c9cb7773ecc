package ring

import (
	"math/bits"

	"github.com/zeebo/xxh3"
)

// HashName names the hash function that [HashOf] computes. It is stored in
// every ring: members that hash differently would look for a key in different
// places, so a ring with another name is refused.
const HashName = "xxh3-64"

// Hash is the place of a key on the ring.
type Hash uint64

// HashOf hashes a key with XXH3 (64 bits, seed 0). It does not allocate, and it
// is frozen: golden vectors in the tests keep every version of every member
// agreeing where a key lives.
func HashOf(key []byte) Hash { return Hash(xxh3.Hash(key)) }

// Partition returns which of q equal ranges of the hash space the hash falls
// into: floor(h × q / 2⁶⁴), the high word of a 128-bit product. It works for any
// q, needs no division, and keeps partitions in the order of their hashes.
func (h Hash) Partition(q int) Partition {
	high, _ := bits.Mul64(uint64(h), uint64(q))
	return Partition(high)
}
