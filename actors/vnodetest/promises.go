package vnodetest

import (
	"bytes"
	"slices"

	"github.com/torc-io/torc/handoff"
)

// promises returns what is checked, the simplest first: later ones rest on
// earlier ones, so where several are broken, the first is the one to mend.
func promises[V handoff.Stateful]() []promise[V] {
	return slices.Concat(itemPromises[V](), snapshotPromises[V](), mergePromises[V](), removalPromises[V](), handoffPromises[V]())
}

// itemPromises are about what the vnode shows of its state.
func itemPromises[V handoff.Stateful]() []promise[V] {
	return []promise[V]{
		{
			name: "a new vnode is empty",
			why:  "a receiver counts the items that arrived, so it must start from none",
			test: probe[V].newIsEmpty,
		},
		{
			name: "each write changes the item",
			why:  "the item of a written key is what replaces the one sent before, so it must show the write",
			test: probe[V].writeChangesItem,
		},
		{
			name: "Len, Item and Snapshot agree",
			why:  "a handoff sends the snapshot, then items one by one, and is verified by comparing Len of both sides",
			test: probe[V].viewsAgree,
		},
		{
			name: "a write changes its own key only",
			why:  "during a handoff only the written key is sent again: a change under another key would stay behind",
			test: probe[V].writesStayApart,
		},
		{
			name: "a vnode made of the items equals the original",
			why:  "moving the items is all that a handoff does to move a partition",
			test: probe[V].copyIsEqual,
		},
		{
			name: "any bytes make a key",
			why:  "keys come from clients, and the framework hands them on as they are",
			test: probe[V].binaryKeys,
		},
		{
			name: "an item stays as it was handed over",
			why:  "items wait in queues and buffers while the vnode goes on, and are shared by several transfers",
			test: probe[V].itemsAreImmutable,
		},
	}
}

// snapshotPromises are about reading all items while the vnode goes on.
func snapshotPromises[V handoff.Stateful]() []promise[V] {
	return []promise[V]{
		{
			name: "a snapshot does not show later writes",
			why:  "a handoff reads the snapshot on another goroutine while the vnode serves writes",
			test: probe[V].snapshotIsUnmoved,
		},
		{
			name: "a snapshot may be left half read",
			why:  "a transfer is cancelled when its plan changes or its peer is lost",
			test: probe[V].snapshotIsLeft,
		},
	}
}

// mergePromises are about items that arrive from other replicas.
func mergePromises[V handoff.Stateful]() []promise[V] {
	return []promise[V]{
		{
			name: "merging an item again changes nothing",
			why:  "a transfer that resumes after a lost connection sends up to a window of items again",
			test: probe[V].mergeIsIdempotent,
		},
		{
			name: "merging the items of a key in order gives the newest",
			why:  "a handoff sends a key's item of the snapshot, then a newer one for each write",
			test: probe[V].mergeInOrder,
		},
		{
			name:  "merging gives the same result in any order",
			why:   "replicas hear of writes in different orders, and must come to the same state in the end",
			needs: replicas,
			test:  probe[V].mergeInAnyOrder,
		},
		{
			name:  "an old item does not undo a newer one",
			why:   "hinted handoff and repair bring items that are older than what a replica has by then",
			needs: replicas,
			test:  probe[V].oldItemIsHarmless,
		},
	}
}

// removalPromises are about what is taken away.
func removalPromises[V handoff.Stateful]() []promise[V] {
	return []promise[V]{
		{
			name:  "a removal shows everywhere",
			why:   "during a handoff a removed key is sent as removed, or as the item that remains of it",
			needs: removal,
			test:  probe[V].removalShows,
		},
		{
			name:  "an old item does not undo a removal that left an item",
			why:   "an item that remains of a removed key is there to win over the replicas that missed it",
			needs: replicas | removal,
			test:  probe[V].removalIsKept,
		},
		{
			name: "a deletion of a key that is not there changes nothing",
			why:  "a write command that failed has touched its key and left nothing, which a handoff sends as a deletion",
			test: probe[V].deletionOfNothing,
		},
		{
			name:  "a deletion removes the key",
			why:   "a handoff sends a key that was removed outright as an item with Deleted, after the items before",
			needs: removal,
			test:  probe[V].deletionRemoves,
		},
		{
			name: "Drop removes all items and the vnode works on",
			why:  "a partition that moved away may come back to the same vnode",
			test: probe[V].dropEmpties,
		},
	}
}

func (p probe[V]) newIsEmpty() {
	v := p.open()
	p.isEmpty(v, "a new vnode")
}

// isEmpty fails unless Len, Item and Snapshot all show nothing.
func (p probe[V]) isEmpty(v V, who string) {
	if v.Len() != 0 {
		failf("Len of %s is %d", who, v.Len())
	}
	if items := p.items(v); len(items) > 0 {
		failf("the snapshot of %s has %d items, among them %s", who, len(items), show(items[0]))
	}
	if item, found := v.Item(key(0)); found {
		failf("Item of %s returned %s", who, show(item))
	}
}

func (p probe[V]) writeChangesItem() {
	v := p.open()
	p.write(v, key(0), 1)
	before := p.item(v, key(0))
	p.write(v, key(0), 2)
	if after := p.item(v, key(0)); bytes.Equal(before.Value, after.Value) {
		failf("a write with i = 1 and one with i = 2 both left %s", show(after))
	}
}

func (p probe[V]) viewsAgree() {
	v := p.filled()
	p.agree(v, "after each key was written")
	if v.Len() != many {
		failf("Len is %d after %d keys were written", v.Len(), many)
	}
	p.write(v, key(1), 2)
	p.agree(v, "after a key was written again")
	if item, found := v.Item([]byte("absent")); found {
		failf("Item of a key that was never written returned %s", show(item))
	}
	p.agree(v, "after Item of an absent key")
	if v.Len() != many {
		failf("Len is %d after a key was written again and an absent one was asked for, want %d", v.Len(), many)
	}
}

func (p probe[V]) writesStayApart() {
	v := p.filled()
	before := p.items(v)
	p.write(v, key(7), 2)
	equal("the other keys after a write of "+quote(key(7)), without(p.items(v), key(7)), without(before, key(7)))
}

func (p probe[V]) copyIsEqual() {
	v := p.filled()
	p.overwrite(v, 2)
	peer := p.copied(v)
	equal("the items of the vnode made of them", p.items(peer), p.items(v))
	p.agree(peer, "after all items were merged into an empty vnode")
}

// oddKeys are keys that a careless vnode confuses or cannot hold: control
// bytes, bytes that are not UTF-8, separators, a long one, and neighbours that
// differ in a trailing NUL.
func oddKeys() [][]byte {
	return [][]byte{
		{0},
		{0, 0},
		{0xff},
		{0xff, 0xff},
		{0xc3, 0x28},
		[]byte("a"), []byte("A"), []byte("a\x00"), []byte("a\x00b"),
		[]byte("a/b"), []byte("a/"), []byte(" a"), []byte("a\n"), bytes.Repeat([]byte{'k'}, 4096), bytes.Repeat([]byte{'k'}, 4097),
	}
}

func (p probe[V]) binaryKeys() {
	v := p.open()
	for i, key := range oddKeys() {
		p.write(v, key, i+1)
	}
	p.agree(v, "after keys of all kinds were written")
	for _, key := range oddKeys() {
		p.item(v, key)
	}
	if v.Len() != len(oddKeys()) {
		failf("Len is %d after %d different keys were written", v.Len(), len(oddKeys()))
	}
	equal("a vnode made of these items", p.items(p.copied(v)), p.items(v))
}

func (p probe[V]) itemsAreImmutable() {
	v, peer := p.filled(), p.open()
	var held []handoff.Item // as handed over, not copied
	for item, err := range v.Snapshot() {
		if err != nil {
			failf("the snapshot contains an error: %v", err)
		}
		held = append(held, item)
	}
	for n := range many {
		item, _ := v.Item(key(n))
		held = append(held, item)
	}
	var then []handoff.Item
	for _, item := range held {
		then = append(then, clone(item))
	}
	for n := range many {
		p.write(v, key(n), 2)
		p.item(v, key(n))
	}
	p.merge(peer, held...)
	for i := range held {
		same("an item that was handed over before the vnode went on", held[i], then[i])
	}
}

func (p probe[V]) snapshotIsUnmoved() {
	v := p.filled()
	want := p.items(v)
	snapshot := v.Snapshot()
	p.overwrite(v, 2)
	equal("a snapshot that is read after later writes", read(snapshot), want)

	want, snapshot = p.items(v), v.Snapshot()
	saw := make(chan string, 1)
	go func() {
		saw <- attempt(func() { equal("a snapshot that is read during later writes", read(snapshot), want) })
	}()
	p.overwrite(v, 3)
	if saw := <-saw; saw != "" {
		failf("%s", saw)
	}
}

// overwrite writes each key of a filled vnode and as many that it may not
// have, and removes some if it can.
func (p probe[V]) overwrite(v V, i int) {
	for n := range 2 * many {
		p.write(v, key(n), i)
	}
	for n := 0; n < many && p.config.Remove != nil; n += 3 {
		p.remove(v, key(n))
	}
}

func (p probe[V]) snapshotIsLeft() {
	v := p.filled()
	calls := 0
	v.Snapshot()(func(handoff.Item, error) bool {
		calls++
		return false
	})
	if calls != 1 {
		failf("the sequence went on for %d items after the loop over it had ended at the first", calls-1)
	}
	v.Snapshot() // not read at all
	p.write(v, key(0), 2)
	p.agree(v, "after a snapshot was left half read")
}

func (p probe[V]) mergeIsIdempotent() {
	v := p.filled()
	want := p.items(v)
	p.merge(v, want...)
	equal("a vnode after its own items were merged into it", p.items(v), want)
	equal("an empty vnode after each item was merged twice", p.items(p.merged(append(want, want...)...)), want)
}

func (p probe[V]) mergeInOrder() {
	v, peer := p.open(), p.open()
	for i := 1; i <= 3; i++ {
		p.write(v, key(0), i)
		p.merge(peer, p.item(v, key(0)))
		same("the item of the receiver", p.item(peer, key(0)), p.item(v, key(0)))
	}
}

func (p probe[V]) mergeInAnyOrder() {
	a, b, c := p.replica(key(0), 1), p.replica(key(0), 2), p.replica(key(0), 3)
	want := p.item(p.merged(a, b, c), key(0))
	for _, order := range [][]handoff.Item{{a, c, b}, {b, a, c}, {b, c, a}, {c, a, b}, {c, b, a}} {
		got := p.item(p.merged(order...), key(0))
		if !bytes.Equal(got.Value, want.Value) {
			failf("three replicas made %s, %s and %s; merged in this order they give %s, but %s when merged as %.64q, %.64q, %.64q",
				show(a), show(b), show(c), show(want), show(got), order[0].Value, order[1].Value, order[2].Value)
		}
	}
}

func (p probe[V]) oldItemIsHarmless() {
	v := p.open()
	p.write(v, key(0), 1)
	old := p.item(v, key(0))
	p.write(v, key(0), 2)
	newer := p.item(v, key(0))
	p.merge(v, old)
	same("the item after an older one was merged", p.item(v, key(0)), newer)
	same("the item of a vnode that got the newer one first", p.item(p.merged(newer, old), key(0)), newer)
}

func (p probe[V]) removalShows() {
	v := p.filled()
	before, k := p.items(v), key(7)
	old := p.item(v, k)
	p.remove(v, k)
	if item, found := v.Item(k); found && bytes.Equal(item.Value, old.Value) {
		failf("Item still returns %s after Config.Remove", show(item))
	}
	p.agree(v, "after a key was removed")
	equal("the other keys after a removal", without(p.items(v), k), without(before, k))
	p.write(v, k, 2)
	p.item(v, k)
	p.agree(v, "after a removed key was written again")
}

func (p probe[V]) removalIsKept() {
	v := p.open()
	p.write(v, key(0), 1)
	old := p.item(v, key(0))
	p.remove(v, key(0))
	left, found := v.Item(key(0))
	if !found {
		return // nothing is left that could win
	}
	left = clone(left)
	p.merge(v, old)
	same("what was left of the removed key, after the old item was merged,", p.item(v, key(0)), left)
	same("the item of a vnode that got both in order", p.item(p.merged(old, left), key(0)), left)
}

func (p probe[V]) deletionOfNothing() {
	v := p.open()
	absent := deletion([]byte("absent"))
	p.merge(v, absent, absent)
	p.isEmpty(v, "a new vnode after a deletion was merged")
	v = p.filled()
	before := p.items(v)
	p.merge(v, absent, absent)
	equal("the items after a deletion of an absent key", p.items(v), before)
	p.agree(v, "after a deletion of an absent key")
}

func (p probe[V]) deletionRemoves() {
	if p.leavesTombstones() {
		return // so no key is ever sent as deleted
	}
	v, k := p.filled(), key(7)
	before := p.items(v)
	item := p.item(v, k)
	for _, when := range []string{"after a deletion", "after the same deletion again"} {
		p.merge(v, deletion(k))
		if item, found := v.Item(k); found {
			failf("%s: Item still returns %s", when, show(item))
		}
		equal("the items "+when, p.items(v), without(before, k))
		p.agree(v, when)
	}
	p.merge(v, item)
	equal("the items when one was merged after its deletion", p.items(v), before)
	p.merge(v, deletion(k))
	p.write(v, k, 2)
	p.item(v, k)
	p.agree(v, "after a deleted key was written again")
}

func (p probe[V]) dropEmpties() {
	v := p.filled()
	items := p.items(v)
	if err := v.Drop(); err != nil {
		failf("Drop returned an error: %v", err)
	}
	p.isEmpty(v, "a dropped vnode")
	p.merge(v, items...)
	equal("a dropped vnode after its items were merged again", p.items(v), items)
	if err := v.Drop(); err != nil {
		failf("a second Drop returned an error: %v", err)
	}
	p.write(v, key(0), 2)
	p.agree(v, "after a dropped vnode was written")
}
