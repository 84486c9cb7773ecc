package actors

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// defaultMaxPending bounds the unanswered commands to one peer. The transport
// bounds what is queued to it; this bounds what it may owe us, since a peer that
// takes commands and answers none would otherwise hold all of our requests.
const defaultMaxPending = 4096

// sendToPeer hands a message to a vnode on another node, if that node can be
// reached and does not owe too many answers already. The code says why not, or
// CODE_OK. A caller that got CODE_OK takes the command off p.pending once.
func (n *Node) sendToPeer(p *peer, id string, sender *actor.PID, message proto.Message) transportpb.Code {
	if p == nil || !p.alive.Load() {
		return transportpb.Code_CODE_UNREACHABLE
	}
	if p.pending.Add(1) > int64(n.config.MaxPending) {
		p.pending.Add(-1)
		return transportpb.Code_CODE_OVERLOADED
	}
	if err := n.transport.Send(actor.NewPID(p.address, id), sender, message); err != nil {
		p.pending.Add(-1)
		n.logger.Debug("cannot send to a peer", "peer", p.name, "error", err)
		return sendCode(err)
	}
	return transportpb.Code_CODE_OK
}

// post is sendToPeer for a command whose answer does not come back to this node,
// and so is not counted as owed to it.
func (n *Node) post(p *peer, id string, sender *actor.PID, message proto.Message) transportpb.Code {
	code := n.sendToPeer(p, id, sender, message)
	if code == transportpb.Code_CODE_OK {
		p.pending.Add(-1)
	}
	return code
}

// sendCode says what became of a command that the transport did not take.
func sendCode(err error) transportpb.Code {
	switch {
	case errors.Is(err, ErrOverloaded):
		return transportpb.Code_CODE_OVERLOADED
	case errors.Is(err, ErrTooLarge):
		return transportpb.Code_CODE_TOO_LARGE
	case errors.Is(err, ErrInvalid):
		return transportpb.Code_CODE_INVALID
	default:
		return transportpb.Code_CODE_UNREACHABLE
	}
}

// tell sends a command whose answer nobody waits for.
func (n *Node) tell(v *view, t ring.Target, c *command) {
	proxy := n.proxies[c.method.Service.Name][t.Partition]
	if t.Node == n.name {
		proxy.SendUserMessage(nil, envelope(c, nil))
		return
	}
	w, err := c.toWire(time.Now())
	if err != nil {
		return
	}
	w.Fallback = t.Fallback
	n.post(v.peers[t.Node], proxy.id, nil, w)
}

// reply takes a vnode's answer to whoever asked: to the table of this node at
// once, or to that of another.
func (n *Node) reply(to *actor.PID, r *Reply) {
	switch {
	case to == nil:
	case to.Address == n.address:
		n.table.deliver(to.RequestId, r)
	default:
		if err := n.transport.Send(to, nil, r.toWire()); err != nil {
			n.logger.Debug("cannot send a reply", "peer", to.Address, "error", err)
		}
	}
}
