package ring

import (
	"fmt"
	"testing"
)

func BenchmarkPartition(b *testing.B) {
	r := mustNew(b, 1024, 3, 40)
	key := []byte("a key of usual length")
	b.ReportAllocs()
	for b.Loop() {
		r.Partition(key)
	}
}

func BenchmarkPreferenceList(b *testing.B) {
	r := mustNew(b, 1024, 3, 40)
	b.ReportAllocs()
	for b.Loop() {
		r.PreferenceList(1023, 3)
	}
}

func BenchmarkReachableList(b *testing.B) {
	r := mustNew(b, 1024, 3, 40)
	for name, down := range map[string]NodeName{"all up": "", "one down": r.Owner(512)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.ReachableList(511, 3, func(node NodeName) bool { return node != down })
			}
		})
	}
}

// BenchmarkClaim1024x40 plans for a large ring: its first members, the last one
// joining, and one leaving.
func BenchmarkClaim1024x40(b *testing.B) {
	for _, n := range []int{3, 5} {
		smaller, full := mustNew(b, 1024, n, 39), mustNew(b, 1024, n, 40)
		b.Run(fmt.Sprintf("N=%d from scratch", n), func(b *testing.B) {
			for b.Loop() {
				mustNew(b, 1024, n, 40)
			}
		})
		b.Run(fmt.Sprintf("N=%d join", n), func(b *testing.B) {
			for b.Loop() {
				mustPlan(b, smaller, Join(Member{Name: "newcomer"}))
			}
		})
		b.Run(fmt.Sprintf("N=%d leave", n), func(b *testing.B) {
			for b.Loop() {
				mustPlan(b, full, Leave("b"))
			}
		})
	}
}
