package coordinator

import (
	"fmt"

	"github.com/torc-io/torc/ring"
)

// MaxTries is how many nodes a position asks at most: its primary, a stand-in,
// and a stand-in for that. A request that has seen three nodes fail in one
// position does better to answer than to spend its deadline on a fourth.
const MaxTries = 3

// Config says what a request is. It is kept by the Request and not changed.
type Config struct {
	Ring      *ring.Ring     // the ring the request lives with, to its end
	Partition ring.Partition // the key's own; position 0
	Kind      Kind
	Quorum    Quorum

	// Reachable reports whether it makes sense to send to a node now. It must
	// be cheap and must not call the Request. Nil means that all nodes are.
	Reachable func(ring.NodeName) bool
}

// Send tells the caller to send the command to Target for a position.
// The partition is the home partition also where the target is a fallback.
type Send struct {
	Position int // 0 … N-1
	ring.Target
}

// Answer is what the client is told.
type Answer uint8

// The answers. A request gives one that is not None, once.
const (
	None       Answer = iota
	Met               // the quorum is met: resolve the replies and answer
	Impossible        // the quorum cannot be met any more: answer with Error
	Expired           // the deadline passed first: answer with Error
)

// String returns the answer in one lower-case word.
func (a Answer) String() string {
	return [...]string{"none", "met", "impossible", "expired", "?"}[min(a, Expired+1)]
}

// Step is what an event asks the caller to do.
type Step struct {
	Sends  []Send // commands to send; unchanged until the next Init
	Answer Answer // the answer that this event decided, or None
	Closed bool   // this event closed the request: no more comes from it
}

// phase is where the request is on its way from Init to closed.
type phase uint8

const (
	zero phase = iota
	prepared
	waiting
	satisfied // answered with Met, and open positions left
	closed
)

// word is the last that was heard about a position, for its cause or its answer.
type word struct {
	node     ring.NodeName
	fallback bool
	outcome  Outcome
	told     bool // it came in a Reply, so the caller has the error of it
}

// Request is one request over a preference list. The zero value is of no use
// before Init. Its methods must not run at the same time; see the package
// comment for the rules.
type Request struct {
	cfg    Config
	phase  phase
	answer Answer
	short  Requirement // which the answer fell short of, unless it is Met

	doubtful bool // the answer rests on vnodes that were behind

	// By position; the first Quorum.N count.
	seats [ring.MaxN]seat
	words [ring.MaxN]word

	// The log of all sends, in order, and what became of each. Nothing in it
	// moves before the next Init, so Steps are slices of it. There is room for
	// one more a position: the repairs.
	sent  int
	sends [ring.MaxN * (MaxTries + 1)]Send
	fates [ring.MaxN * MaxTries]Outcome
}

// Init makes r a new request, whatever it was before. It fails, with no other
// effect, if the quorum is not valid on the ring (the error wraps [ErrQuorum])
// or the partition is not on it.
func (r *Request) Init(cfg Config) error {
	r.phase = zero
	if cfg.Ring == nil {
		return fmt.Errorf("coordinator: no ring")
	}
	if err := cfg.Quorum.Validate(cfg.Kind, cfg.Ring.Size()); err != nil {
		return err
	}
	if int(cfg.Partition) >= cfg.Ring.Size() {
		return fmt.Errorf("coordinator: partition %d is outside 0…%d", cfg.Partition, cfg.Ring.Size()-1)
	}
	if cfg.Reachable == nil {
		cfg.Reachable = everyone
	}
	r.cfg, r.phase, r.answer, r.short, r.sent, r.doubtful = cfg, prepared, None, Answers, 0, false
	clear(r.seats[:cfg.Quorum.N])
	clear(r.words[:cfg.Quorum.N])
	return nil
}

func everyone(ring.NodeName) bool { return true }

// Start begins the request: it sends to the reachable preference list, or
// answers Impossible, without a send, if that cannot meet the quorum. Only the
// first Start after Init does something.
func (r *Request) Start() Step {
	if r.phase != prepared {
		return Step{}
	}
	r.phase = waiting
	list := r.cfg.Ring.ReachableList(r.cfg.Partition, r.cfg.Quorum.N, r.cfg.Reachable)
	for i, t := range list {
		usable := t.Fallback || t.Node != "" && r.cfg.Reachable(t.Node)
		if t.Fallback || !usable {
			r.words[i] = word{node: r.cfg.Ring.Owner(t.Partition), outcome: Refused} // unreachable
		}
		if usable {
			r.ask(i, t)
		}
	}
	return r.conclude(0)
}

// Reply takes what a vnode said: from is the partition it said it for, the node,
// and whether it calls itself a fallback. A node that was asked as a fallback
// is one, whatever it says.
//
// The position is the one that the reply decided or moved on, or -1 for a reply
// of no consequence: a duplicate, a late one, one for a partition that is not in
// the list, or one that comes when all is over. If counted, the reply is an
// answer, and the only one for its position: keep its value for the resolve.
// If not, keep its error for Error.
func (r *Request) Reply(from ring.Target, o Outcome) (position int, counted bool, step Step) {
	i := r.position(from.Partition)
	if i < 0 || r.seats[i].state != open || !r.live() || !o.isReply() || from.Node == "" {
		return -1, false, Step{}
	}
	o = o.of(r.cfg.Kind)
	k := r.find(i, from.Node)
	if k >= 0 {
		r.fates[k] = o
		from.Fallback = from.Fallback || r.sends[k].Fallback
	}
	first := r.sent
	if o == Behind && !from.Fallback {
		r.seats[i] = seat{node: from.Node, state: doubted}
		r.words[i] = word{node: from.Node, outcome: o, told: true}
		return i, true, r.conclude(first)
	}
	if o.answers(from.Fallback) {
		r.seats[i] = seat{node: from.Node, fallback: from.Fallback, state: answered}
		r.words[i] = word{node: from.Node, fallback: from.Fallback, outcome: o, told: true}
		return i, true, r.conclude(first)
	}
	if !r.decides(i, k) {
		return -1, false, Step{}
	}
	r.fail(i, word{node: from.Node, fallback: from.Fallback, outcome: o, told: true})
	return i, false, r.conclude(first)
}

// NodeDown tells that a node, or the connection to it, went away: what was sent
// to it and is not answered is Lost. Reachable should already say so too.
//
// What it has acknowledged of a write that is not answered yet is Lost, too: the
// node may have lost its memory, and recovered from replicas that had yet to take
// the write. Counted, it would be one of W copies that is none.
func (r *Request) NodeDown(node ring.NodeName) Step {
	if !r.live() {
		return Step{}
	}
	first := r.sent
	for i := range r.cfg.Quorum.N {
		switch s := &r.seats[i]; {
		case s.node != node:
		case s.state == open:
			r.fail(i, word{node: node, fallback: s.fallback, outcome: Lost})
		case s.state == answered && r.phase == waiting && r.cfg.Kind == Write:
			r.void(i)
		}
	}
	return r.conclude(first)
}

// Expire closes the request, at its deadline or when its caller gives up.
// The answer is Expired, if there was none.
func (r *Request) Expire() Step {
	if r.phase == zero || r.phase == closed {
		return Step{}
	}
	step := Step{Closed: true}
	if r.answer == None {
		r.answer, step.Answer = Expired, Expired
		r.short = r.cfg.Quorum.short(r.tally().got)
	}
	r.phase = closed
	return step
}

// live reports whether events still matter.
func (r *Request) live() bool { return r.phase == waiting || r.phase == satisfied }

// position returns the position of a partition, or -1 if it has none.
func (r *Request) position(p ring.Partition) int {
	if r.phase == zero || int(p) >= r.cfg.Ring.Size() {
		return -1
	}
	i := int(p) - int(r.cfg.Partition)
	if i < 0 {
		i += r.cfg.Ring.Size()
	}
	if i >= r.cfg.Quorum.N {
		return -1
	}
	return i
}

// partition returns the home partition of a position.
func (r *Request) partition(i int) ring.Partition {
	return ring.Partition((int(r.cfg.Partition) + i) % r.cfg.Ring.Size())
}

// ask notes a send, and opens the position on its target.
func (r *Request) ask(i int, t ring.Target) {
	r.sends[r.sent] = Send{Position: i, Target: t}
	r.fates[r.sent] = Unknown
	r.sent++
	r.seats[i] = seat{node: t.Node, fallback: t.Fallback, state: open}
}

// find returns the entry in the log of the send to node for a position, or -1.
// With all primaries reachable, the send for position i is entry i.
func (r *Request) find(i int, node ring.NodeName) int {
	if s := &r.sends[i]; i < r.sent && s.Position == i && s.Node == node {
		return i
	}
	for k := range r.sends[:r.sent] {
		if s := &r.sends[k]; s.Position == i && s.Node == node {
			return k
		}
	}
	return -1
}

// decides reports whether a failure settles its position: k is the log entry of
// its sender, or -1 if it was never asked. It then speaks for the node that was
// asked, and must have forwarded the command, if that is the only one.
func (r *Request) decides(i, k int) bool {
	if k < 0 {
		return r.tries(i) == 1
	}
	return r.sends[k].Node == r.seats[i].node
}

// fail notes a failure at the node asked last, and goes on or gives up.
func (r *Request) fail(i int, w word) {
	r.fates[r.find(i, r.seats[i].node)] = w.outcome
	r.words[i] = w
	r.seats[i].state = failed
	if w.outcome.goesOn() {
		r.goOn(i)
	}
}

// void takes an acknowledgement back, for good: no other node is asked, and none
// is heard, since a duplicate of the same acknowledgement may be on its way.
func (r *Request) void(i int) {
	s := &r.seats[i]
	if k := r.find(i, s.node); k >= 0 {
		r.fates[k] = Lost
	}
	r.words[i] = word{node: s.node, fallback: s.fallback, outcome: Lost}
	s.state = failed
}

// conclude ends every transition that may decide something: it judges the
// quorum, closes a request that has nothing to wait for, and packs the sends
// from the log's entry first on.
func (r *Request) conclude(first int) (step Step) {
	if r.phase == waiting {
		step.Answer = r.judge(first)
	}
	if r.phase == satisfied && !r.waits() {
		r.phase = closed
	}
	step.Closed = r.phase == closed
	if step.Answer != Impossible && first < r.sent {
		step.Sends = r.sends[first:r.sent:r.sent]
	}
	return step
}

// judge decides the answer, if it can be. A request that fails does not send
// what it was about to.
func (r *Request) judge(first int) Answer {
	t := r.tally()
	r.answer = t.judge(r.cfg.Quorum)
	if r.answer == None && !r.waits() { // no more will come, and the doubted would do
		r.settleFor()
		t = r.tally()
		r.answer = t.judge(r.cfg.Quorum)
	}
	switch r.answer {
	case Met:
		r.phase = satisfied
	case Impossible:
		r.short = r.cfg.Quorum.short(t.best)
		r.withdraw(first)
		r.phase = closed
	case None, Expired:
		// Undecided: replies are on their way. The deadline is not counted here.
	}
	return r.answer
}

// settleFor counts the answers that were doubted.
func (r *Request) settleFor() {
	for i := range r.seats[:r.cfg.Quorum.N] {
		if r.seats[i].state == doubted {
			r.seats[i].state, r.doubtful = answered, true
		}
	}
}

// Doubtful reports whether a read was answered, for want of others, by vnodes that
// were behind, and may have missed a write.
func (r *Request) Doubtful() bool { return r.doubtful }

// tally counts the request's seats.
func (r *Request) tally() tally {
	q := &r.cfg.Quorum
	return count(r.seats[:q.N], q.Nodes > 0)
}

// withdraw takes back the sends from the log's entry first on. They stay in the
// log, as never executed, to tell what there would have been to ask.
func (r *Request) withdraw(first int) {
	for k := first; k < r.sent; k++ {
		r.fates[k] = Refused
		r.seats[r.sends[k].Position].state = failed
	}
}

// waits reports whether a position is still open.
func (r *Request) waits() bool {
	for i := range r.seats[:r.cfg.Quorum.N] {
		if r.seats[i].state == open {
			return true
		}
	}
	return false
}
