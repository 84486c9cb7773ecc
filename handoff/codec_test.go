package handoff_test

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/torc-io/torc/handoff"
)

// codecItems are items of all shapes.
var codecItems = []handoff.Item{
	{Key: []byte("k"), Value: []byte("v")},
	{Key: []byte("empty")},
	{Value: []byte("of no key")},
	{Key: []byte("gone"), Deleted: true},
	{Deleted: true},
	{Key: bytes.Repeat([]byte("k"), 200), Value: bytes.Repeat([]byte("v"), 70_000)},
	{Key: []byte("k"), Value: bytes.Repeat([]byte("v"), handoff.MaxItemBytes-1)},
}

func TestItemsRoundTrip(t *testing.T) {
	var chunk []byte
	for _, item := range codecItems {
		chunk = encode(chunk, item)
	}
	items, err := handoff.DecodeItems(chunk)
	if err != nil || len(items) != len(codecItems) {
		t.Fatalf("%d items, %v", len(items), err)
	}
	for i, want := range codecItems {
		if got := items[i]; !bytes.Equal(got.Key, want.Key) || !bytes.Equal(got.Value, want.Value) || got.Deleted != want.Deleted {
			t.Errorf("item %d has key %.40q, value %.40q, deleted: %v", i, got.Key, got.Value, got.Deleted)
		}
	}
}

// An item that is too large does not go over, and what is in the chunk stays.
func TestAppendItemLimit(t *testing.T) {
	chunk := encode(nil, codecItems[0])
	after, err := handoff.AppendItem(chunk, handoff.Item{Key: []byte("k"), Value: make([]byte, handoff.MaxItemBytes)})
	if err == nil || !strings.Contains(err.Error(), `"k"`) || !bytes.Equal(after, chunk) {
		t.Errorf("got %q, %v", after, err)
	}
	if _, err := handoff.AppendItem(nil, handoff.Item{Key: []byte("k"), Value: make([]byte, handoff.MaxItemBytes), Deleted: true}); err != nil {
		t.Errorf("the value of a deleted item counts: %v", err)
	}
}

func TestDecodeItemsRefuses(t *testing.T) {
	tooLarge := binary.AppendUvarint([]byte{2, 'k'}, handoff.MaxItemBytes)
	for name, data := range map[string][]byte{
		"no key":             {2},
		"no value length":    {2, 'k'},
		"no value":           {2, 'k', 1},
		"a length cut short": {0x80},
		"a long length":      {0x82, 0x00, 'k', 0},
		"an endless length":  bytes.Repeat([]byte{0xff}, 11),
		"a large value":      slices.Concat(tooLarge, make([]byte, handoff.MaxItemBytes)),
		"one good, one bad":  append(encode(nil, codecItems[0]), 9),
	} {
		if items, err := handoff.DecodeItems(data); err == nil || items != nil {
			t.Errorf("%s: %d items, %v", name, len(items), err)
		}
	}
}

// FuzzDecodeItems: what is decoded is encoded to the same bytes, and nothing else
// is ever decoded.
func FuzzDecodeItems(f *testing.F) {
	for _, item := range codecItems[:len(codecItems)-2] {
		f.Add(encode(nil, item))
	}
	f.Add(encode(encode(nil, codecItems[3]), codecItems[0]))
	f.Add([]byte{0x82, 0x00, 'k', 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		items, err := handoff.DecodeItems(data)
		if err != nil {
			return
		}
		var again []byte
		for _, item := range items {
			again = encode(again, item)
		}
		if !bytes.Equal(again, data) {
			t.Errorf("%x was decoded, and is encoded to %x", data, again)
		}
	})
}

// benchItems are a chunk of items of 100 bytes.
func benchItems() (items []handoff.Item) {
	for size := 0; size < handoff.ChunkBytes; size += 100 {
		items = append(items, handoff.Item{Key: bytes.Repeat([]byte("k"), 20), Value: bytes.Repeat([]byte("v"), 80)})
	}
	return items
}

func BenchmarkAppendItem(b *testing.B) {
	items := benchItems()
	buf := make([]byte, 0, 2*handoff.ChunkBytes)
	b.SetBytes(int64(len(items) * 100))
	b.ReportAllocs()
	for b.Loop() {
		chunk := buf
		for _, item := range items {
			chunk = encode(chunk, item)
		}
	}
}

func BenchmarkDecodeItems(b *testing.B) {
	items := benchItems()
	var chunk []byte
	for _, item := range items {
		chunk = encode(chunk, item)
	}
	b.SetBytes(int64(len(items) * 100))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := handoff.DecodeItems(chunk); err != nil {
			b.Fatal(err)
		}
	}
}
