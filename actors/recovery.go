package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/torc-io/torc/handoff"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
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

// repair enters what a recovering node asks for.
func (m *mover) repair(request *transportpb.RepairRequest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.node.outlook()
	for _, source := range request.GetSources() {
		m.agenda.Asked(o, handoff.Transfer{
			Type: handoff.Repair, Partition: ring.Partition(request.GetPartition()), Source: ring.Partition(source),
			From: m.node.name, To: ring.NodeName(request.GetNode()),
		})
	}
	m.wake()
}

// askForRepairs asks the nodes that can be reached for what is lacking here, in one
// request a vnode.
func (m *mover) askForRepairs() {
	m.mu.Lock()
	ask := m.agenda.Ask(m.node.outlook(), func(t handoff.Transfer) bool { return m.arriving[t] != nil })
	m.mu.Unlock()
	requests := map[handoff.Source]*transportpb.RepairRequest{} // by the partition here, and the node that is asked
	for _, t := range ask {
		key := handoff.Source{Partition: t.Partition, Node: t.From}
		if requests[key] == nil {
			requests[key] = &transportpb.RepairRequest{Node: string(m.node.name), Partition: uint32(t.Partition)}
		}
		requests[key].Sources = append(requests[key].Sources, uint32(t.Source))
	}
	for key, request := range requests {
		m.askForRepair(key.Node, request)
	}
}

// askForRepair sends one request, also to this node itself.
func (m *mover) askForRepair(of ring.NodeName, request *transportpb.RepairRequest) {
	if of == m.node.name {
		m.repair(request)
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
