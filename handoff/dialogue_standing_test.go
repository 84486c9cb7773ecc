package handoff_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// standingPlay plays what a vnode is to its partition, and who may send to it:
//
//	vnode                    a new one, which is nothing yet
//	ring OWNERS [P:F>T …]    one letter a partition; partition P moves from F to T
//	hello TYPE WORD=VALUE …  what b says to it: p, source, from, to, epoch, cluster,
//	                         size; b itself is me=b
//	welcome TYPE from=… …    and what the vnode says: source, id, held too
//	seal ID                  the receiver of that transfer has everything
//	detach ID CONNECTION     that connection ends
//	found, inherit P@NODE …, heard P@NODE, yield, handed, returned, expect NODE
//	write K                  a command
//	admit K …                what becomes of commands, of each kind
type standingPlay struct {
	ring     *ring.Ring
	standing *handoff.Standing
}

func (p *standingPlay) command(t *testing.T, verb string, args []string) string {
	switch verb {
	case "ring":
		return p.open(t, args)
	case "hello":
		return p.hello(t, args)
	case "admit":
		return p.admit(args)
	case "welcome":
		return p.welcome(t, args)
	case "heard":
		if p.standing.Heard(sourcesOf(t, args)[0]) {
			return "whole by that"
		}
	case "seal":
		r := p.standing.Receiver(uint64(number(t, args[0])))
		if _, err := r.Seal(handoff.Claim{}, 0, 0); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("sealed: %v", r.Sealed())
	case "confirm":
		return fmt.Sprintf("whole: %v, %s", p.standing.Confirm(uint64(number(t, args[0]))), role(p.standing))
	case "detach":
		p.standing.Detach(uint64(number(t, args[0])), number(t, args[1]))
	default:
		p.become(t, verb, args)
	}
	return role(p.standing)
}

// become plays what changes the standing.
func (p *standingPlay) become(t *testing.T, verb string, args []string) {
	switch verb {
	case "vnode":
		p.standing = &handoff.Standing{}
	case "found":
		p.standing.Found()
	case "inherit":
		p.standing.Inherit(sourcesOf(t, args))
	case "yield":
		p.standing.Yield(1, len(args) > 0 && args[0] == "given")
	case "handed":
		p.standing.Handed(len(args) == 0 || args[0] != "not")
	case "returned":
		p.standing.Returned()
	case "expect":
		p.standing.Expect(ring.NodeName(strings.Join(args, "")))
	case "write":
		p.standing.Wrote([]byte(args[0]))
	default:
		t.Fatalf("unknown command %q", verb)
	}
}

func (p *standingPlay) open(t *testing.T, args []string) string {
	var moves []ring.Transfer
	for _, arg := range args[1:] {
		partition, nodes, _ := strings.Cut(arg, ":")
		from, to, _ := strings.Cut(nodes, ">")
		moves = append(moves, ring.Transfer{Partition: ring.Partition(number(t, partition)), From: ring.NodeName(from), To: ring.NodeName(to)})
	}
	r, err := ringOf(letters(args[0]), moves...)
	if err != nil {
		t.Fatal(err)
	}
	p.ring = r
	return fmt.Sprintf("%d partitions, epoch %d", r.Size(), r.Epoch())
}

// helloOf reads a hello. What is not said is as it should be.
func (p *standingPlay) helloOf(t *testing.T, args []string) (h handoff.Hello, held int) {
	h = handoff.Hello{Transfer: handoff.Transfer{Type: handoff.Ownership, From: "a", To: "b"}, ClusterID: "test", RingSize: 6, Epoch: 5, ID: 1}
	if args[0] == "nonsense" {
		h.Type = 9
	} else {
		h.Type = typeOf(t, args[0])
	}
	for _, arg := range args[1:] {
		switch name, value, _ := strings.Cut(arg, "="); name {
		case "p":
			h.Partition = ring.Partition(number(t, value))
			h.Source = h.Partition
		case "source":
			h.Source = ring.Partition(number(t, value))
		case "from":
			h.From = ring.NodeName(value)
		case "to":
			h.To = ring.NodeName(value)
		case "epoch":
			h.Epoch = ring.Epoch(number(t, value))
		case "cluster":
			h.ClusterID = value
		case "size":
			h.RingSize = number(t, value)
		case "id":
			h.ID = uint64(number(t, value))
		case "held":
			held = number(t, value)
		}
	}
	return h, held
}

func (p *standingPlay) hello(t *testing.T, args []string) string {
	h, _ := p.helloOf(t, args)
	if refusal := h.Check("b", p.ring); refusal != nil {
		return reasonNames[refusal.Reason] + ": " + refusal.Text
	}
	return "the ring wants it"
}

var reasonNames = map[handoff.Reason]string{handoff.Busy: "busy", handoff.NotNow: "not now", handoff.Wrong: "wrong", handoff.Broken: "broken"}

func (p *standingPlay) welcome(t *testing.T, args []string) string {
	h, held := p.helloOf(t, args)
	r, drop, refusal := p.standing.Welcome(h, held)
	if refusal != nil {
		return reasonNames[refusal.Reason] + ": " + refusal.Text
	}
	said := fmt.Sprintf("connection %d, next is chunk %d", r.Connection(), r.Next())
	if drop {
		said += "; drop what is held"
	}
	return said
}

var admissionNames = [...]string{handoff.Serve: "serve", handoff.NotOwner: "not owner", handoff.NotFound: "not found", handoff.Incomplete: "incomplete"}

// admit prints what becomes of commands for each key: a read and a write to the
// owner, and a read and a write to a stand-in.
func (p *standingPlay) admit(keys []string) string {
	said := []string{fmt.Sprintf("%-5s %-12s %-12s %-12s %s", "key", "read", "write", "read*", "write*")}
	for _, key := range keys {
		line := fmt.Sprintf("%-5s", key)
		for _, fallback := range []bool{false, true} {
			for _, read := range []bool{true, false} {
				line += fmt.Sprintf(" %-12s", admissionNames[p.standing.Admit(read, []byte(key), fallback)])
			}
		}
		said = append(said, strings.TrimRight(line, " "))
	}
	return strings.Join(said, "\n")
}
