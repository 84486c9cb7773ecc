package bench

import (
	"fmt"
	"sync"
	"testing"
)

// The benchmarks are for a profile or a comparison of two commits; for the
// framework beside its twin, run the program, which lets them take turns.

func BenchmarkStore(b *testing.B)   { benchmark(b, "store") }
func BenchmarkFetch(b *testing.B)   { benchmark(b, "fetch") }
func BenchmarkCommand(b *testing.B) { benchmark(b, "command") }
func BenchmarkHTTPPut(b *testing.B) { benchmark(b, "http-put") }
func BenchmarkHTTPGet(b *testing.B) { benchmark(b, "http-get") }

func BenchmarkRing(b *testing.B) {
	for _, c := range ringCases() {
		b.Run(c.Name, func(b *testing.B) { drive(b, &c, c.Contenders[0]) })
	}
}

// benchmark runs all cases of one name.
func benchmark(b *testing.B, name string) {
	for _, c := range Cases(DefaultMany) {
		if c.Name != name {
			continue
		}
		for _, contender := range c.Contenders {
			b.Run(fmt.Sprintf("C=%d/%s", c.Clients, contender.Name), func(b *testing.B) { drive(b, &c, contender) })
		}
	}
}

// drive divides b.N operations among the case's clients.
func drive(b *testing.B, c *Case, contender Contender) {
	b.Helper()
	s, err := contender.Open(b.Context(), DefaultKeys)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	calls := (b.N + max(1, c.Batch) - 1) / max(1, c.Batch)
	var clients sync.WaitGroup
	for i := range c.Clients {
		op, share := s.Client(i), (calls+i)/c.Clients
		clients.Go(func() {
			for range share {
				if err := op(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	clients.Wait()
	b.StopTimer()
	if err := s.Close(); err != nil {
		b.Error(err)
	}
}
