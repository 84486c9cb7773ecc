package actors

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/torc-io/torc/handoff"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

const (
	// askAgain is how often a recovering node asks for what it has not got. The
	// request may get lost, or its source may have restarted.
	askAgain = 2 * time.Second
	// forgetAsked is how long a request holds that is not made again.
	forgetAsked = 4 * askAgain
)

// repairDeskID is the address of the process that takes requests for repair.
const repairDeskID = "repair"

// repairDesk takes the requests of recovering nodes to the mover.
type repairDesk struct{ node *Node }

var _ actor.Process = (*repairDesk)(nil)

// SendUserMessage takes a request.
func (d *repairDesk) SendUserMessage(_ *actor.PID, message any) {
	_, inner, _ := actor.UnwrapEnvelope(message)
	if request, ok := inner.(*transportpb.RepairRequest); ok && d.node.view.Load() != nil {
		d.node.mover.repair(request)
	}
}

// SendSystemMessage ignores everything: nobody watches it.
func (d *repairDesk) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: it lives as long as its node.
func (d *repairDesk) Stop(*actor.PID) {}

// repair enters what a recovering node asks for. One that the ring does not bear
// out is left: the node asks again, when this one has caught up.
func (m *mover) repair(request *transportpb.RepairRequest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.enter(request)
}

// enter is repair for a caller that holds mu.
func (m *mover) enter(request *transportpb.RepairRequest) {
	r := m.node.Ring()
	for _, source := range request.GetSources() {
		t := handoff.Transfer{
			Type: handoff.Repair, Partition: ring.Partition(request.GetPartition()), Source: ring.Partition(source),
			From: m.node.name, To: ring.NodeName(request.GetNode()),
		}
		if wanted(r, t) && r.Owner(t.Source) == m.node.name {
			m.asked[t] = time.Now()
		}
	}
	m.wake()
}

// lacks returns the transfers that would make the vnodes here whole.
func (m *mover) lacks() map[handoff.Transfer]bool {
	lacks := map[handoff.Transfer]bool{}
	for _, proxies := range m.node.proxies {
		for p, proxy := range proxies {
			report := proxy.report.Load()
			if report == nil {
				continue
			}
			for _, source := range report.needs {
				lacks[handoff.Transfer{
					Type: handoff.Repair, Partition: ring.Partition(p), Source: source.Partition,
					From: source.Node, To: m.node.name,
				}] = true
			}
		}
	}
	return lacks
}

// askForRepairs asks the nodes that can be reached for what is lacking here.
func (m *mover) askForRepairs(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lacks := m.lacks()
	over := func(t handoff.Transfer, _ time.Time) bool { return !lacks[t] }
	maps.DeleteFunc(m.told, over)
	maps.DeleteFunc(m.missed, over)
	for t := range lacks {
		if m.missed[t].IsZero() {
			m.missed[t] = now
		}
	}
	requests := map[handoff.Source]*transportpb.RepairRequest{} // by the partition here, and the node that is asked
	for t := range lacks {
		if m.arriving[t] != nil || now.Sub(m.told[t]) < askAgain || !m.node.Reachable(t.From) {
			continue
		}
		m.told[t] = now
		key := handoff.Source{Partition: t.Partition, Node: t.From}
		if requests[key] == nil {
			requests[key] = &transportpb.RepairRequest{Node: string(m.node.name), Partition: uint32(t.Partition)}
		}
		requests[key].Sources = append(requests[key].Sources, uint32(t.Source))
	}
	for key, request := range requests {
		slices.Sort(request.GetSources())
		m.askForRepair(key.Node, request)
	}
}

// askForRepair sends one request: also to this node itself, which may hold a
// neighbour of what it lacks.
// The caller holds mu.
func (m *mover) askForRepair(of ring.NodeName, request *transportpb.RepairRequest) {
	if of == m.node.name {
		m.enter(request)
		return
	}
	p, known := m.node.peer(string(of))
	if !known {
		return
	}
	if err := m.node.transport.Send(actor.NewPID(p.address, repairDeskID), nil, request); err != nil {
		m.node.logger.Debug("cannot ask for a repair", "peer", of, "error", err)
	}
}

// lacking describes what is lacking here, for those who look. The caller holds mu.
func (m *mover) lacking(now time.Time) map[handoff.Transfer]TransferStatus {
	all := map[handoff.Transfer]TransferStatus{}
	for t := range m.lacks() {
		s := TransferStatus{Transfer: t, Reason: fmt.Sprintf("asked %s for it", t.From), Since: now}
		if since, known := m.missed[t]; known {
			s.Since = since
		}
		if !m.node.Reachable(t.From) {
			s.Reason = unreachable(t.From)
		}
		all[t] = s
	}
	return all
}
