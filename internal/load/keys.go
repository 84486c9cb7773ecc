package load

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// Keys says which keys there are, and how often each is drawn.
type Keys struct {
	Count int
	// Skew is the exponent s of a Zipf distribution, above 1: the k-th key is drawn
	// in proportion to 1/k^s. 0 draws all alike.
	Skew float64
}

// maxKeys bounds what is held in memory, at some 40 bytes a key.
const maxKeys = 10_000_000

func (k Keys) check() error {
	switch {
	case k.Count < 1 || k.Count > maxKeys:
		return fmt.Errorf("%d keys: want 1 to %d", k.Count, maxKeys)
	case k.Skew != 0 && !(k.Skew > 1):
		return fmt.Errorf("a skew of %v: want more than 1, or 0 for none", k.Skew)
	}
	return nil
}

// material is what operations are made of, so that making one costs nothing.
type material struct {
	config *Config
	keys   [][]byte
	value  []byte
}

func newMaterial(config *Config) *material {
	m := &material{config: config, value: bytes.Repeat([]byte("v"), config.ValueBytes)}
	m.keys = make([][]byte, config.Keys.Count)
	for i := range m.keys {
		m.keys[i] = fmt.Appendf(nil, "bench-%08d", i)
	}
	return m
}

// draw returns a client's source of operations.
func (m *material) draw(client int) func() Op {
	random := rand.New(rand.NewPCG(m.config.Seed, uint64(client)))
	next := func() int { return random.IntN(len(m.keys)) }
	if m.config.Keys.Skew > 0 {
		zipf := rand.NewZipf(random, m.config.Keys.Skew, 1, uint64(len(m.keys)-1))
		next = func() int { return int(zipf.Uint64()) }
	}
	return func() Op {
		number := next()
		op := Op{Kind: Write, Key: m.keys[number], Number: number, Value: m.value}
		if random.Float64() < m.config.Reads {
			op.Kind, op.Value = Read, nil
		}
		return op
	}
}
