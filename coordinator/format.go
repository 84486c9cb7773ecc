package coordinator

import (
	"fmt"
	"strings"
)

// String draws the request on a line, for logs and tests: its kind, what it has
// of what it needs, and what each position has come to:
//
//	write 1/2 waiting: 4@b acked, 5@c unknown, 6@d* refused
//
// A star marks a fallback; unknown is a node that has not answered yet.
func (r *Request) String() string {
	if r.phase == zero {
		return "request before Init"
	}
	q := r.cfg.Quorum
	t := r.tally()
	var b strings.Builder
	fmt.Fprintf(&b, "%v %d/%d %v", r.cfg.Kind, t.got[Answers], q.Need, r.phase)
	for i := range q.N {
		b.WriteString([...]string{": ", ", "}[min(i, 1)])
		b.WriteString(r.drawing(i))
	}
	return b.String()
}

func (r *Request) drawing(i int) string {
	node, fallback, outcome := r.words[i].node, r.words[i].fallback, r.words[i].outcome
	if s := &r.seats[i]; s.state == open {
		node, fallback, outcome = s.node, s.fallback, Unknown
	}
	if node == "" {
		return fmt.Sprintf("%d not asked", r.partition(i))
	}
	star := ""
	if fallback {
		star = "*"
	}
	return fmt.Sprintf("%d@%s%s %v", r.partition(i), node, star, outcome)
}

func (p phase) String() string {
	return [...]string{"zero", "prepared", "waiting", "answered", "closed"}[p]
}
