package actors

import (
	"fmt"

	"github.com/torc-io/torc/handoff"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// What handoff does on a vnode's turn.

// tell publishes the vnode's report.
func (v *vnode) tell() {
	report := v.standing.Report()
	v.proxy.report.Store(&report)
	if !report.Owner {
		v.proxy.foreign.Store(int64(v.length()))
	}
}

// assume makes the vnode what it is to the partition by r. A transfer that gave the
// partition away has all that it is to have, and one that was to return something has
// nobody to return it to.
func (v *vnode) assume(r *ring.Ring) {
	was, owns := v.standing.Whole(), r.Owner(v.partition) == v.node.name
	switch o := v.outgoing; {
	case o == nil:
	case owns && o.transfer.Type == handoff.Hinted:
		v.outgoing = nil
	case !owns && v.standing.Owner() && o.transfer.Type == handoff.Ownership:
		if _, agreed := o.sealed(); agreed {
			v.giving = o
		}
		v.outgoing = nil
	}
	v.standing.Assume(r, v.node.name, v.partition, func() []handoff.Source { return v.proxy.sources(r) }, v.giving != nil)
	if v.service.Stateless && !owns {
		v.standing.Handed(true) // there was nothing
	}
	if owns && !v.standing.Whole() {
		v.node.mover.wake()
	}
	v.tell()
	if v.standing.Whole() && !was && v.state != nil {
		v.node.logger.Debug("took a partition over", "service", v.service.Name, "partition", v.partition, "items", v.state.Len(), "epoch", r.Epoch())
	}
}

// handed notes whether the new owner has said that it serves with all that was
// here. If it has not, it is sent all of it again.
func (v *vnode) handed(whole bool) {
	v.giving = nil
	v.standing.Handed(whole)
	v.tell()
}

// admissionCodes are the answers to commands that are not executed.
var admissionCodes = [...]transportpb.Code{
	handoff.Serve:      transportpb.Code_CODE_OK,
	handoff.NotOwner:   transportpb.Code_CODE_NOT_OWNER,
	handoff.NotFound:   transportpb.Code_CODE_NOT_FOUND,
	handoff.Incomplete: transportpb.Code_CODE_RECOVERING,
}

// wrote notes what a write that was executed has changed, for the owner and for
// a transfer. It returns true if the transfer keeps the reply until the receiver
// has the item.
func (v *vnode) wrote(c *command, r heldReply) (kept bool) {
	key := c.key()
	if !v.standing.Owner() {
		v.standing.Wrote(key)
		v.proxy.foreign.Store(int64(v.length()))
		if v.standing.Own() == 1 {
			v.tell()
			v.node.mover.wake()
		}
	}
	return v.outgoing != nil && v.outgoing.wrote(v, key, r)
}

// item returns what is to be sent for a key: its item, or that there is none. A
// panic of the vnode is its way to say that it cannot encode the item.
func (v *vnode) item(key []byte) (item handoff.Item, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("item %.64q: %v", key, r)
		}
	}()
	item, found := v.state.Item(key)
	if !found {
		return handoff.Item{Key: key, Deleted: true}, nil
	}
	return item, nil
}

// merge brings items from another node in. It stops at the first that the vnode
// does not take.
func (v *vnode) merge(items []handoff.Item, from ring.NodeName) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("merge panicked: %v", r)
		}
	}()
	for _, item := range items {
		if err := v.state.Merge(item); err != nil {
			return err
		}
		if v.outgoing != nil {
			v.outgoing.merged(item.Key, from)
		}
	}
	return nil
}

// returned notes that the owner has all that the vnode owed it.
func (v *vnode) returned() {
	v.standing.Returned()
	v.tell()
	v.node.mover.wake()
}

// drop removes all items.
func (v *vnode) drop() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("drop panicked: %v", r)
		}
	}()
	return v.state.Drop()
}

// retire drops what the vnode holds if nobody needs it, and has it refuse all
// commands from then on, for its end is near.
func (v *vnode) retire() bool {
	if !v.standing.Useless() || v.outgoing != nil {
		return false
	}
	if v.state != nil {
		if err := v.drop(); err != nil {
			v.node.logger.Error("a vnode did not drop its items", "service", v.service.Name, "partition", v.partition, "error", err)
		}
	}
	v.retired = true
	return true
}

// observe tells the vnode of a transfer, if it wants to know.
func (v *vnode) observe(do func(handoff.Observer)) {
	observer, ok := v.state.(handoff.Observer)
	if !ok {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			v.node.logger.Error("a vnode's observer panicked", "service", v.service.Name, "partition", v.partition, "panic", fmt.Sprint(r))
		}
	}()
	do(observer)
}

// length returns how many items the vnode holds.
func (v *vnode) length() int {
	if v.state == nil {
		return 0
	}
	return v.state.Len()
}
