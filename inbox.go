package torc

import (
	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/actors"
)

// Address names an [Inbox]: a string, to be a field of a message or of what a
// vnode keeps.
type Address = actors.Address

// Inbox is where messages of type M arrive for somebody on this node, such as the
// client behind a connection. A vnode on any node sends to it with [Host].Push:
// at most once, in order, and without waiting for it. What must not get lost,
// the vnode keeps as well, under a number by which the reader notices a gap and
// fetches what it missed.
//
// An inbox that holds as many messages as it may when another one comes is
// closed: the reader is too slow, and the vnode does not wait. Those who watch
// it ([Host].Watch) are told that it is gone, as they are when its node is.
type Inbox[M proto.Message] struct{ inbox *actors.Inbox }

// OpenInbox opens an inbox on a node, which holds up to capacity messages that
// nobody has read yet.
func OpenInbox[M proto.Message](n *Node, capacity int) *Inbox[M] {
	return &Inbox[M]{n.node.OpenInbox(capacity, func() proto.Message { return emptyOf[M]() })}
}

// Address returns the inbox's address.
func (i *Inbox[M]) Address() Address { return i.inbox.Address() }

// All yields the messages as they arrive, until the inbox is closed.
func (i *Inbox[M]) All(yield func(M) bool) {
	for m := range i.inbox.Messages() {
		if !yield(m.(M)) {
			return
		}
	}
}

// Overflowed says whether the inbox was closed since nobody read what it held.
func (i *Inbox[M]) Overflowed() bool { return i.inbox.Overflowed() }

// Close ends the inbox. What it holds can still be read.
func (i *Inbox[M]) Close() { i.inbox.Close() }

// Push sends a message to an inbox from outside of a vnode, as [Host].Push does.
func (n *Node) Push(to Address, m proto.Message) error { return n.node.Push(to, m) }

// Watch calls gone when an inbox is not there any more, as [Host].Watch does.
func (n *Node) Watch(a Address, gone func()) (stop func()) { return n.node.Watch(a, gone) }
