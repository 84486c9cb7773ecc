package handoff_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// schedulePlay plays what node a sends:
//
//	want TYPE P TO [OBSTACLE]   a transfer that should be
//	limit N                     begin what may begin now; it runs from then on
//	end TYPE P TO               a transfer has ended, and is wanted no more
type schedulePlay struct {
	want    []handoff.Candidate
	running []handoff.Transfer
}

func (p *schedulePlay) command(t *testing.T, verb string, args []string) string {
	if verb == "limit" {
		return p.begin(number(t, args[0]))
	}
	partition := ring.Partition(number(t, args[1]))
	transfer := handoff.Transfer{Type: typeOf(t, args[0]), Partition: partition, Source: partition, From: "a", To: ring.NodeName(args[2])}
	switch verb {
	case "want":
		p.want = append(p.want, handoff.Candidate{Transfer: transfer, Obstacle: strings.Join(args[3:], " ")})
	case "end":
		p.running = slices.DeleteFunc(p.running, func(t handoff.Transfer) bool { return t == transfer })
		p.want = slices.DeleteFunc(p.want, func(c handoff.Candidate) bool { return c.Transfer == transfer })
	default:
		t.Fatalf("unknown command %q", verb)
	}
	return ""
}

func (p *schedulePlay) begin(limit int) string {
	begin, waiting := handoff.Schedule("a", p.want, p.running, limit)
	var said []string
	for _, t := range begin {
		said = append(said, "begin "+t.String())
	}
	for _, c := range waiting {
		said = append(said, "wait  "+c.Transfer.String()+": "+c.Obstacle)
	}
	p.running = append(p.running, begin...)
	return strings.Join(said, "\n")
}
