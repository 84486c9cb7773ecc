package actors

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/torc-io/torc/handoff"
	"github.com/torc-io/torc/ring"
)

// moverTick is how often the mover looks without a reason: what it is told may get
// lost, and what it waits for may end unseen.
const moverTick = time.Second

// mover carries out what handoff.Agenda decides: it begins transfers, asks other
// nodes for what is lacking here, and ends the vnodes that have nothing more to do.
type mover struct {
	node *Node
	kick chan struct{} // holds one token while there may be something new
	runs sync.WaitGroup
	pace pace

	mu       sync.Mutex
	agenda   *handoff.Agenda
	running  map[handoff.Transfer]*transfer
	arriving map[handoff.Transfer]*intake
}

func newMover(n *Node) *mover {
	m := &mover{
		node: n, kick: make(chan struct{}, 1), agenda: handoff.NewAgenda(n.name),
		running: map[handoff.Transfer]*transfer{}, arriving: map[handoff.Transfer]*intake{},
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
	m.callOff()
	for _, t := range m.schedule() {
		m.begin(ctx, t)
	}
	m.askForRepairs()
	m.tidy(ctx)
}

// outlook returns what the node knows now. Who asks the agenda does so with mu held:
// a transfer that is not running any more has ended by this ring.
func (n *Node) outlook() handoff.Outlook {
	o := handoff.Outlook{Now: time.Now(), Ring: n.Ring(), Reachable: n.Reachable}
	for p := range ring.Partition(o.Ring.Size()) {
		for _, proxies := range n.proxies {
			if report := proxies[p].report.Load(); report != nil {
				o.Vnodes = append(o.Vnodes, handoff.Local{Report: *report, Partition: p, Behind: proxies[p].behind.Load()})
			}
		}
	}
	return o
}

// callOff ends the transfers that the ring does not ask for any more.
func (m *mover) callOff() {
	r := m.node.Ring()
	m.mu.Lock()
	defer m.mu.Unlock()
	for t, run := range m.running {
		if t.CalledOff(r) {
			run.cancel(errCalledOff)
		}
	}
}

// schedule returns what begins now.
func (m *mover) schedule() []handoff.Transfer {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.node.outlook()
	running := make([]handoff.Running, 0, len(m.running))
	for t, run := range m.running {
		running = append(running, handoff.Running{Transfer: t, Stalled: run.stalled(o.Now)})
	}
	return m.agenda.Begin(o, running, m.node.TransferLimits().Out)
}

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
		m.agenda.Finished(t)
		log.Info("transfer done")
	case errors.As(err, &refusal):
		again := m.agenda.Refused(time.Now(), t, refusal)
		switch {
		case refusal.Reason == handoff.Broken:
			log.Error("transfer failed", "error", err)
		case !again:
			log.Info("transfer waits", "reason", refusal.Text)
		}
	default:
		m.agenda.Ended(time.Now(), t, err.Error())
		log.Info("transfer ended early", "error", err)
	}
	m.mu.Unlock()
	if p, known := m.node.peer(string(t.To)); known && t.Type == handoff.Hinted {
		m.node.heartbeat.ask(p) // it tells what is still held here
	}
	m.wake()
	time.AfterFunc(handoff.RefusedPause, m.wake)
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
			if report := p.report.Load(); report == nil || !report.Ends(epoch) || !m.node.Reachable(r.Owner(p.partition)) {
				continue
			}
			if h := p.current(); h != nil {
				p.discard(ctx, h)
			}
		}
	}
}

// Transfers returns all that this node knows of: what it sends and receives, and
// what the ring wants from others.
func (n *Node) Transfers() []TransferStatus {
	all := map[handoff.Transfer]TransferStatus{}
	for _, t := range n.Ring().Transfers() {
		all[handoff.OwnershipOf(t)] = TransferStatus{Transfer: handoff.OwnershipOf(t)}
	}
	n.mover.status(all)
	sorted := slices.Collect(maps.Values(all))
	slices.SortFunc(sorted, func(a, b TransferStatus) int { return a.Transfer.Compare(b.Transfer) })
	return sorted
}

// status puts in what the mover knows; what this node sends, it knows best.
func (m *mover) status(all map[handoff.Transfer]TransferStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.node.outlook()
	for _, w := range m.agenda.Lacking(o) {
		all[w.Transfer] = TransferStatus{Transfer: w.Transfer, Reason: w.Reason, Since: w.Since}
	}
	for t, a := range m.arriving {
		all[t] = a.status(o.Now)
	}
	for _, w := range m.agenda.Waiting() {
		all[w.Transfer] = TransferStatus{Transfer: w.Transfer, Reason: w.Reason, Since: w.Since}
	}
	for t, run := range m.running {
		s := run.status(o.Now)
		if w, asksAgain := m.agenda.Refusal(t); asksAgain && s.Phase == handoff.Waiting && o.Now.Sub(run.began) < welcomeWithin {
			s.Reason, s.Since = w.Reason, w.Since
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
			case !report.Owner:
				h.foreign++
				h.items += p.foreign.Load()
			case len(report.Needs) > 0:
				h.recovering++
			}
		}
	}
	return h
}
