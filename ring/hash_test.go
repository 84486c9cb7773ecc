package ring

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// hashVectors freeze where keys live: the hash, and the partition for four
// sizes. If one changes, members of different versions look for a key in
// different places, and stored data is lost to its readers. So it is never the
// test that is wrong. "a" and "abc" are the published values of XXH3_64bits, and the
// empty and the zero byte are those of xxHash's own sanity check.
var hashVectors = []struct {
	name, key  string
	hash       Hash
	partitions [4]Partition // of vectorSizes
}{
	{"empty", "", 0x2d06800538d394c2, [4]Partition{10, 11, 21, 180}},
	{"one byte", "a", 0xe6c632b61e964e1f, [4]Partition{54, 57, 108, 923}},
	{"three bytes", "abc", 0x78af5f94892f3950, [4]Partition{28, 30, 56, 482}},
	{"zero byte", "\x00", 0xc44bdff4074eecdb, [4]Partition{46, 49, 92, 785}},
	{"four bytes", "torc", 0xc391707079b8e025, [4]Partition{45, 48, 91, 782}},
	{"a word", "my_key", 0x2521b33d40403924, [4]Partition{8, 9, 17, 148}},
	{"not UTF-8", "\xff\xfe\x80", 0x1372c2fa6676005f, [4]Partition{4, 4, 9, 77}},
	{"UTF-8", "schlüssel/日本", 0x7258306de2d94227, [4]Partition{26, 28, 53, 457}},
	{"a path", "users/4711/basket", 0xefa51109f52c11fd, [4]Partition{56, 59, 112, 958}},
	{"16 bytes", "0123456789abcdef", 0x64439946d8fa212d, [4]Partition{23, 25, 46, 401}},
	{"17 bytes", "0123456789abcdefg", 0xd2e63ed5466f5c32, [4]Partition{49, 52, 98, 843}},
	{"129 bytes", strings.Repeat("k", 129), 0x99341f95fe4b04be, [4]Partition{35, 38, 71, 612}},
	{"241 bytes", strings.Repeat("k", 241), 0x26d43597c3347ba2, [4]Partition{9, 9, 18, 155}},
	{"1024 bytes", strings.Repeat("torc", 256), 0xae371534c9670f68, [4]Partition{40, 43, 81, 696}},
}

var vectorSizes = [4]int{60, 64, 120, 1024}

func TestHashVectors(t *testing.T) {
	for _, v := range hashVectors {
		h := HashOf([]byte(v.key))
		if h != v.hash {
			t.Errorf("%s: hash %#016x, want %#016x", v.name, uint64(h), uint64(v.hash))
		}
		for i, q := range vectorSizes {
			if p := h.Partition(q); p != v.partitions[i] {
				t.Errorf("%s: partition %d of %d, want %d", v.name, p, q, v.partitions[i])
			}
		}
	}
}

// The twin divides in whole numbers of any size.
func TestPartitionAgainstBigNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := rapid.Uint64().Draw(t, "hash")
		q := rapid.IntRange(1, MaxSize).Draw(t, "q")
		twin := new(big.Int).Mul(new(big.Int).SetUint64(h), big.NewInt(int64(q)))
		twin.Rsh(twin, 64)
		if p := Hash(h).Partition(q); twin.Cmp(big.NewInt(int64(p))) != 0 {
			t.Fatalf("%#x of %d: partition %d, want %v", h, q, p, twin)
		}
	})
}

func TestPartitionsAreInOrderOfHashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := rapid.IntRange(1, MaxSize).Draw(t, "q")
		low := rapid.Uint64().Draw(t, "low")
		high := rapid.Uint64Min(low).Draw(t, "high")
		if Hash(low).Partition(q) > Hash(high).Partition(q) {
			t.Fatalf("hash %#x lies behind %#x", low, high)
		}
		if int(Hash(high).Partition(q)) >= q {
			t.Fatalf("hash %#x lies in partition %d of %d", high, Hash(high).Partition(q), q)
		}
	})
}

func TestHashOfDoesNotAllocate(t *testing.T) {
	key := []byte("a key of usual length")
	if n := testing.AllocsPerRun(100, func() { _ = HashOf(key).Partition(DefaultSize) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
