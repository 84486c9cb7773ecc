package handoff_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// transferPlay plays a transfer of partition 0 from a to b:
//
//	pair TYPE [fill=N]   two vnodes with nothing in them; a chunk has N items, or 2
//	holds K=V …          what the sender holds. It is the owner, but of a hinted one
//	junk K=V …           what the receiver holds, and nobody needs
//	begin                the sender begins, or begins anew
//	connect              and what the receiver says
//	send, deliver, hear  what the sender, the receiver, and the sender again have
//	                     to do; "deliver 1" only once
//	run                  all three, until there is nothing more to do
//	write K=V, remove K  a command at the sender
//	arrive K=V           an item that reaches the sender by another transfer
//	stand-in K=V         a command at the receiver, as a stand-in; K alone removes
//	lose                 the connection, with what was on its way
//	restart              the receiver comes back empty
//	lossy K              the receiver loses the items of that key
//	forge N              chunk N reaches the receiver
//	seal, reopen         the sender's commands are held, or go on
//	flip [P@NODE …]      the receiver becomes the owner; from whom it would recover
//	expect NODE          by the ring, the receiver gets the partition from there
//	then TYPE            another transfer is next
//	wants K …            the keys that a repair is for
//	show                 both sides
type transferPlay struct{ *pair }

func (p *transferPlay) command(t *testing.T, verb string, args []string) string {
	if said, done := p.change(t, verb, args); done {
		return said
	}
	switch verb {
	case "begin":
		p.begin()
		return p.state()
	case "connect":
		said, _ := p.connect()
		return said
	case "send", "deliver", "hear":
		return p.some(verb, args)
	case "run":
		return p.run()
	case "lose":
		return strings.Join(append(free(p.lose()), p.state()), "\n")
	case "seal":
		return fmt.Sprintf("%v: %s", p.sender.Seal(len(p.from.items)), p.state())
	case "reopen":
		p.sender.Reopen()
		return p.state()
	case "flip":
		p.flip(sourcesOf(t, args))
		return p.show()
	case "forge":
		p.wire = append(p.wire, handoff.Chunk{Seq: uint64(number(t, args[0]))})
		return p.some("deliver", nil)
	case "show":
		return p.show()
	}
	t.Fatalf("unknown command %q", verb)
	return ""
}

// change plays what changes a vnode.
func (p *transferPlay) change(t *testing.T, verb string, args []string) (said string, done bool) {
	switch verb {
	case "pair":
		p.open(t, args)
	case "holds":
		maps.Copy(p.from.items, itemsOf(args))
	case "junk":
		maps.Copy(p.to.items, itemsOf(args))
	case "write", "remove":
		key, value, _ := strings.Cut(args[0], "=")
		return p.wrote(key, value), true
	case "arrive":
		key, value, _ := strings.Cut(args[0], "=")
		p.arrive(key, value)
		return p.state(), true
	case "stand-in":
		key, value, _ := strings.Cut(args[0], "=")
		p.to.put(key, value)
	case "restart":
		p.to = newVnode()
	case "then":
		p.hello.Type, p.sender = typeOf(t, args[0]), nil
	case "lossy":
		p.lossy = args[0]
	case "expect":
		p.to.standing.Expect(ring.NodeName(args[0]))
		return p.show(), true
	case "wants":
		p.wants = func(key string) bool { return slices.Contains(args, key) }
	default:
		return "", false
	}
	return "", true
}

func (p *transferPlay) open(t *testing.T, args []string) {
	p.pair = newPair(typeOf(t, args[0]))
	for _, arg := range args[1:] {
		p.fill = number(t, strings.TrimPrefix(arg, "fill="))
	}
	switch p.hello.Type {
	case handoff.Hinted:
		p.to.standing.Found()
	case handoff.Repair:
		p.hello.Source = 1
		p.from.standing.Found()
		p.to.standing.Inherit([]handoff.Source{{Partition: 1, Node: "a"}})
	case handoff.Ownership:
		p.from.standing.Found()
	}
}

func itemsOf(words []string) map[string]string {
	items := map[string]string{}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		items[key] = value
	}
	return items
}

func (p *transferPlay) wrote(key, value string) string {
	if seq := p.write(key, value); seq > 0 {
		return fmt.Sprintf("waits for chunk %d", seq)
	}
	return "acknowledged"
}

// some plays what one of the three has to do.
func (p *transferPlay) some(verb string, args []string) string {
	once := map[string]func() []string{"send": p.sendOne, "deliver": p.deliverOne, "hear": p.hearOne}[verb]
	var said []string
	for i := 0; i < endless && (len(args) == 0 || fmt.Sprint(i) != args[0]); i++ {
		more := once()
		if more == nil {
			break
		}
		said = append(said, more...)
	}
	if verb == "send" {
		said = append(said, p.state())
	}
	return strings.Join(said, "\n")
}

// endless is how many lines are too many.
const endless = 1000

func (p *transferPlay) run() string {
	var said []string
	for before := -1; len(said) > before && len(said) < endless; {
		before = len(said)
		said = slices.Concat(said, p.sendOne(), p.deliverOne(), p.hearOne())
	}
	return strings.Join(append(said, p.state()), "\n")
}

func (p *transferPlay) sendOne() []string {
	if said := p.step(); said != "" {
		return []string{said}
	}
	return nil
}

func (p *transferPlay) deliverOne() []string {
	if len(p.wire) == 0 {
		return nil
	}
	said, err := p.deliver()
	return spoken(said, err)
}

func (p *transferPlay) hearOne() []string {
	if len(p.back) == 0 {
		return nil
	}
	said, freed, err := p.hear()
	return append(spoken(said, err), free(freed)...)
}

func spoken(said string, err error) []string {
	if err != nil {
		return []string{"ERROR " + err.Error()}
	}
	return []string{said}
}

func free(freed []held) (said []string) {
	for _, r := range freed {
		said = append(said, fmt.Sprintf("the write of %s is acknowledged", r.key))
	}
	return said
}

// stepNames are the steps that leave the sender idle.
var stepNames = map[handoff.Step]string{handoff.Wait: "", handoff.Ready: ", READY", handoff.Finished: ", FINISHED"}

// state returns how far the sender is.
func (p *transferPlay) state() string {
	said := p.sender.Phase().String() + stepNames[p.sender.Next()]
	if left := p.sender.Left(); left > 0 {
		said += fmt.Sprintf(", %d dirty", left)
	}
	if kept := p.sender.Kept(); len(kept) > 0 {
		said += fmt.Sprintf(", keeps chunks %d to %d", kept[0], kept[len(kept)-1])
	}
	return said
}

func (p *transferPlay) show() string {
	return fmt.Sprintf("a, %s: %s\nb, %s: %s", role(&p.from.standing), list(p.from.items), role(&p.to.standing), list(p.to.items))
}

func list(items map[string]string) string {
	var words []string
	for _, key := range slices.Sorted(maps.Keys(items)) {
		words = append(words, key+"="+items[key])
	}
	if words == nil {
		return "nothing"
	}
	return strings.Join(words, " ")
}

// role says in words what a vnode is to its partition.
func role(s *handoff.Standing) string {
	switch {
	case s.Whole():
		return "whole owner"
	case s.Owner():
		return fmt.Sprintf("recovering owner, lacks %v", s.Needs())
	case s.Surplus():
		return "stand-in that owes everything"
	case s.Owes():
		return fmt.Sprintf("stand-in that owes %s", s.OwnKeys())
	case s.Useless():
		return "of no use"
	}
	return "receiving"
}
