package handoff_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/torc-io/torc/handoff"
)

// rounds of rapid's 100 checks each: rare paths, such as a write while both sides
// are about to agree, turn up in some hundreds. Use -rapid.checks for a long search.
const rounds = 10

// world plays random events on a pair, and knows what must never be seen.
type world struct {
	*pair

	rt      *rapid.T
	history map[string][]string // the values of each key in their order, "" for none
	written int
	source  handoff.Source
	busy    int             // writes after each event
	foreign map[string]bool // keys that commands wrote at the receiver
	sent    uint64          // the last chunk that ever went out
	next    uint64          // the chunk that this connection began with
	again   int             // chunks that went out again on this connection
	passed  map[uint64]bool // chunks that writers waited for
}

func newWorld(rt *rapid.T, kind handoff.Type) *world {
	w := &world{
		pair: newPair(kind), rt: rt, history: map[string][]string{}, source: handoff.Source{Partition: 1, Node: "a"},
		foreign: map[string]bool{}, passed: map[uint64]bool{},
	}
	w.from.newest, w.to.newest = kind != handoff.Ownership, kind != handoff.Ownership
	if kind != handoff.Hinted {
		w.from.standing.Found()
	}
	if kind == handoff.Repair {
		w.hello.Source = w.source.Partition
		w.to.standing.Inherit([]handoff.Source{w.source})
	}
	if kind == handoff.Hinted {
		w.to.standing.Found()
	}
	w.busy = rapid.SampledFrom([]int{0, 0, 0, 2}).Draw(rt, "busy")
	w.fill = rapid.IntRange(1, 3).Draw(rt, "fill")
	for range rapid.SampledFrom([]int{0, 1, 10, 100}).Draw(rt, "items") {
		w.write(w.drawKey(), w.drawValue())
	}
	w.begin()
	return w
}

// keyNumbers make more items than fill the window, and a few that are written often.
var keyNumbers = append(slices.Repeat([]int{0, 1, 2, 3}, 10), sequence(40)...)

func sequence(n int) (numbers []int) {
	for i := range n {
		numbers = append(numbers, i)
	}
	return numbers
}

func (w *world) drawKey() string {
	return fmt.Sprintf("k%02d", rapid.SampledFrom(keyNumbers).Draw(w.rt, "key"))
}

// drawValue returns a value that is greater than all before it, or none.
func (w *world) drawValue() string {
	if w.hello.Type == handoff.Ownership && rapid.SampledFrom([]int{0, 1, 2, 3}).Draw(w.rt, "remove") == 0 {
		return ""
	}
	w.written++
	return fmt.Sprintf("%06d", w.written)
}

// Ownership: whatever is written, removed, merged and lost meanwhile, both sides
// have the same when the sender says so.
func TestRandomOwnershipTransfers(t *testing.T) {
	check(t, func(rt *rapid.T) {
		w := newWorld(rt, handoff.Ownership)
		w.play()
		w.finish()
	})
}

// Hinted: what a stand-in was written has reached the owner when it is forgotten.
func TestRandomHintedTransfers(t *testing.T) {
	check(t, func(rt *rapid.T) {
		w := newWorld(rt, handoff.Hinted)
		w.play()
		w.finish()
		if w.from.standing.Owes() { // since it was written after the end
			w.lose()
			w.anew()
			w.finish()
		}
		if w.from.standing.Owes() {
			rt.Fatalf("the transfer has ended, and %q are still owed", w.from.standing.OwnKeys())
		}
		w.compare(func(key string) bool { return w.from.items[key] != "" })
	})
}

// Repair: a vnode that has become whole has all that its source had of the keys
// that it is for.
func TestRandomRepairs(t *testing.T) {
	check(t, func(rt *rapid.T) {
		w := newWorld(rt, handoff.Repair)
		w.wants = func(key string) bool { return key[2]%2 == 0 }
		began := maps.Clone(w.from.items)
		w.play()
		w.finish()
		if !w.to.standing.Whole() {
			rt.Fatal("the repair has ended, and the vnode is not whole")
		}
		for key, value := range began {
			if w.wants(key) && w.to.items[key] < value {
				rt.Fatalf("key %s was %s when the repair began, and is %q", key, value, w.to.items[key])
			}
		}
	})
}

func check(t *testing.T, property func(*rapid.T)) {
	for range rounds {
		rapid.Check(t, property)
	}
}

func (w *world) play() {
	for range rapid.SampledFrom([]int{10, 50, 400}).Draw(w.rt, "events") {
		w.event(rapid.SampledFrom(events).Draw(w.rt, "event"))
		w.look()
		for range w.busy {
			w.write(w.drawKey(), w.drawValue())
		}
	}
}

// events are drawn as often as they are here, so that a transfer gets on.
var events = append(slices.Repeat([]string{"go on"}, 30), "write", "write", "write", "write", "arrive", "stand in",
	"seal", "seal", "reopen", "lose", "restart", "anew", "burst", "send all")

func (w *world) event(what string) {
	switch what {
	case "write":
		w.write(w.drawKey(), w.drawValue())
	case "arrive":
		w.arriveSome()
	case "stand in":
		w.standIn()
	case "seal":
		w.sender.Seal(len(w.from.items))
	case "reopen":
		w.sender.Reopen()
	case "lose":
		w.lose()
		w.again = 0
	case "restart":
		w.restart()
	case "anew":
		w.lose()
		w.anew()
	case "burst":
		for range 20 {
			w.write(w.drawKey(), w.drawValue())
		}
	case "send all":
		for i := 0; i < 40 && w.connection > 0 && w.sender.Next() != handoff.Wait; i++ {
			w.advance()
		}
	default:
		w.goOn(rapid.SampledFrom([]string{"sender", "receiver", "answer"}).Draw(w.rt, "who"))
	}
}

// goOn lets one of the three do what there is for it to do.
func (w *world) goOn(who string) {
	switch {
	case w.connection == 0:
		w.link()
	case who == "receiver" && len(w.wire) > 0:
		w.must(w.deliver())
	case who == "answer" && len(w.back) > 0:
		w.heard()
	default:
		w.advance()
	}
}

// write is a command at the sender, and of a repair one at both.
func (w *world) write(key, value string) {
	w.history[key] = append(w.history[key], value)
	if seq := w.pair.write(key, value); seq > 0 {
		w.passed[seq] = true
	}
	if w.hello.Type == handoff.Repair {
		w.to.put(key, value)
	}
}

// arriveSome merges an item at the sender that came from elsewhere.
func (w *world) arriveSome() {
	key, value := w.drawKey(), w.drawValue()
	if value == "" {
		return
	}
	w.history[key] = append(w.history[key], value)
	w.arrive(key, value)
	if w.hello.Type == handoff.Hinted { // the stand-in has to return it like its own
		w.from.standing.Wrote([]byte(key))
	}
}

// standIn is a command at the receiver of an ownership transfer, which stands in
// for the owner.
func (w *world) standIn() {
	if w.hello.Type == handoff.Ownership && w.connection > 0 {
		key, value := w.drawKey(), w.drawValue()
		w.to.put(key, value)
		w.foreign[key] = true
	}
}

// restart has the receiver forget everything.
func (w *world) restart() {
	if w.hello.Type != handoff.Ownership || !rapid.Bool().Draw(w.rt, "really") {
		return
	}
	w.lose()
	w.again = 0
	w.to, w.foreign = newVnode(), map[string]bool{}
}

// link connects, and begins anew if it has to.
func (w *world) link() {
	if _, linked := w.connect(); linked {
		w.next = w.to.standing.Receiver(w.hello.ID).Next()
		return
	}
	if w.to.standing.Owes() { // a receiver returns first what it was written
		w.to, w.foreign = newVnode(), map[string]bool{}
	}
	w.anew()
}

// anew gives the transfer up and begins it again.
func (w *world) anew() {
	w.begin()
	w.sent, w.again, w.passed = 0, 0, map[uint64]bool{}
}

// heard checks that a write whose reply is let go is at the receiver.
func (w *world) heard() {
	said, freed, err := w.hear()
	w.must(said, err)
	for _, r := range freed {
		if !w.isSince(r, w.to.items[r.key]) && !w.foreign[r.key] {
			w.rt.Fatalf("the write of %q to %s is acknowledged, and the receiver has %q of %q", r.value, r.key, w.to.items[r.key], w.history[r.key])
		}
	}
}

// isSince says whether a value was written with or after the one in the reply.
func (w *world) isSince(r held, value string) bool {
	values := w.history[r.key]
	return slices.Contains(values[slices.Index(values, r.value):], value)
}

func (w *world) must(said string, err error) {
	if err != nil {
		w.rt.Fatalf("%s: %v", said, err)
	}
}

func (w *world) advance() {
	before := len(w.wire)
	w.step()
	for _, frame := range w.wire[before:] {
		c, isChunk := frame.(handoff.Chunk)
		switch {
		case !isChunk:
			continue
		case c.Seq < w.next:
			w.rt.Fatalf("chunk %d is sent again, and the receiver wanted %d", c.Seq, w.next)
		case c.Seq <= w.sent:
			w.again++
		}
		w.sent = max(w.sent, c.Seq)
	}
}

// look checks what must hold at any time.
func (w *world) look() {
	if w.again > handoff.Window {
		w.rt.Fatalf("%d chunks were sent again", w.again)
	}
	kept := slices.DeleteFunc(w.sender.Kept(), func(seq uint64) bool { return w.passed[seq] })
	if len(kept) > handoff.Window {
		w.rt.Fatalf("%d chunks are kept that nobody waits for", len(kept))
	}
	if w.sender.Next() != handoff.Finished {
		return
	}
	switch w.hello.Type {
	case handoff.Ownership:
		w.compare(func(key string) bool { return !w.foreign[key] })
	case handoff.Hinted:
		owes := map[string]bool{} // again, since the end
		for _, key := range w.from.standing.OwnKeys() {
			owes[string(key)] = true
		}
		w.compare(func(key string) bool { return w.from.items[key] != "" && !owes[key] })
	case handoff.Repair:
	}
}

// compare requires that both sides have the same of some keys.
func (w *world) compare(which func(key string) bool) {
	for key := range w.history {
		if which(key) && w.from.items[key] != w.to.items[key] {
			w.rt.Fatalf("key %s is %q at the sender and %q at the receiver", key, w.from.items[key], w.to.items[key])
		}
	}
}

// finish brings the transfer to its end, without further ado.
func (w *world) finish() {
	for range 5000 {
		switch step := w.sender.Next(); {
		case step == handoff.Finished, w.hello.Type == handoff.Repair && w.to.standing.Whole():
			w.look() // of a repair, the sender may never hear that it was the last
			return
		case step == handoff.Ready:
			w.sender.Seal(len(w.from.items))
		case w.connection == 0:
			w.link()
		case step != handoff.Wait:
			w.advance()
		case len(w.wire) > 0:
			w.must(w.deliver())
		case len(w.back) > 0:
			w.heard()
		default:
			w.rt.Fatalf("the transfer stands still: it is %v", w.sender.Phase())
		}
	}
	w.rt.Fatal("the transfer does not end")
}
