package sim

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/internal/history"
)

// item is what is under a key: a version that grows with every write of the key,
// and whether it is a tombstone. The newer one wins, wherever two meet.
type item struct {
	version history.Version // 0 is nothing
	deleted bool
}

func (i item) String() string {
	switch {
	case i.version == 0:
		return "nothing"
	case i.deleted:
		return fmt.Sprintf("v%d (deleted)", i.version)
	}
	return fmt.Sprintf("v%d", i.version)
}

func (i item) newer(other item) item {
	if other.version > i.version {
		return other
	}
	return i
}

// encode returns the item as it goes over.
func (i item) encode(key string) handoff.Item {
	value := binary.BigEndian.AppendUint32(nil, uint32(i.version))
	if i.deleted {
		value = append(value, 'x')
	}
	return handoff.Item{Key: []byte(key), Value: value}
}

func decode(i handoff.Item) (key string, decoded item) {
	if i.Deleted || len(i.Value) < 4 {
		return string(i.Key), item{}
	}
	return string(i.Key), item{version: history.Version(binary.BigEndian.Uint32(i.Value)), deleted: len(i.Value) > 4}
}

// sortedKeys returns the keys of items in an order that is always the same.
func sortedKeys(items map[string]item) []string { return slices.Sorted(maps.Keys(items)) }
