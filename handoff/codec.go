package handoff

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

const (
	// ChunkBytes is what a chunk is filled up to. It is merged in one turn of the
	// receiving vnode, about half a millisecond for small items, which is what a
	// command may have to wait for. Smaller chunks would cost more in turns.
	ChunkBytes = 64 << 10

	// MaxItemBytes bounds an encoded item. The state under one key may be larger
	// than a command (512 KiB), for it is made by many; a chunk with one such item
	// still fits in a frame.
	MaxItemBytes = 1 << 20
)

// castagnoli is the polynomial that processors have an instruction for.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC-32C of a chunk's items. TCP's sixteen bits and a
// faulty memory module are what it is there for.
func Checksum(items []byte) uint32 { return crc32.Checksum(items, castagnoli) }

// AppendItem encodes an item behind what is in buf: twice the length of the key,
// one more if the item is deleted; the key; and if it is not, the length of the
// value and the value. Lengths are unsigned varints.
func AppendItem(buf []byte, item Item) ([]byte, error) {
	if item.Deleted {
		item.Value = nil
	}
	if size := len(item.Key) + len(item.Value); size > MaxItemBytes {
		return buf, fmt.Errorf("handoff: item %.64q has %d bytes, the most is %d", item.Key, size, MaxItemBytes)
	}
	head := uint64(len(item.Key)) << 1
	if item.Deleted {
		return append(binary.AppendUvarint(buf, head|1), item.Key...), nil
	}
	buf = append(binary.AppendUvarint(buf, head), item.Key...)
	return append(binary.AppendUvarint(buf, uint64(len(item.Value))), item.Value...), nil
}

// DecodeItems decodes the items of a chunk. They share the memory of data, which
// must not change any more. It returns an error, and no items, for bytes that
// AppendItem does not make.
func DecodeItems(data []byte) ([]Item, error) {
	var items []Item
	for rest := data; len(rest) > 0; {
		item, after, err := decodeItem(rest)
		if err != nil {
			return nil, fmt.Errorf("handoff: item %d at byte %d of a chunk: %w", len(items), len(data)-len(rest), err)
		}
		items, rest = append(items, item), after
	}
	return items, nil
}

func decodeItem(data []byte) (item Item, rest []byte, err error) {
	head, rest, err := decodeLength(data)
	if err != nil {
		return Item{}, nil, err
	}
	item.Deleted = head&1 == 1
	if item.Key, rest, err = take(rest, head>>1, MaxItemBytes); err != nil || item.Deleted {
		return item, rest, err
	}
	size, rest, err := decodeLength(rest)
	if err != nil {
		return Item{}, nil, err
	}
	item.Value, rest, err = take(rest, size, MaxItemBytes-len(item.Key))
	return item, rest, err
}

func decodeLength(data []byte) (uint64, []byte, error) {
	length, n := binary.Uvarint(data)
	if n <= 0 || n > 1 && data[n-1] == 0 { // such a zero is a byte too many
		return 0, nil, fmt.Errorf("a length is cut short or too long")
	}
	return length, data[n:], nil
}

// take cuts size bytes off, limit at most, with no room to grow into what follows.
func take(data []byte, size uint64, limit int) (taken, rest []byte, err error) {
	switch {
	case size > uint64(len(data)):
		return nil, nil, fmt.Errorf("%d bytes are announced, and %d are left", size, len(data))
	case size > uint64(limit):
		return nil, nil, fmt.Errorf("%d bytes are announced, the most is %d", size, limit)
	}
	return data[:size:size], data[size:], nil
}
