package actors

import (
	"context"
	"fmt"

	"github.com/torc-io/torc/handoff"
)

// Where an outgoing part of a transfer gets its items from: the snapshot, which it
// reads on its own goroutine, and the vnode's turn.

// read takes the next part of the snapshot.
func (o *outgoing) read() error {
	items := o.takeBuffer()
	count, more := 0, true
	for more && len(items) < handoff.ChunkBytes {
		item, err, ok := o.next()
		switch {
		case !ok:
			more = false
		case err != nil:
			return o.fail(err)
		case o.wants(item.Key):
			if items, err = handoff.AppendItem(items, item); err != nil {
				return o.fail(err)
			}
			count++
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.machine.Copied(items, count, more)
	return nil
}

// wants says whether the receiver is to have a key: in a repair, one whose
// preference list it is in.
func (o *outgoing) wants(key []byte) bool {
	if o.transfer.Type != handoff.Repair {
		return true
	}
	r := o.node.Ring()
	return handoff.Holds(o.transfer.Partition, r.Partition(key), o.proxy.service.Quorum.N, r.Size())
}

// collect takes the items of keys that were written, on the vnode's turn.
func (o *outgoing) collect(ctx context.Context) error {
	h := o.proxy.current()
	if h == nil {
		return fmt.Errorf("%w: the vnode has ended", errAnew)
	}
	var failed error
	err := h.visit(ctx, func(v *vnode) { failed = o.gather(v) })
	if failed != nil {
		return o.fail(failed)
	}
	return err
}

func (o *outgoing) gather(v *vnode) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var items []byte
	count := 0
	for len(items) < handoff.ChunkBytes {
		key, ok := o.machine.Take()
		if !ok {
			break
		}
		item, err := v.item(key)
		if err == nil && o.sends(item) {
			items, err = handoff.AppendItem(items, item)
			count++
		}
		if err != nil {
			return err
		}
	}
	o.machine.Collected(items, count)
	if o.machine.Phase() == handoff.Done {
		v.returned()
	}
	return nil
}

// sends says whether an item of a written key goes over. That a stand-in has
// nothing under a key says nothing about the owner's: a command may have been
// executed there in vain.
func (o *outgoing) sends(item handoff.Item) bool {
	return !item.Deleted || o.transfer.Type == handoff.Ownership
}
