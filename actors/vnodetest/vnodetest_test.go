package vnodetest

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/torc-io/torc/handoff"
)

// state is what the vnodes of these tests hold under a key: the larger version
// wins. A negative version is a tombstone of that write.
type state struct{ version, base int }

func (s state) encode() []byte { return fmt.Appendf(nil, "%d %d", s.version, s.base) }

func decode(value []byte) (s state, err error) {
	_, err = fmt.Sscanf(string(value), "%d %d", &s.version, &s.base)
	return s, err
}

// rank orders states: a tombstone is newer than the write it removed.
func (s state) rank() int {
	if s.version < 0 {
		return -2*s.version + 1
	}
	return 2 * s.version
}

// sound is a vnode that keeps every promise. The broken ones below embed it and
// replace a method.
type sound struct{ states map[string]state }

func newSound() *sound { return &sound{map[string]state{}} }

func (v *sound) write(key []byte, i int) error {
	v.states[string(key)] = state{version: i}
	return nil
}

func (v *sound) remove(key []byte) error {
	v.states[string(key)] = state{version: -v.states[string(key)].version}
	return nil
}

func (v *sound) Item(key []byte) (handoff.Item, bool) {
	s, found := v.states[string(key)]
	if !found {
		return handoff.Item{}, false
	}
	return handoff.Item{Key: key, Value: s.encode()}, true
}

func (v *sound) Snapshot() iter.Seq2[handoff.Item, error] {
	return (&sound{maps.Clone(v.states)}).live()
}

// live is a snapshot that is none: it reads the vnode as it goes along.
func (v *sound) live() iter.Seq2[handoff.Item, error] {
	return func(yield func(handoff.Item, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(v.states)) {
			if !yield(handoff.Item{Key: []byte(key), Value: v.states[key].encode()}, nil) {
				return
			}
		}
	}
}

func (v *sound) Merge(item handoff.Item) error {
	if item.Deleted {
		delete(v.states, string(item.Key))
		return nil
	}
	s, err := decode(item.Value)
	if old, found := v.states[string(item.Key)]; err == nil && (!found || s.rank() > old.rank()) {
		v.states[string(item.Key)] = s
	}
	return err
}

func (v *sound) Len() int { return len(v.states) }

func (v *sound) Drop() error {
	clear(v.states)
	return nil
}

// soundRemover removes outright, and keeps every promise too.
type soundRemover struct{ *sound }

func (v soundRemover) remove(key []byte) error { delete(v.states, string(key)); return nil }

// vnode is what a broken vnode has beside the contract.
type vnode interface {
	handoff.Stateful
	write(key []byte, i int) error
	remove(key []byte) error
}

// config returns how the kit handles vnodes that open makes.
func config(open func() vnode) Config[vnode] {
	return Config[vnode]{
		Open:   func(testing.TB) vnode { return open() },
		Write:  vnode.write,
		Remove: vnode.remove,
	}
}

func TestSoundVnodePasses(t *testing.T) {
	c := config(func() vnode { return newSound() })
	Run(t, c)
	c.Remove = nil
	t.Run("without Remove", func(t *testing.T) { Run(t, c) })
	t.Run("removes outright", func(t *testing.T) {
		Run(t, config(func() vnode { return soundRemover{newSound()} }))
	})
}

// brokenVnodes are vnodes with the promise that they break and a part of what
// the kit must say about it.
var brokenVnodes = []struct {
	vnode   func(*sound) vnode
	promise string
	saw     string
}{
	{
		func(v *sound) vnode { v.states["x"] = state{}; return opensWithAnItem{v} },
		"a new vnode is empty", "Len of a new vnode is 1",
	},
	{
		func(v *sound) vnode { return snapshotFails{v} },
		"a new vnode is empty", "the snapshot contains an error: broken on purpose",
	},
	{
		func(v *sound) vnode { return ignoresSecondWrite{v} },
		"each write changes the item", `both left "key-000"="1 0"`,
	},
	{
		func(v *sound) vnode { return itemForgets{v} },
		"each write changes the item", `Item("key-000") found nothing after the key was written`,
	},
	{
		func(v *sound) vnode { return itemOfAnother{v} },
		"each write changes the item", `Item("key-000") returned an item of another key, "another"`,
	},
	{
		func(v *sound) vnode { return &countsWrites{sound: v} },
		"Len, Item and Snapshot agree", "after a key was written again: Len is 151, but Snapshot has 150 items",
	},
	{
		func(v *sound) vnode { return itemCreates{v} },
		"Len, Item and Snapshot agree", "want 150",
	},
	{
		func(v *sound) vnode { return repeatsAnItem{v} },
		"Len, Item and Snapshot agree", `Snapshot has key "key-000" twice`,
	},
	{
		func(v *sound) vnode { return numbersWritesAcross{v} },
		"a write changes its own key only", `the other keys after a write of "key-007": an item is "key-000"="1 150", want "key-000"="1 149"`,
	},
	{
		func(v *sound) vnode { return endsKeysAtNUL{v} },
		"any bytes make a key", `Item("\x00") found nothing after the key was written`,
	},
	{
		func(v *sound) vnode { return &reusesItsBuffer{sound: v} },
		"an item stays as it was handed over", `is "key-000"="2 0", want "key-000"="1 0"`,
	},
	{
		func(v *sound) vnode { return scribblesOnWhatItGot{v} },
		"an item stays as it was handed over", `is "key-000"="9 0", want "key-000"="1 0"`,
	},
	{
		func(v *sound) vnode { return snapshotsLive{v} },
		"a snapshot does not show later writes", `read after later writes: an item is "key-000"="-2 0", want "key-000"="1 0"`,
	},
	{
		func(v *sound) vnode { return &writesTheSnapshot{sound: v} },
		"a snapshot does not show later writes", `read after later writes: an item is`,
	},
	{
		func(v *sound) vnode { return ignoresTheEnd{v} },
		"a snapshot may be left half read", "went on for 149 items",
	},
	{
		func(v *sound) vnode { return mergesAnotherItem{v} },
		"a vnode made of the items equals the original", `an item is "key-000"="-2 1", want "key-000"="-2 0"`,
	},
	{
		func(v *sound) vnode { return mergeFails{v} },
		"a vnode made of the items equals the original", `"key-000", which another vnode made, returned an error: broken on purpose`,
	},
	{
		func(v *sound) vnode { return addsUp{v} },
		"merging an item again changes nothing", `an item is "key-000"="2 0", want "key-000"="1 0"`,
	},
	{
		func(v *sound) vnode { return keepsTheFirst{v} },
		"merging the items of a key in order gives the newest", `the item of the receiver is "key-000"="1 0", want "key-000"="2 0"`,
	},
	{
		func(v *sound) vnode { return keepsTheLast{v} },
		"merging gives the same result in any order", "merged in this order they give",
	},
	{
		func(v *sound) vnode { return skipsNoVersion{v} },
		"merging gives the same result in any order", `they give "key-000"="3 0", but "key-000"="2 0" when merged as "1 0", "3 0", "2 0"`,
	},
	{
		func(v *sound) vnode { return mergeRevives{v} },
		"an old item does not undo a removal that left an item", `is "key-000"="1 0", want "key-000"="-1 0"`,
	},
	{
		func(v *sound) vnode { return removesNothing{v} },
		"a removal shows everywhere", `Item still returns "key-007"="1 0" after Config.Remove`,
	},
	{
		func(v *sound) vnode { return &removesFromItemOnly{v, map[string]bool{}} },
		"a removal shows everywhere", `Item("key-007") found nothing`,
	},
	{
		func(v *sound) vnode { return removesTheNext{v} },
		"a removal shows everywhere", `the other keys after a removal: "key-008"="1 0" is missing`,
	},
	{
		func(v *sound) vnode { return showsDeleted{v} },
		"a vnode made of the items equals the original", `Item("key-000") returned an item with Deleted`,
	},
	{
		func(v *sound) vnode { return deletionFails{v} },
		"a deletion of a key that is not there changes nothing", `Merge of a deletion of key "absent" returned an error: broken on purpose`,
	},
	{
		func(v *sound) vnode { return deletionCreates{v} },
		"a deletion of a key that is not there changes nothing", `Len of a new vnode after a deletion was merged is 1`,
	},
	{
		func(v *sound) vnode { return &countsDown{sound: v} },
		"a deletion of a key that is not there changes nothing", `Len of a new vnode after a deletion was merged is -2`,
	},
	{
		func(v *sound) vnode { return ignoresDeletions{soundRemover{v}} },
		"a deletion removes the key", `after a deletion: Item still returns "key-007"="1 0"`,
	},
	{
		func(v *sound) vnode { return deletesForGood{soundRemover{v}, map[string]bool{}} },
		"a deletion removes the key", `the items when one was merged after its deletion: "key-007"="1 0" is missing`,
	},
	{
		func(v *sound) vnode { return cachesEncodings{v, new(sync.Mutex), map[string][]byte{}} },
		"a handoff during writes brings over everything", `the items of the receiver when all was sent: an item is`,
	},
	{
		func(v *sound) vnode { return &clockOfItsOwn{sound: v} },
		"repair and writes in any order lose nothing", `Config.Seed = `,
	},
	{
		func(v *sound) vnode { return dropsNothing{v} },
		"Drop removes all items and the vnode works on", "Len of a dropped vnode is 150",
	},
	{
		func(v *sound) vnode { return dropsTheMap{v} },
		"Drop removes all items and the vnode works on", "a panic: assignment to entry in nil map",
	},
}

// TestBrokenVnodeIsTold checks that the first promise which the kit finds
// broken is the one that was broken, and that it says what it saw.
func TestBrokenVnodeIsTold(t *testing.T) {
	for _, broken := range brokenVnodes {
		c := config(func() vnode { return broken.vnode(newSound()) })
		name := strings.TrimPrefix(fmt.Sprintf("%T", c.Open(t)), "vnodetest.")
		t.Run(name, func(t *testing.T) {
			promise, text := firstBroken(t, c)
			if promise != broken.promise || !strings.Contains(text, broken.saw) {
				t.Errorf("broken first: %q\n%s\nwant: %q, and in the text: %s", promise, text, broken.promise, broken.saw)
			}
		})
	}
}

// firstBroken returns the first promise that is broken, and the text about it.
func firstBroken(tb testing.TB, c Config[vnode]) (promise, text string) {
	for _, p := range promises[vnode]() {
		if c.waives(p.needs) != "" {
			continue
		}
		if saw := p.check(tb, c); saw != "" {
			return p.name, p.broken(saw)
		}
	}
	return "", "none"
}

func TestOrderedWaivesTheOrderOfMerges(t *testing.T) {
	c := config(func() vnode { return keepsTheLast{newSound()} })
	c.Ordered = true
	if promise, text := firstBroken(t, c); promise != "" {
		t.Errorf("a vnode whose Merge replaces: %s", text)
	}
}

// TestOrderedVnodeIsHeldToResumes: what is sent again is old, to any vnode.
func TestOrderedVnodeIsHeldToResumes(t *testing.T) {
	c := config(func() vnode { return refusesOldItems{newSound()} })
	c.Ordered, c.Remove = true, nil
	promise, text := firstBroken(t, c)
	if promise != "a handoff that is sent again in part brings over the same" || !strings.Contains(text, "returned an error: broken on purpose") {
		t.Errorf("broken first: %q\n%s", promise, text)
	}
}

// TestSeedPlaysAFailureAgain checks that a failure tells a seed which leads to it.
func TestSeedPlaysAFailureAgain(t *testing.T) {
	c := config(func() vnode { return &clockOfItsOwn{sound: newSound()} })
	_, first := firstBroken(t, c)
	_, seed, found := strings.Cut(first, "Config.Seed = ")
	if _, err := fmt.Sscan(seed, &c.Seed); err != nil || !found {
		t.Fatalf("no seed in the text: %s", first)
	}
	if _, again := firstBroken(t, c); again != first {
		t.Errorf("with its seed:\n%s\nand at first:\n%s", again, first)
	}
}

func TestErrorsOfTheConfigAreTold(t *testing.T) {
	c := config(func() vnode { return newSound() })
	c.Write = func(vnode, []byte, int) error { return errBroken }
	if _, text := firstBroken(t, c); !strings.Contains(text, `Config.Write of key "key-000" with i = 1 returned an error: broken on purpose`) {
		t.Error(text)
	}
	c = config(func() vnode { return newSound() })
	c.Remove = func(vnode, []byte) error { return errBroken }
	if _, text := firstBroken(t, c); !strings.Contains(text, "Config.Remove of key") {
		t.Error(text)
	}
}

// TestTextOfAFailure shows what a user reads.
func TestTextOfAFailure(t *testing.T) {
	_, got := firstBroken(t, config(func() vnode { return dropsNothing{newSound()} }))
	want := `the vnode breaks a promise: Drop removes all items and the vnode works on
why it matters: a partition that moved away may come back to the same vnode
what was seen: Len of a dropped vnode is 150`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
