package torc_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/torc-io/torc"
	"github.com/torc-io/torc/actors/vnodetest"
	"github.com/torc-io/torc/handoff"
	kvpb "github.com/torc-io/torc/proto/torc/kv/v1"
)

// counter is the value of these tests: a version that only its wall counts in.
func counter(n int64) *kvpb.Version { return &kvpb.Version{Wall: n} }

// larger is the merge function of these tests.
func larger(present, arrived *kvpb.Version) *kvpb.Version {
	if arrived.GetWall() > present.GetWall() {
		return arrived
	}
	return present
}

// collect reads a snapshot and fails the test on an error in it.
func collect(t rapid.TB, items iter.Seq2[handoff.Item, error]) []handoff.Item {
	t.Helper()
	var all []handoff.Item
	for item, err := range items {
		if err != nil {
			t.Fatalf("snapshot: %v", err)
		}
		all = append(all, item)
	}
	return all
}

// count decodes the value of an item.
func count(t rapid.TB, item handoff.Item) int64 {
	t.Helper()
	var v kvpb.Version
	if err := proto.Unmarshal(item.Value, &v); err != nil {
		t.Fatalf("item %q: %v", item.Key, err)
	}
	return v.GetWall()
}

// twin is the obvious store: a Go map, sorted when it is read.
type twin map[string]int64

func (w twin) merge(key string, n int64) {
	if old, found := w[key]; !found || n > old {
		w[key] = n
	}
}

// check compares a snapshot with what the twin holds.
func (w twin) check(t rapid.TB, what string, items iter.Seq2[handoff.Item, error]) {
	t.Helper()
	got := collect(t, items)
	keys := slices.Sorted(maps.Keys(w))
	if len(got) != len(keys) {
		t.Fatalf("%s: %d items, want %d", what, len(got), len(keys))
	}
	for i, key := range keys {
		if string(got[i].Key) != key || count(t, got[i]) != w[key] {
			t.Fatalf("%s: item %d is %q = %d, want %q = %d", what, i, got[i].Key, count(t, got[i]), key, w[key])
		}
	}
}

// machine drives a store and its twin with the same calls, and keeps every
// snapshot with the state it must go on showing.
type machine struct {
	store *torc.Store[*kvpb.Version]
	twin  twin
	snaps []iter.Seq2[handoff.Item, error]
	thens []twin
}

func newMachine() *machine {
	return &machine{store: torc.NewStore(larger), twin: twin{}}
}

var (
	keys   = rapid.Custom(func(t *rapid.T) []byte { return fmt.Appendf(nil, "k%d", rapid.IntRange(0, 300).Draw(t, "key")) })
	counts = rapid.Int64Range(0, 5)
)

func (m *machine) Put(t *rapid.T) {
	key, n := keys.Draw(t, "key"), counts.Draw(t, "n")
	m.store.Put(key, counter(n))
	m.twin[string(key)] = n
	key[0] = '!' // the store must have kept a copy
}

// PutMany makes trees of several levels likely, which single puts do not.
func (m *machine) PutMany(t *rapid.T) {
	for i := range rapid.IntRange(0, 300).Draw(t, "upto") {
		key := fmt.Sprintf("k%d", i)
		m.store.Put([]byte(key), counter(1))
		m.twin[key] = 1
	}
}

func (m *machine) Delete(t *rapid.T) {
	key := keys.Draw(t, "key")
	_, want := m.twin[string(key)]
	if got := m.store.Delete(key); got != want {
		t.Fatalf("Delete(%q) = %v, want %v", key, got, want)
	}
	delete(m.twin, string(key))
}

func (m *machine) DeleteMany(t *rapid.T) {
	for i := range rapid.IntRange(0, 300).Draw(t, "upto") {
		m.store.Delete(fmt.Appendf(nil, "k%d", i))
		delete(m.twin, fmt.Sprintf("k%d", i))
	}
}

func (m *machine) Merge(t *rapid.T) {
	key, n := keys.Draw(t, "key"), counts.Draw(t, "n")
	value, err := proto.Marshal(counter(n))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // an item may arrive twice
		if err := m.store.Merge(handoff.Item{Key: key, Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	m.twin.merge(string(key), n)
}

func (m *machine) MergeDeletion(t *rapid.T) {
	key, junk := keys.Draw(t, "key"), rapid.SliceOf(rapid.Byte()).Draw(t, "value")
	for range 2 {
		if err := m.store.Merge(handoff.Item{Key: key, Value: junk, Deleted: true}); err != nil {
			t.Fatal(err)
		}
	}
	delete(m.twin, string(key))
}

func (m *machine) Read(t *rapid.T) {
	key := keys.Draw(t, "key")
	want, present := m.twin[string(key)]
	if got, found := m.store.Get(key); found != present || got.GetWall() != want {
		t.Fatalf("Get(%q) = %d, %v, want %d, %v", key, got.GetWall(), found, want, present)
	}
	item, found := m.store.Item(key)
	if found != present || found && (!bytes.Equal(item.Key, key) || count(t, item) != want) {
		t.Fatalf("Item(%q) = %v, %v, want %d, %v", key, item, found, want, present)
	}
}

func (m *machine) Snapshot(*rapid.T) {
	m.snaps = append(m.snaps, m.store.Snapshot())
	m.thens = append(m.thens, maps.Clone(m.twin))
}

func (m *machine) Drop(t *rapid.T) {
	if err := m.store.Drop(); err != nil {
		t.Fatal(err)
	}
	clear(m.twin)
}

func (m *machine) Check(t *rapid.T) {
	if m.store.Len() != len(m.twin) {
		t.Fatalf("Len() = %d, want %d", m.store.Len(), len(m.twin))
	}
	m.twin.check(t, "now", m.store.Snapshot())
	for i, snap := range m.snaps {
		m.thens[i].check(t, fmt.Sprintf("snapshot %d", i), snap)
	}
}

func TestStoreAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine()
		t.Repeat(map[string]func(*rapid.T){
			"": m.Check, "put": m.Put, "put many": m.PutMany, "delete": m.Delete, "delete many": m.DeleteMany,
			"merge": m.Merge, "merge deletion": m.MergeDeletion, "read": m.Read, "snapshot": m.Snapshot, "drop": m.Drop,
		})
	})
}

// versions is a vnode made of a store and nothing else.
type versions struct{ *torc.Store[*kvpb.Version] }

func TestStoreKeepsTheContract(t *testing.T) {
	config := func(merge func(present, arrived *kvpb.Version) *kvpb.Version) vnodetest.Config[versions] {
		return vnodetest.Config[versions]{
			Open: func(testing.TB) versions { return versions{torc.NewStore(merge)} },
			Write: func(v versions, key []byte, i int) error {
				v.Put(key, counter(int64(i)))
				return nil
			},
			Remove: func(v versions, key []byte) error {
				v.Delete(key)
				return nil
			},
			Ordered: merge == nil,
		}
	}
	vnodetest.Run(t, config(larger))
	t.Run("without a merge function", func(t *testing.T) { vnodetest.Run(t, config(nil)) })
}

// filled returns a store with n keys and the keys, not in their order.
func filled(n int) (*torc.Store[*kvpb.Version], [][]byte) {
	store, all := torc.NewStore(larger), make([][]byte, n)
	for i := range all {
		all[i] = fmt.Appendf(nil, "user/%016x/profile/settings", uint64(i)*0x9e3779b97f4a7c15)
		store.Put(all[i], counter(int64(i)))
	}
	return store, all
}

// TestSnapshotIsReadWhileTheStoreIsWritten is for the race detector: it proves
// that a write touches no memory which a snapshot reads.
func TestSnapshotIsReadWhileTheStoreIsWritten(t *testing.T) {
	const size, rounds = 3000, 8
	store, all := filled(size)
	want := twin{}
	for i, key := range all {
		want[string(key)] = int64(i)
	}
	snaps := make([]iter.Seq2[handoff.Item, error], rounds)
	for i := range snaps {
		snaps[i] = store.Snapshot()
	}

	var readers sync.WaitGroup
	for _, snap := range snaps {
		readers.Go(func() { want.check(quiet{t}, "snapshot", snap) })
	}
	for i := range rounds * size {
		key := all[i*7%size]
		switch i % 4 {
		case 0, 1:
			store.Put(key, counter(-1))
		case 2:
			store.Delete(key)
		case 3:
			store.Snapshot()
			store.Put(append(key, '2'), counter(-2))
		}
	}
	if err := store.Drop(); err != nil {
		t.Error(err)
	}
	readers.Wait()
}

// quiet makes Fatalf an Errorf, which other goroutines may call.
type quiet struct{ *testing.T }

func (q quiet) Fatalf(format string, args ...any) { q.Errorf(format, args...) }

func TestAllIsOrderedAndItsBodyMayWrite(t *testing.T) {
	store, all := filled(500)
	slices.SortFunc(all, bytes.Compare)
	var seen [][]byte
	for key := range store.All() {
		seen = append(seen, key)
		store.Delete(key)
		store.Put(append([]byte("~"), key...), counter(0))
	}
	if !slices.EqualFunc(seen, all, bytes.Equal) {
		t.Errorf("All() showed %d keys, not the %d in order", len(seen), len(all))
	}
	for range store.All() {
		break
	}
}

func TestMergeIsAskedWithThePresentStateFirst(t *testing.T) {
	store := torc.NewStore(func(present, _ *kvpb.Version) *kvpb.Version { return present })
	for _, n := range []int64{1, 2} {
		value, _ := proto.Marshal(counter(n))
		if err := store.Merge(handoff.Item{Key: []byte("k"), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := store.Get([]byte("k")); got.GetWall() != 1 {
		t.Errorf("after the merges: %v, want 1, which came first", got)
	}
}

func TestMergeWithoutAFunctionReplaces(t *testing.T) {
	store := torc.NewStore[*kvpb.Version](nil)
	store.Put([]byte("k"), counter(2))
	value, _ := proto.Marshal(counter(1))
	if err := store.Merge(handoff.Item{Key: []byte("k"), Value: value}); err != nil {
		t.Fatal(err)
	}
	if got, _ := store.Get([]byte("k")); got.GetWall() != 1 {
		t.Errorf("after the merge: %v, want 1", got)
	}
}

// TestDeletionIsNotWeighed: there is no value to ask the merge function about.
func TestDeletionIsNotWeighed(t *testing.T) {
	store := torc.NewStore(func(_, _ *kvpb.Version) *kvpb.Version {
		t.Error("the merge function was asked about a deletion")
		return nil
	})
	store.Put([]byte("k"), counter(1))
	snapshot := store.Snapshot()
	for _, key := range []string{"k", "k", "absent"} {
		if err := store.Merge(handoff.Item{Key: []byte(key), Value: []byte{0xff}, Deleted: true}); err != nil {
			t.Error(err)
		}
	}
	if store.Len() != 0 {
		t.Errorf("%d items after the deletions", store.Len())
	}
	twin{"k": 1}.check(t, "the snapshot before", snapshot)
}

// TestStatelessTakesDeletionsAlone: a write to a stateless vnode leaves no item,
// which a transfer says as a deletion.
func TestStatelessTakesDeletionsAlone(t *testing.T) {
	var v torc.Stateless
	if err := v.Merge(handoff.Item{Key: []byte("k"), Deleted: true}); err != nil {
		t.Error(err)
	}
	if err := v.Merge(handoff.Item{Key: []byte("k")}); !errors.Is(err, torc.ErrInvalid) {
		t.Errorf("Merge of an item: %v", err)
	}
}

func TestMergeOfNonsenseChangesNothing(t *testing.T) {
	store := torc.NewStore(larger)
	store.Put([]byte("k"), counter(2))
	for _, key := range []string{"k", "absent"} {
		err := store.Merge(handoff.Item{Key: []byte(key), Value: []byte{0xff}})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("item %q cannot be decoded", key)) {
			t.Errorf("Merge of nonsense under %q: %v", key, err)
		}
	}
	if got, _ := store.Get([]byte("k")); store.Len() != 1 || got.GetWall() != 2 {
		t.Errorf("after the merges: %d items, k = %v", store.Len(), got)
	}
}

var errOdd = errors.New("odd")

// evens is a codec that refuses odd numbers.
type evens struct{}

func (evens) Encode(n int) ([]byte, error) {
	if n%2 != 0 {
		return nil, errOdd
	}
	return []byte{byte(n)}, nil
}

func (evens) Decode(data []byte) (int, error) { return int(data[0]), nil }

func TestValueThatCannotBeEncodedIsLoud(t *testing.T) {
	store := torc.NewStoreWithCodec(evens{}, nil)
	for i, key := range []string{"a", "b", "c"} {
		store.Put([]byte(key), i)
	}
	var shown []string
	for item, err := range store.Snapshot() {
		if err == nil {
			shown = append(shown, string(item.Key))
		} else if !errors.Is(err, errOdd) || !strings.Contains(err.Error(), `item "b" cannot be encoded`) {
			t.Errorf("error in the snapshot: %v", err)
		}
	}
	if !slices.Equal(shown, []string{"a", "c"}) {
		t.Errorf("the snapshot showed %q, want a and c", shown)
	}
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, errOdd) {
			t.Errorf("Item panicked with %v, want the codec's error", err)
		}
	}()
	store.Item([]byte("b"))
}

func TestLongKeysAreCutInErrors(t *testing.T) {
	store := torc.NewStore(larger)
	err := store.Merge(handoff.Item{Key: make([]byte, 1<<20), Value: []byte{0xff}})
	if err == nil || len(err.Error()) > 500 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	store, all := filled(5000)
	i := 0
	for name, lookup := range map[string]func(key []byte){
		"Get":              func(key []byte) { store.Get(key) },
		"Delete of absent": func([]byte) { store.Delete([]byte("absent")) },
	} {
		allocs := testing.AllocsPerRun(1000, func() { i++; lookup(all[i%len(all)]) })
		if allocs != 0 {
			t.Errorf("%s: %v allocations, want 0", name, allocs)
		}
	}
}

// sink keeps the compiler from dropping what a benchmark makes.
var sink iter.Seq2[handoff.Item, error]

func BenchmarkStore(b *testing.B) {
	for _, size := range []int{1_000, 1_000_000} {
		store, all := filled(size)
		i := 0
		next := func() []byte { i += 7919; return all[i%size] }
		value := counter(1)
		run := func(name string, call func()) {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					call()
				}
			})
		}
		run("Get", func() { store.Get(next()) })
		run("Put", func() { store.Put(next(), value) })
		run("Item", func() { store.Item(next()) })
		run("Snapshot", func() { sink = store.Snapshot() })
		run("SnapshotThenPut", func() { sink = store.Snapshot(); store.Put(next(), value) })
	}
}

func BenchmarkSnapshotRead(b *testing.B) {
	const size = 100_000
	store, _ := filled(size)
	for b.Loop() {
		for _, err := range store.Snapshot() {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/size, "ns/item")
}
