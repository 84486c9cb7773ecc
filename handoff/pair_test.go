package handoff_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// vnode is about the least that can be handed off: a map.
type vnode struct {
	items    map[string]string
	standing handoff.Standing
	// newest has Merge keep the greater value, as where replicas can diverge.
	newest bool
}

func newVnode() *vnode { return &vnode{items: map[string]string{}} }

func (v *vnode) item(key string) handoff.Item {
	value, found := v.items[key]
	return handoff.Item{Key: []byte(key), Value: []byte(value), Deleted: !found}
}

func (v *vnode) snapshot() (items []handoff.Item) {
	for _, key := range slices.Sorted(maps.Keys(v.items)) {
		items = append(items, v.item(key))
	}
	return items
}

func (v *vnode) merge(item handoff.Item) {
	key, value := string(item.Key), string(item.Value)
	switch {
	case item.Deleted:
		delete(v.items, key)
	case !v.newest || v.items[key] < value:
		v.items[key] = value
	}
}

// put executes a command; no value removes the key.
func (v *vnode) put(key, value string) {
	v.items[key] = value
	if value == "" {
		delete(v.items, key)
	}
	v.standing.Wrote([]byte(key))
}

// held is a reply that waits for a chunk.
type held struct {
	seq        uint64
	key, value string
}

// pair is a transfer with both its ends and the wires between: what the actors
// do, with nothing happening by itself.
type pair struct {
	hello    handoff.Hello
	from, to *vnode
	fill     int                   // items in a chunk
	wants    func(key string) bool // of a repair; nil wants all
	quiet    bool                  // nothing is said
	lossy    string                // a key whose items get lost at the receiver

	sender     *handoff.Sender
	unread     []handoff.Item // of the snapshot
	connection int            // at the receiver; 0 if there is none
	over       bool           // the receiver needs no more of it
	wire       []any          // a Chunk or a Claim, on its way
	back       []any          // an acknowledged number, or a Count, on its way
	held       []held
}

func newPair(kind handoff.Type) *pair {
	return &pair{
		hello: handoff.Hello{Transfer: handoff.Transfer{Type: kind, From: "a", To: "b"}},
		from:  newVnode(), to: newVnode(), fill: 2,
	}
}

// say tells what went on, unless nobody wants to know. Bytes are encoded items.
func (p *pair) say(format string, args ...any) string {
	if p.quiet {
		return ""
	}
	for i, arg := range args {
		if items, ok := arg.([]byte); ok {
			args[i] = show(items)
		}
	}
	return fmt.Sprintf(format, args...)
}

// begin starts the transfer, or starts it anew.
func (p *pair) begin() {
	p.hello.ID++
	snapshot := p.hello.Type != handoff.Hinted || p.from.standing.Surplus()
	p.sender = handoff.NewSender(p.hello.Transfer, snapshot)
	p.unread, p.over = nil, false
	if snapshot {
		p.unread = p.from.snapshot()
	}
	for _, key := range p.from.standing.OwnKeys() {
		p.sender.Wrote(key)
	}
}

// connect makes a connection. It returns what went on, and whether there is one.
func (p *pair) connect() (said string, linked bool) {
	r, drop, refusal := p.to.standing.Welcome(p.hello, len(p.to.items))
	if refusal != nil {
		return "refused: " + refusal.Error(), false
	}
	said = fmt.Sprintf("welcome, next is chunk %d", r.Next())
	if drop {
		p.to.items = map[string]string{}
		said += ", and what was held is dropped"
	}
	if err := p.sender.Welcome(r.Next()); err != nil {
		p.to.standing.Detach(p.hello.ID, r.Connection())
		return said + "\n" + err.Error(), false
	}
	p.connection = r.Connection()
	return said, true
}

// lose ends the connection, with what is on the wires.
func (p *pair) lose() (freed []held) {
	p.to.standing.Detach(p.hello.ID, p.connection)
	if p.over {
		p.to.standing.Forget(p.hello.ID)
	}
	p.sender.Lost()
	freed, p.held = p.held, nil
	p.connection, p.wire, p.back = 0, nil, nil
	return freed
}

// step has the sender do what it says. It returns what that was.
func (p *pair) step() (said string) {
	switch p.sender.Next() {
	case handoff.Send:
		c := p.sender.Outgoing()
		p.wire = append(p.wire, c)
		return p.say("send chunk %d: %s", c.Seq, c.Items)
	case handoff.Read:
		return p.read()
	case handoff.Collect:
		return p.collect()
	case handoff.SendSeal:
		c := p.sender.Claim()
		p.wire = append(p.wire, c)
		return p.say("send seal: %d chunks, %d items, %d held", c.Chunks, c.Items, c.Held)
	case handoff.Wait, handoff.Ready, handoff.Finished:
	}
	return ""
}

func (p *pair) read() string {
	var items []byte
	count := 0
	for len(p.unread) > 0 && count < p.fill {
		if p.wants == nil || p.wants(string(p.unread[0].Key)) {
			items, count = encode(items, p.unread[0]), count+1
		}
		p.unread = p.unread[1:]
	}
	p.sender.Copied(items, count, len(p.unread) > 0)
	return p.say("read: %s", items)
}

func (p *pair) collect() string {
	var items []byte
	count := 0
	for count < p.fill {
		key, ok := p.sender.Take()
		if !ok {
			break
		}
		item := p.from.item(string(key))
		if !item.Deleted || p.hello.Type == handoff.Ownership {
			items, count = encode(items, item), count+1
		}
	}
	p.sender.Collected(items, count)
	if p.sender.Phase() == handoff.Done {
		p.from.standing.Returned()
	}
	return p.say("collect: %s", items)
}

// deliver has the receiver take what came first, and answer.
func (p *pair) deliver() (said string, err error) {
	frame := p.wire[0]
	p.wire = p.wire[1:]
	r := p.to.standing.Receiver(p.hello.ID)
	if r == nil || r.Connection() != p.connection {
		return "the receiver knows nothing of it", nil
	}
	if claim, ok := frame.(handoff.Claim); ok {
		return p.answer(r, claim)
	}
	c := frame.(handoff.Chunk)
	p.back = append(p.back, c.Seq)
	return p.take(r, c)
}

func (p *pair) take(r *handoff.Receiver, c handoff.Chunk) (said string, err error) {
	if fresh, err := r.Accept(c.Seq); err != nil || !fresh {
		return fmt.Sprintf("chunk %d was merged before", c.Seq), err
	}
	items, err := handoff.DecodeItems(c.Items)
	if err == nil && handoff.Checksum(c.Items) != c.Checksum {
		err = fmt.Errorf("the checksum of chunk %d is wrong", c.Seq)
	}
	if err != nil {
		return "", err
	}
	merged := 0
	for _, item := range items {
		if p.lossy == "" || string(item.Key) != p.lossy {
			p.to.merge(item)
			merged++
		}
	}
	r.Merged(merged)
	return p.say("merge chunk %d: %s", c.Seq, c.Items), nil
}

func (p *pair) answer(r *handoff.Receiver, c handoff.Claim) (said string, err error) {
	count, err := r.Seal(c, len(p.to.items), p.to.standing.Own())
	if err != nil {
		return "", err
	}
	p.back = append(p.back, count)
	said = fmt.Sprintf("count: %d items, %d held", count.Items, count.Held)
	if count.Own > 0 {
		said += fmt.Sprintf(", %d own", count.Own)
	}
	p.over = r.Sealed() && p.hello.Type != handoff.Ownership
	if r.Sealed() && p.hello.Type == handoff.Repair && p.to.standing.Heard(handoff.Source{Partition: p.hello.Source, Node: p.hello.From}) {
		said += ": whole"
	}
	return said, nil
}

// hear has the sender take the answer that came first, and returns the replies
// that waited for it.
func (p *pair) hear() (said string, freed []held, err error) {
	answer := p.back[0]
	p.back = p.back[1:]
	if count, ok := answer.(handoff.Count); ok {
		if err := p.sender.Agree(count); err != nil {
			return "", nil, err
		}
		return fmt.Sprintf("agreed: %v", p.sender.Agreed()), nil, nil
	}
	seq := answer.(uint64)
	if _, err := p.sender.Acked(seq); err != nil {
		return "", nil, err
	}
	n := 0
	for n < len(p.held) && p.held[n].seq <= seq {
		n++
	}
	freed, p.held = p.held[:n:n], p.held[n:]
	return p.say("chunk %d is acknowledged", seq), freed, nil
}

// write executes a command at the sending vnode. It returns the number of the
// chunk that the reply waits for, or 0.
func (p *pair) write(key, value string) (seq uint64) {
	p.from.put(key, value)
	if p.sender == nil || !p.sender.Wrote([]byte(key)) {
		return 0
	}
	seq = p.sender.Pass(encode(nil, p.from.item(key)))
	p.held = append(p.held, held{seq, key, value})
	return seq
}

// arrive merges an item at the sending vnode that came by another transfer.
func (p *pair) arrive(key, value string) {
	p.from.merge(handoff.Item{Key: []byte(key), Value: []byte(value)})
	p.sender.Merged([]byte(key), "elsewhere")
}

// flip makes the receiver the owner.
func (p *pair) flip(sources []handoff.Source) {
	p.to.standing.Inherit(sources)
	p.from.standing.Yield(1, true)
	p.from.standing.Handed(p.connection > 0 && p.to.standing.Whole()) // which it says
}

func encode(buf []byte, item handoff.Item) []byte {
	buf, err := handoff.AppendItem(buf, item)
	if err != nil {
		panic(err)
	}
	return buf
}

// show writes encoded items as k=v, or as k deleted.
func show(encoded []byte) string {
	items, err := handoff.DecodeItems(encoded)
	if err != nil {
		return err.Error()
	}
	var words []string
	for _, item := range items {
		if item.Deleted {
			words = append(words, string(item.Key)+" deleted")
			continue
		}
		words = append(words, fmt.Sprintf("%s=%s", item.Key, item.Value))
	}
	if words == nil {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

// ringOf returns a ring of epoch 5 whose partitions 0, 1, … are owned by the
// given nodes.
func ringOf(owners []ring.NodeName, transfers ...ring.Transfer) (*ring.Ring, error) {
	names := slices.Clone(owners)
	for _, t := range transfers {
		names = append(names, t.From, t.To)
	}
	slices.Sort(names)
	state := ring.State{ClusterID: "test", Epoch: 5, Hash: ring.HashName, TargetN: 1, Owners: owners, Transfers: transfers}
	for _, name := range slices.Compact(names) {
		state.Members = append(state.Members, ring.Member{Name: name, Status: ring.Valid})
	}
	return ring.FromState(state)
}

// letters returns one node for each letter: "abc" is a, b, c.
func letters(s string) (names []ring.NodeName) {
	for _, c := range s {
		names = append(names, ring.NodeName(c))
	}
	return names
}
