package vnodetest

import (
	"bytes"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/torc-io/torc/handoff"
)

// Each broken vnode is named by what it does.
type (
	opensWithAnItem    struct{ *sound }
	ignoresSecondWrite struct{ *sound }
	countsWrites       struct {
		*sound
		writes int
	}
	itemCreates         struct{ *sound }
	repeatsAnItem       struct{ *sound }
	numbersWritesAcross struct{ *sound }
	endsKeysAtNUL       struct{ *sound }
	reusesItsBuffer     struct {
		*sound
		buffer [32]byte
	}
	snapshotsLive     struct{ *sound }
	writesTheSnapshot struct {
		*sound
		last map[string]state
	}
	ignoresTheEnd       struct{ *sound }
	mergesAnotherItem   struct{ *sound }
	addsUp              struct{ *sound }
	keepsTheFirst       struct{ *sound }
	keepsTheLast        struct{ *sound }
	skipsNoVersion      struct{ *sound }
	mergeRevives        struct{ *sound }
	removesFromItemOnly struct {
		*sound
		removed map[string]bool
	}
	removesTheNext  struct{ *sound }
	removesNothing  struct{ *sound }
	showsDeleted    struct{ *sound }
	deletionFails   struct{ *sound }
	deletionCreates struct{ *sound }
	countsDown      struct {
		*sound
		deletions int
	}
	ignoresDeletions struct{ soundRemover }
	deletesForGood   struct {
		soundRemover
		gone map[string]bool
	}
	cachesEncodings struct {
		*sound
		mu    *sync.Mutex
		cache map[string][]byte
	}
	refusesOldItems struct{ *sound }
	clockOfItsOwn   struct {
		*sound
		clock int
	}
	dropsNothing         struct{ *sound }
	dropsTheMap          struct{ *sound }
	snapshotFails        struct{ *sound }
	mergeFails           struct{ *sound }
	itemForgets          struct{ *sound }
	itemOfAnother        struct{ *sound }
	scribblesOnWhatItGot struct{ *sound }
)

var errBroken = errors.New("broken on purpose")

func (v ignoresSecondWrite) write(key []byte, i int) error {
	if _, found := v.states[string(key)]; found {
		return nil
	}
	return v.sound.write(key, i)
}

func (v *countsWrites) write(key []byte, i int) error { v.writes++; return v.sound.write(key, i) }
func (v *countsWrites) Merge(item handoff.Item) error { v.writes++; return v.sound.Merge(item) }
func (v *countsWrites) Drop() error                   { v.writes = 0; return v.sound.Drop() }
func (v *countsWrites) Len() int                      { return v.writes }

func (v itemCreates) Item(key []byte) (handoff.Item, bool) {
	item, found := v.sound.Item(key)
	if !found && v.Len() > 0 {
		v.states[string(key)] = state{}
	}
	return item, found
}

func (v repeatsAnItem) Snapshot() iter.Seq2[handoff.Item, error] {
	return func(yield func(handoff.Item, error) bool) {
		for item := range v.sound.Snapshot() {
			if !yield(item, nil) || len(item.Key) > 0 && !yield(item, nil) {
				return
			}
		}
	}
}

func (v numbersWritesAcross) write(key []byte, i int) error {
	for other, s := range v.states {
		s.base++
		v.states[other] = s
	}
	return v.sound.write(key, i)
}

func (v endsKeysAtNUL) write(key []byte, i int) error {
	key, _, _ = bytes.Cut(key, []byte{0})
	return v.sound.write(key, i)
}

func (v *reusesItsBuffer) Item(key []byte) (handoff.Item, bool) {
	item, found := v.sound.Item(key)
	item.Value = append(v.buffer[:0], item.Value...)
	return item, found
}

func (v snapshotsLive) Snapshot() iter.Seq2[handoff.Item, error] { return v.live() }

// writesTheSnapshot forgets to make its map its own before the second write.
func (v *writesTheSnapshot) Snapshot() iter.Seq2[handoff.Item, error] {
	v.last = v.states
	return (&sound{v.last}).live()
}

func (v ignoresTheEnd) Snapshot() iter.Seq2[handoff.Item, error] {
	snapshot := v.sound.Snapshot()
	return func(yield func(handoff.Item, error) bool) {
		snapshot(func(item handoff.Item, err error) bool {
			yield(item, err)
			return true
		})
	}
}

func (v mergesAnotherItem) Merge(item handoff.Item) error {
	s, err := decode(item.Value)
	v.states[string(item.Key)] = state{version: s.version, base: 1}
	return err
}

func (v addsUp) Merge(item handoff.Item) error {
	s, err := decode(item.Value)
	v.states[string(item.Key)] = state{version: v.states[string(item.Key)].version + s.version}
	return err
}

func (v keepsTheFirst) Merge(item handoff.Item) error {
	if _, found := v.states[string(item.Key)]; found {
		return nil
	}
	return v.sound.Merge(item)
}

func (v keepsTheLast) Merge(item handoff.Item) error {
	delete(v.states, string(item.Key))
	return v.sound.Merge(item)
}

// skipsNoVersion drops a version that arrives right before its predecessor.
func (v skipsNoVersion) Merge(item handoff.Item) error {
	old, found := v.states[string(item.Key)]
	s, err := decode(item.Value)
	if found && old.version+2 == s.version {
		return err
	}
	return errors.Join(err, v.sound.Merge(item))
}

func (v mergeRevives) Merge(item handoff.Item) error {
	if v.states[string(item.Key)].version < 0 {
		delete(v.states, string(item.Key))
	}
	return v.sound.Merge(item)
}

func (v *removesFromItemOnly) remove(key []byte) error { v.removed[string(key)] = true; return nil }

func (v *removesFromItemOnly) write(key []byte, i int) error {
	delete(v.removed, string(key))
	return v.sound.write(key, i)
}

func (v *removesFromItemOnly) Item(key []byte) (handoff.Item, bool) {
	if v.removed[string(key)] {
		return handoff.Item{}, false
	}
	return v.sound.Item(key)
}

func (v removesTheNext) remove(key []byte) error {
	delete(v.states, string(key))
	for _, other := range slices.Sorted(maps.Keys(v.states)) {
		if other > string(key) {
			delete(v.states, other)
			break
		}
	}
	return nil
}

func (removesNothing) remove([]byte) error { return nil }

// showsDeleted shows its tombstones as if they were deletions.
func (v showsDeleted) Item(key []byte) (handoff.Item, bool) {
	item, found := v.sound.Item(key)
	item.Deleted = v.states[string(key)].version < 0
	return item, found
}

func (v deletionFails) Merge(item handoff.Item) error {
	if item.Deleted {
		return errBroken
	}
	return v.sound.Merge(item)
}

// deletionCreates does not look at Deleted and takes no bytes for a zero state.
func (v deletionCreates) Merge(item handoff.Item) error {
	if item.Deleted {
		v.states[string(item.Key)] = state{}
		return nil
	}
	return v.sound.Merge(item)
}

func (v *countsDown) Len() int { return v.sound.Len() - v.deletions }

func (v *countsDown) Merge(item handoff.Item) error {
	if _, found := v.states[string(item.Key)]; item.Deleted && !found {
		v.deletions++
	}
	return v.sound.Merge(item)
}

func (v ignoresDeletions) Merge(item handoff.Item) error {
	if item.Deleted {
		return nil
	}
	return v.sound.Merge(item)
}

// deletesForGood takes a deletion for the last word about a key.
func (v deletesForGood) Merge(item handoff.Item) error {
	key := string(item.Key)
	if _, found := v.states[key]; item.Deleted && found {
		v.gone[key] = true
	}
	if v.gone[key] {
		delete(v.states, key)
		return nil
	}
	return v.sound.Merge(item)
}

// cachesEncodings keeps the bytes that a snapshot comes to, even those of a key
// that was written after the snapshot began.
func (v cachesEncodings) Snapshot() iter.Seq2[handoff.Item, error] {
	snapshot := v.sound.Snapshot()
	return func(yield func(handoff.Item, error) bool) {
		for item := range snapshot {
			v.mu.Lock()
			v.cache[string(item.Key)] = item.Value
			v.mu.Unlock()
			if !yield(item, nil) {
				return
			}
		}
	}
}

func (v cachesEncodings) Item(key []byte) (handoff.Item, bool) {
	item, found := v.sound.Item(key)
	v.mu.Lock()
	defer v.mu.Unlock()
	if cached, hit := v.cache[string(key)]; hit && found {
		item.Value = cached
	}
	return item, found
}

func (v cachesEncodings) forget(key []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.cache, string(key))
}

func (v cachesEncodings) write(key []byte, i int) error { v.forget(key); return v.sound.write(key, i) }

func (v cachesEncodings) remove(key []byte) error { v.forget(key); return v.sound.remove(key) }

func (v cachesEncodings) Merge(item handoff.Item) error {
	v.forget(item.Key)
	return v.sound.Merge(item)
}

// refusesOldItems takes an old item for an error of the sender.
func (v refusesOldItems) Merge(item handoff.Item) error {
	s, err := decode(item.Value)
	if err == nil && s.rank() < v.states[string(item.Key)].rank() {
		return errBroken
	}
	return v.sound.Merge(item)
}

// clockOfItsOwn gives versions from a clock that no merge advances.
func (v *clockOfItsOwn) write(key []byte, i int) error {
	v.clock++
	v.states[string(key)] = state{version: v.clock, base: i}
	return nil
}

func (v *clockOfItsOwn) Merge(item handoff.Item) error {
	s, err := decode(item.Value)
	if old := v.states[string(item.Key)]; err == nil && s.rank() == old.rank() && s.base > old.base {
		v.states[string(item.Key)] = s
	}
	return v.sound.Merge(item)
}

func (dropsNothing) Drop() error  { return nil }
func (v dropsTheMap) Drop() error { v.states = nil; return nil }

func (v snapshotFails) Snapshot() iter.Seq2[handoff.Item, error] {
	return func(yield func(handoff.Item, error) bool) { yield(handoff.Item{}, errBroken) }
}

func (mergeFails) Merge(handoff.Item) error { return errBroken }

func (itemForgets) Item([]byte) (handoff.Item, bool) { return handoff.Item{}, false }

func (v itemOfAnother) Item(key []byte) (handoff.Item, bool) {
	item, found := v.sound.Item(key)
	item.Key = []byte("another")
	return item, found
}

func (v scribblesOnWhatItGot) Merge(item handoff.Item) error {
	err := v.sound.Merge(item)
	item.Value[0] = '9'
	return err
}
