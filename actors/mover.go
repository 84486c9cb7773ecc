package actors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

const (
	// moverTick is how often the mover looks without a reason: what it is told
	// may get lost, and what it waits for may end unseen.
	moverTick = time.Second
	// refusedPause is how long a transfer that was refused waits: its receiver is
	// at its limit, or has something else to do first. It is about what a small
	// transfer takes.
	refusedPause = 50 * time.Millisecond
	// brokenPause is how long one waits that failed for a reason that does not go
	// away by itself, such as an item that cannot be decoded.
	brokenPause = 10 * time.Second
)

// mover decides, by handoff.Schedule, which transfers this node begins, and when
// the vnodes that have nothing more to do here end. It looks at the ring, at what
// the vnodes report, and at what recovering nodes have asked for.
type mover struct {
	node *Node
	kick chan struct{} // holds one token while there may be something new
	runs sync.WaitGroup
	pace pace

	mu       sync.Mutex
	running  map[handoff.Transfer]*transfer
	asked    map[handoff.Transfer]time.Time // repairs that others want of this node, and when they last said so
	refused  map[handoff.Transfer]refused   // until when a transfer waits, and why
	waiting  map[handoff.Transfer]TransferStatus
	arriving map[handoff.Transfer]*intake
	told     map[handoff.Transfer]time.Time // repairs that this node wants of others, and when it last said so
	missed   map[handoff.Transfer]time.Time // the same, and since when it wants them
}

// refused is a transfer that has to wait for something which nobody will tell of.
// It is tried again and again, and has waited since it was first refused so.
type refused struct {
	until  time.Time
	reason string
	since  time.Time
}

func newMover(n *Node) *mover {
	m := &mover{
		node: n, kick: make(chan struct{}, 1),
		running: map[handoff.Transfer]*transfer{}, asked: map[handoff.Transfer]time.Time{},
		refused: map[handoff.Transfer]refused{}, waiting: map[handoff.Transfer]TransferStatus{},
		arriving: map[handoff.Transfer]*intake{}, told: map[handoff.Transfer]time.Time{}, missed: map[handoff.Transfer]time.Time{},
	}
	m.pace.executed = n.executed
	m.pace.set(n.config.Transfers.Rate)
	return m
}

// wake makes the mover look again. It never blocks.
func (m *mover) wake() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// run does what there is to do until ctx ends, and then waits for what it began.
func (m *mover) run(ctx context.Context) {
	defer m.runs.Wait()
	tick := time.NewTicker(moverTick)
	defer tick.Stop()
	for {
		m.pass(ctx)
		select {
		case <-ctx.Done():
			return
		case <-m.kick:
		case <-tick.C:
		}
	}
}

// pass looks at everything once.
func (m *mover) pass(ctx context.Context) {
	now := time.Now()
	m.callOff()
	begin := m.schedule(now)
	for _, t := range begin {
		m.begin(ctx, t)
	}
	m.askForRepairs(now)
	m.tidy(ctx)
}

// callOff ends the transfers that the ring does not ask for any more.
func (m *mover) callOff() {
	r := m.node.Ring()
	m.mu.Lock()
	defer m.mu.Unlock()
	for t, run := range m.running {
		if !wanted(r, t) && r.Owner(t.Partition) != t.To {
			run.cancel(errCalledOff)
		}
	}
}

// wanted says whether the ring agrees with a transfer.
func wanted(r *ring.Ring, t handoff.Transfer) bool {
	if t.Type == handoff.Ownership {
		move, pending := r.Transfer(t.Partition)
		return pending && move.From == t.From && move.To == t.To
	}
	return r.Owner(t.Partition) == t.To
}

// schedule returns what begins now, and keeps why the rest waits.
func (m *mover) schedule(now time.Time) []handoff.Transfer {
	m.mu.Lock()
	defer m.mu.Unlock()
	var running []handoff.Transfer
	for t, run := range m.running {
		if !run.stalled(now) {
			running = append(running, t)
		}
	}
	want := m.candidates(now)
	want = slices.DeleteFunc(want, func(c handoff.Candidate) bool { return m.running[c.Transfer] != nil })
	begin, wait := handoff.Schedule(m.node.name, want, running, m.node.TransferLimits().Out)
	waiting := map[handoff.Transfer]TransferStatus{}
	for _, c := range wait {
		s := TransferStatus{Transfer: c.Transfer, Reason: c.Obstacle, Since: now}
		if before, known := m.waiting[c.Transfer]; known && before.Reason == s.Reason {
			s.Since = before.Since
		}
		if pause := m.refused[c.Transfer]; pause.reason == s.Reason {
			s.Since = pause.since
		}
		waiting[c.Transfer] = s
	}
	m.waiting = waiting
	return begin
}

// candidates returns all transfers that this node should send, with what keeps
// them. The caller holds mu.
func (m *mover) candidates(now time.Time) []handoff.Candidate {
	r := m.node.Ring()
	var all []handoff.Candidate
	for _, t := range r.Transfers() {
		if t.From == m.node.name {
			all = append(all, m.candidate(now, ownershipOf(t)))
		}
	}
	for p := range r.Size() {
		if t, owes := m.debt(r, ring.Partition(p)); owes {
			all = append(all, m.candidate(now, t))
		}
	}
	for t, when := range m.asked {
		if now.Sub(when) > forgetAsked || !wanted(r, t) {
			delete(m.asked, t)
			continue
		}
		all = append(all, m.candidate(now, t))
	}
	maps.DeleteFunc(m.refused, func(t handoff.Transfer, _ refused) bool {
		return !slices.ContainsFunc(all, func(c handoff.Candidate) bool { return c.Transfer == t })
	})
	return all
}

// debt returns the hinted transfer of what this node holds for the owner of p.
func (m *mover) debt(r *ring.Ring, p ring.Partition) (handoff.Transfer, bool) {
	owner := r.Owner(p)
	if owner == m.node.name || owner == "" {
		return handoff.Transfer{}, false
	}
	for _, proxies := range m.node.proxies {
		if report := proxies[p].report.Load(); report != nil && report.owes {
			return handoff.Transfer{Type: handoff.Hinted, Partition: p, Source: p, From: m.node.name, To: owner}, true
		}
	}
	return handoff.Transfer{}, false
}

func (m *mover) candidate(now time.Time, t handoff.Transfer) handoff.Candidate {
	c := handoff.Candidate{Transfer: t}
	switch pause, held := m.refused[t]; {
	case !m.node.Reachable(t.To):
		c.Obstacle = unreachable(t.To)
	case t.Type == handoff.Ownership && m.recovering(t.Partition):
		c.Obstacle = fmt.Sprintf("%s is recovering partition %d", m.node.name, t.Partition)
	case t.Type == handoff.Ownership && m.behind(t.Partition):
		c.Obstacle = fmt.Sprintf("writes to partition %d are still on their way to %s", t.Partition, m.node.name)
	case held && now.Before(pause.until):
		c.Obstacle = pause.reason
	}
	return c
}

// recovering says whether a vnode of the partition here lacks items.
func (m *mover) recovering(p ring.Partition) bool {
	for _, proxies := range m.node.proxies {
		if report := proxies[p].report.Load(); report != nil && len(report.needs) > 0 {
			return true
		}
	}
	return false
}

// behind says whether a fallback holds writes for the partition here.
func (m *mover) behind(p ring.Partition) bool {
	for _, proxies := range m.node.proxies {
		if proxies[p].behind.Load() {
			return true
		}
	}
	return false
}

func unreachable(node ring.NodeName) string { return fmt.Sprintf("%s cannot be reached", node) }

// begin starts a transfer.
func (m *mover) begin(ctx context.Context, t handoff.Transfer) {
	ctx, cancel := context.WithCancelCause(ctx)
	run := newTransfer(m.node, t)
	run.cancel = cancel
	m.mu.Lock()
	m.running[t] = run
	m.mu.Unlock()
	m.node.logger.Debug("transfer begins", "type", t.Type.String(), "partition", t.Partition, "source", t.Source, "to", t.To)
	m.runs.Go(func() {
		defer cancel(nil)
		m.finish(run, run.run(ctx))
	})
}

// finish takes note of how a transfer has ended.
func (m *mover) finish(run *transfer, err error) {
	s := run.status(time.Now())
	t, log := run.Transfer, m.node.logger.With("type", run.Type.String(), "partition", run.Partition, "source", run.Source, "to", run.To,
		"items", s.Items, "bytes", s.Bytes, "took", time.Since(run.began).Round(time.Millisecond))
	m.node.metrics.transfers.WithLabelValues(t.Type.String(), endOfTransfer(err)).Inc()
	m.mu.Lock()
	delete(m.running, t)
	var refusal *handoff.Refusal
	switch {
	case err == nil:
		delete(m.asked, t)
		delete(m.refused, t)
		log.Info("transfer done")
	case errors.As(err, &refusal):
		known := m.refused[t].reason == refusal.Text
		m.refuse(t, refusal)
		switch {
		case refusal.Reason == handoff.Broken:
			log.Error("transfer failed", "error", err)
		case !known:
			log.Info("transfer waits", "reason", refusal.Text)
		}
	default:
		m.hold(t, refusedPause, err.Error())
		log.Info("transfer ended early", "error", err)
	}
	m.mu.Unlock()
	if p, known := m.node.peer(string(t.To)); known && t.Type == handoff.Hinted {
		m.node.heartbeat.ask(p) // it tells what is still held here
	}
	m.wake()
	time.AfterFunc(refusedPause, m.wake)
}

// refuse keeps a transfer from being tried again at once.
func (m *mover) refuse(t handoff.Transfer, r *handoff.Refusal) {
	wait := refusedPause
	if r.Reason == handoff.Broken {
		wait = brokenPause
	}
	if r.Reason == handoff.Wrong && t.Type == handoff.Repair {
		delete(m.asked, t)
	}
	m.hold(t, wait, r.Text)
}

// hold keeps a transfer waiting. The caller holds mu.
func (m *mover) hold(t handoff.Transfer, wait time.Duration, reason string) {
	now := time.Now()
	since := now
	if before, known := m.refused[t]; known && before.reason == reason {
		since = before.since
	}
	m.refused[t] = refused{now.Add(wait), reason, since}
}

// endOfTransfer names a transfer's end, for metrics.
func endOfTransfer(err error) string {
	var refusal *handoff.Refusal
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &refusal) && refusal.Reason == handoff.Broken:
		return "failed"
	case errors.As(err, &refusal):
		return "refused"
	case errors.Is(err, errCalledOff):
		return "called_off"
	}
	return "ended"
}

// counts returns how many transfers run from this node, and to it.
func (m *mover) counts() (out, in int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.running), len(m.arriving)
}

// disconnect has the transfers to a node that fell silent wait for it.
func (m *mover) disconnect(node ring.NodeName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for t, run := range m.running {
		if t.To == node {
			run.disconnect()
		}
	}
}

// tidy ends the vnodes that nobody needs: those whose partition has moved away,
// once every member that can be reached knows that it has, and those that stood in
// for an owner, once it is back.
func (m *mover) tidy(ctx context.Context) {
	epoch, r := m.node.seenByAll(), m.node.Ring()
	for _, name := range slices.Sorted(maps.Keys(m.node.proxies)) {
		for _, p := range m.node.proxies[name] {
			if report := p.report.Load(); report == nil || !report.useless || report.since > epoch || !m.node.Reachable(r.Owner(p.partition)) {
				continue
			}
			if h := p.current(); h != nil {
				p.discard(ctx, h)
			}
		}
	}
}

// ownershipOf returns the transfer that carries out what the ring asks for.
func ownershipOf(t ring.Transfer) handoff.Transfer {
	return handoff.Transfer{Type: handoff.Ownership, Partition: t.Partition, Source: t.Partition, From: t.From, To: t.To}
}

// Transfers returns all that this node knows of: what it sends and receives, and
// what the ring wants from others.
func (n *Node) Transfers() []TransferStatus {
	all := map[handoff.Transfer]TransferStatus{}
	for _, t := range n.Ring().Transfers() {
		all[ownershipOf(t)] = TransferStatus{Transfer: ownershipOf(t)}
	}
	n.mover.status(all)
	sorted := slices.Collect(maps.Values(all))
	slices.SortFunc(sorted, func(a, b TransferStatus) int { return byTransfer(a.Transfer, b.Transfer) })
	return sorted
}

// status puts in what the mover knows; what this node sends, it knows best.
func (m *mover) status(all map[handoff.Transfer]TransferStatus) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(all, m.lacking(now))
	for t, a := range m.arriving {
		all[t] = a.status(now)
	}
	maps.Copy(all, m.waiting)
	for t, run := range m.running {
		s := run.status(now)
		if pause, asksAgain := m.refused[t]; asksAgain && s.Phase == handoff.Waiting && now.Sub(run.began) < welcomeWithin {
			s.Reason, s.Since = pause.reason, pause.since
		}
		all[t] = s
	}
}

// holdings is what a node has that is not as it should be.
type holdings struct {
	foreign    int   // vnodes of partitions that the node does not own
	items      int64 // that those hold
	recovering int   // vnodes that answer no reads yet
}

func (n *Node) holdings() (h holdings) {
	for _, proxies := range n.proxies {
		for _, p := range proxies {
			switch report := p.report.Load(); {
			case report == nil:
			case !report.owner:
				h.foreign++
				h.items += p.foreign.Load()
			case len(report.needs) > 0:
				h.recovering++
			}
		}
	}
	return h
}
