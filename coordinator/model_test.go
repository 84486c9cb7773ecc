package coordinator_test

import (
	"fmt"
	"slices"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/ring"
)

// model watches a request from the outside: it keeps the history of a dialogue,
// derives from it alone what must hold, and complains about the first thing
// that does not. It shares no code with the request.
type model struct {
	cfg     coordinator.Config
	down    map[ring.NodeName]bool
	request coordinator.Request

	asked   [][]vnode                     // by position: the vnodes sent to, in order
	fates   map[vnode]coordinator.Outcome // what the sends came to
	waiting []bool                        // by position: somebody may still settle it
	counted map[int]ring.Target           // by position: who answered
	replies map[int]coordinator.Outcome
	answer  coordinator.Answer
	closed  bool
}

// vnode is one send: at most one of each in a request.
type vnode struct {
	position int
	node     ring.NodeName
}

func newModel(cfg coordinator.Config) *model {
	m := &model{
		cfg: cfg, down: map[ring.NodeName]bool{}, fates: map[vnode]coordinator.Outcome{},
		asked: make([][]vnode, cfg.Quorum.N), waiting: make([]bool, cfg.Quorum.N),
		counted: map[int]ring.Target{}, replies: map[int]coordinator.Outcome{},
	}
	m.cfg.Reachable = func(n ring.NodeName) bool { return !m.down[n] }
	return m
}

// start begins the request. What goes out is the ring's reachable list, or
// nothing at all if even that could not meet the quorum.
func (m *model) start() error {
	if err := m.request.Init(m.cfg); err != nil {
		return err
	}
	list := m.cfg.Ring.ReachableList(m.cfg.Partition, m.cfg.Quorum.N, m.cfg.Reachable)
	var want []coordinator.Send
	for i, t := range list {
		if !m.down[t.Node] {
			want = append(want, coordinator.Send{Position: i, Target: t})
		}
	}
	step := m.request.Start()
	if impossible := !m.enough(want); impossible != (step.Answer == coordinator.Impossible) {
		return fmt.Errorf("start with %v: %+v", want, step)
	} else if impossible {
		want = nil
	}
	if !slices.Equal(step.Sends, want) {
		return fmt.Errorf("start: sends %v, want %v", step.Sends, want)
	}
	return m.took(step)
}

// reply plays a reply, and checks what became of it.
func (m *model) reply(from ring.Target, o coordinator.Outcome) error {
	i := (int(from.Partition) - int(m.cfg.Partition) + m.cfg.Ring.Size()) % m.cfg.Ring.Size()
	inList := int(from.Partition) < m.cfg.Ring.Size() && i < m.cfg.Quorum.N
	position, counted, step := m.request.Reply(from, o)
	if m.closed || !inList || !m.waiting[i] || o == coordinator.Unknown {
		if position != -1 || counted || len(step.Sends) > 0 || step.Answer != coordinator.None || step.Closed {
			return fmt.Errorf("reply %v %v of no consequence: %d %v %+v", from, o, position, counted, step)
		}
		return nil
	}
	return m.consequence(vnode{i, from.Node}, from, o, heard{position, counted, step})
}

// heard is what the request made of a reply.
type heard struct {
	position int
	counted  bool
	step     coordinator.Step
}

// consequence checks a reply for a position that waits.
func (m *model) consequence(v vnode, from ring.Target, o coordinator.Outcome, h heard) error {
	i, history := v.position, m.asked[v.position]
	known := slices.Contains(history, v)
	if m.cfg.Kind == coordinator.Write && o == coordinator.NotFound {
		o = coordinator.Failed
	}
	if known {
		m.fates[v] = o
		from.Fallback = from.Fallback || from.Node != m.cfg.Ring.Owner(from.Partition)
	}
	answers := o == coordinator.Acked || o == coordinator.NotFound && !from.Fallback
	decides := answers || history[len(history)-1] == v || !known && len(history) == 1
	if h.counted != answers || (h.position == i) != decides {
		return fmt.Errorf("reply %v %v: position %d, counted %v", from, o, h.position, h.counted)
	}
	if !decides {
		return m.took(h.step)
	}
	m.waiting[i] = false
	if answers {
		m.counted[i], m.replies[i] = from, o
	} else {
		m.fates[history[len(history)-1]] = o
	}
	return m.moved(i, o, h.step)
}

// moved checks that a failed position goes on only where it should.
func (m *model) moved(i int, o coordinator.Outcome, step coordinator.Step) error {
	goesOn := o == coordinator.Refused || o == coordinator.Lost
	for _, s := range step.Sends {
		if s.Position != i || !goesOn {
			return fmt.Errorf("position %d is %v, and the step sends %v", i, o, s)
		}
	}
	return m.took(step)
}

// nodeDown plays the loss of a node.
func (m *model) nodeDown(node ring.NodeName) error {
	m.down[node] = true
	for i, history := range m.asked {
		if m.waiting[i] && !m.closed && history[len(history)-1].node == node {
			m.waiting[i], m.fates[history[len(history)-1]] = false, coordinator.Lost
		}
	}
	if m.answer == coordinator.None && !m.closed && m.cfg.Kind == coordinator.Write {
		m.forget(node)
	}
	return m.took(m.request.NodeDown(node))
}

// forget takes back what a node has acknowledged: it may have lost its memory.
func (m *model) forget(node ring.NodeName) {
	for i, t := range m.counted {
		if t.Node == node {
			delete(m.counted, i)
			delete(m.replies, i)
			m.fates[vnode{i, node}] = coordinator.Lost
		}
	}
}

// expire plays the deadline: nothing is left to come after it.
func (m *model) expire() error {
	was := m.closed
	step := m.request.Expire()
	if step.Closed == was || len(step.Sends) > 0 {
		return fmt.Errorf("expire, closed before %v: %+v", was, step)
	}
	m.closed = true
	if step.Answer != coordinator.None {
		return m.answered(step.Answer)
	}
	return nil
}

// took brings the history up to date with a step, and checks the step.
func (m *model) took(step coordinator.Step) error {
	if m.closed {
		return m.over(step)
	}
	for _, s := range step.Sends {
		if err := m.sent(s); err != nil {
			return err
		}
	}
	if step.Answer != coordinator.None {
		if err := m.answered(step.Answer); err != nil {
			return err
		}
	}
	if !step.Closed {
		return m.stillOpen()
	}
	m.closed = true
	if m.answer == coordinator.None || m.answer == coordinator.Met && slices.Contains(m.waiting, true) {
		return fmt.Errorf("closed too early: answer %v, waiting for %v", m.answer, m.waiting)
	}
	return nil
}

// over checks that a closed request says no more.
func (m *model) over(step coordinator.Step) error {
	if len(step.Sends) > 0 || step.Answer != coordinator.None || step.Closed {
		return fmt.Errorf("%+v after the end", step)
	}
	return nil
}

// stillOpen checks that a request that goes on has something to go on for.
func (m *model) stillOpen() error {
	if !slices.Contains(m.waiting, true) {
		return fmt.Errorf("open, and waits for nobody")
	}
	if m.answer != coordinator.None {
		return nil
	}
	if m.enough(nil) {
		return fmt.Errorf("has what it needs, and has not answered")
	}
	if last := m.lastAsked(); !m.enough(last) {
		return fmt.Errorf("goes on, though %v cannot be enough", last)
	}
	return nil
}

// lastAsked returns the sends that positions wait for: the best that can come.
func (m *model) lastAsked() (sends []coordinator.Send) {
	for i, history := range m.asked {
		if m.waiting[i] {
			home := ring.Partition((int(m.cfg.Partition) + i) % m.cfg.Ring.Size())
			node := history[len(history)-1].node
			sends = append(sends, coordinator.Send{Position: i, Target: ring.Target{
				Partition: home, Node: node, Fallback: node != m.cfg.Ring.Owner(home),
			}})
		}
	}
	return sends
}

// sent checks one send against all that was sent before.
func (m *model) sent(s coordinator.Send) error {
	v := vnode{s.Position, s.Node}
	home := ring.Partition((int(m.cfg.Partition) + s.Position) % m.cfg.Ring.Size())
	switch history := m.asked[s.Position]; {
	case m.answer == coordinator.Met && m.cfg.Kind == coordinator.Read:
		return fmt.Errorf("%v is sent for a read that is answered", s)
	case m.waiting[s.Position]:
		return fmt.Errorf("%v is sent while the position waits for %v", s, history)
	case slices.Contains(history, v):
		return fmt.Errorf("%v is sent twice", s)
	case len(history) == coordinator.MaxTries:
		return fmt.Errorf("%v is one try too many after %v", s, history)
	case m.down[s.Node]:
		return fmt.Errorf("%v goes to a node that is down", s)
	case s.Partition != home || s.Fallback != (s.Node != m.cfg.Ring.Owner(home)):
		return fmt.Errorf("%v is misnamed: its home is %d of %s", s, home, m.cfg.Ring.Owner(home))
	case len(history) > 0 && m.repeats(s.Node) && m.fresh():
		return fmt.Errorf("%v repeats a node while there is another", s)
	}
	m.asked[s.Position] = append(m.asked[s.Position], v)
	m.waiting[s.Position], m.fates[v] = true, coordinator.Unknown
	return nil
}

// repeats reports whether a node is in the request already.
func (m *model) repeats(node ring.NodeName) bool {
	return slices.ContainsFunc(m.asked, func(history []vnode) bool {
		return slices.ContainsFunc(history, func(v vnode) bool { return v.node == node })
	})
}

// fresh reports whether a reachable node is not in the request yet.
func (m *model) fresh() bool {
	for p := range m.cfg.Ring.Size() {
		if node := m.cfg.Ring.Owner(ring.Partition(p)); !m.down[node] && !m.repeats(node) {
			return true
		}
	}
	return false
}

// answered checks the one answer.
func (m *model) answered(a coordinator.Answer) error {
	if m.answer != coordinator.None {
		return fmt.Errorf("answered %v after %v", a, m.answer)
	}
	m.answer = a
	if met := m.enough(nil); met != (a == coordinator.Met) {
		return fmt.Errorf("answered %v, and the quorum's being met is %v: %v", a, met, m.counted)
	}
	err := m.request.Error(nil)
	if (err == nil) != (a == coordinator.Met) {
		return fmt.Errorf("answered %v with error %w", a, err)
	}
	if err != nil && (err.Outcome == coordinator.Unknown) != m.perhapsExecuted() {
		return fmt.Errorf("%w, and the sends came to %v", err, m.fates)
	}
	return nil
}

// enough reports whether the counted answers, with more to come from the given
// sends, meet the quorum.
func (m *model) enough(more []coordinator.Send) bool {
	primaries, nodes := 0, map[ring.NodeName]bool{}
	targets := make([]ring.Target, 0, ring.MaxN)
	for _, t := range m.counted {
		targets = append(targets, t)
	}
	for _, s := range more {
		targets = append(targets, s.Target)
	}
	for _, t := range targets {
		nodes[t.Node] = true
		if !t.Fallback {
			primaries++
		}
	}
	q := m.cfg.Quorum
	return len(targets) >= q.Need && primaries >= q.Primaries && len(nodes) >= q.Nodes
}

// perhapsExecuted reports whether a write may have left a trace.
func (m *model) perhapsExecuted() bool {
	harmless := []coordinator.Outcome{coordinator.Refused, coordinator.Shed, coordinator.Recovering}
	for _, o := range m.fates {
		if m.cfg.Kind == coordinator.Write && !slices.Contains(harmless, o) {
			return true
		}
	}
	return m.cfg.Kind == coordinator.Write && len(m.counted) > 0
}

// repairs checks that exactly the divergent answers are written back.
func (m *model) repairs(same func(int) bool) error {
	var want []coordinator.Send
	for i := range m.cfg.Quorum.N {
		t, ok := m.counted[i]
		if ok && m.closed && m.answer == coordinator.Met && m.cfg.Kind == coordinator.Read && !same(i) {
			want = append(want, coordinator.Send{Position: i, Target: t})
		}
	}
	if got := m.request.Repairs(same); !slices.Equal(got, want) {
		return fmt.Errorf("repairs %v, want %v", got, want)
	}
	return nil
}
