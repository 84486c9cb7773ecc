package actors

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// vnodeID is the id that each vnode's actor has while it is spawned. It is not in
// the registry afterwards: commands go through the proxy, which has the mailbox,
// and nobody is to find a vnode past it.
const vnodeID = "vnode"

// vnodeSpawner starts the vnodes' actors, one at a time. Proto.Actor asks a Props
// for the actor and for its mailbox separately and without arguments; the spawner
// hands over both halves of the vnode at hand. So all vnodes of a node share one
// Props: one each, and a place in the registry, were a fifth of an empty vnode.
type vnodeSpawner struct {
	node  *Node
	props *actor.Props

	mu   sync.Mutex
	next *vnodeHandle // guarded by mu
}

func newVnodeSpawner(n *Node) *vnodeSpawner {
	s := &vnodeSpawner{node: n}
	s.props = actor.PropsFromProducer(func() actor.Actor { return s.next.vnode },
		actor.WithMailbox(func() actor.Mailbox { return s.next.mailbox }),
		actor.WithDispatcher(n.pool))
	return s
}

func (s *vnodeSpawner) spawn(h *vnodeHandle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = h
	pid, err := s.node.system.Root.SpawnNamed(s.props, vnodeID)
	s.next = nil
	if err != nil {
		// Only a second use of the id can fail, and there is none while mu is held.
		s.node.logger.Error("spawn a vnode", "service", h.vnode.service.Name, "partition", h.vnode.partition, "error", err)
	}
	s.node.system.ProcessRegistry.Remove(pid)
}
