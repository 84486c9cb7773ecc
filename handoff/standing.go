package handoff

import (
	"fmt"
	"slices"

	"github.com/torc-io/torc/ring"
)

// Admission is what a vnode does with a command.
type Admission uint8

// The admissions.
const (
	Serve      Admission = iota // execute it
	NotOwner                    // somebody else serves the partition
	NotFound                    // a fallback that was not written this key has nothing to say of it
	Incomplete                  // a read that cannot be answered yet
)

// Standing is what a vnode is to its partition, and so what it may answer. The
// zero value is a vnode whose node does not own the partition, with nothing in
// it. All methods run on the vnode's turn.
//
//	             Inherit                    Heard (the last)
//	stand-in ──────────────▶ recovering owner ──────────▶ whole owner
//	   ▲  └───────── Inherit, with a sealed transfer ─────────▶ │ │
//	   │                                                        │ │
//	   └────────────────── Yield ◀──────────────────────────────┘─┘
//
// A stand-in keeps what commands write to it for the owner (riak_core calls it a
// fallback vnode and its items hints). It is also what receives a partition before
// the ring says so.
type Standing struct {
	owner bool
	heard map[Source]bool // what a recovering owner has got
	needs []Source        // and what it lacks
	giver *Receiver       // of the transfer whose end may have made this the owner; or nil

	// Of a vnode whose node does not own the partition:
	yielded ring.Epoch // since when; 0 if it never did
	own     keySet     // keys that commands wrote
	surplus bool       // everything else that it holds has to reach the owner, too
	giving  bool       // the owner has that, and has yet to say that it serves with it

	receivers []*Receiver // transfers to this vnode, that go on or may be resumed
}

// Owner says whether the node owns the partition.
func (s *Standing) Owner() bool { return s.owner }

// Whole says whether the vnode is that of the owner and has all its items.
func (s *Standing) Whole() bool { return s.owner && len(s.needs) == 0 }

// Needs returns from whom a recovering owner has still to hear.
func (s *Standing) Needs() []Source { return slices.Clone(s.needs) }

// Own returns how many keys were written here for another owner.
func (s *Standing) Own() int { return s.own.len() }

// OwnKeys returns them in the order in which they came.
func (s *Standing) OwnKeys() [][]byte { return s.own.all() }

// Surplus says whether all else here has to be sent to the owner, too.
func (s *Standing) Surplus() bool { return s.surplus && !s.giving }

// Owes says whether the vnode holds something that has to be sent to the owner.
func (s *Standing) Owes() bool { return !s.owner && (s.own.len() > 0 || s.Surplus()) }

// Useless says whether nobody needs what the vnode holds.
func (s *Standing) Useless() bool {
	return !s.owner && s.own.len() == 0 && !s.surplus && len(s.receivers) == 0
}

// Admit decides what becomes of a command. Fallback says that its coordinator
// takes this node for a stand-in.
func (s *Standing) Admit(read bool, key []byte, fallback bool) Admission {
	switch {
	case s.owner && (!read || len(s.needs) == 0):
		return Serve
	case s.owner:
		return Incomplete
	case !fallback:
		return NotOwner
	case read && !s.Surplus() && !s.own.contains(key):
		return NotFound
	}
	return Serve
}

// Wrote notes the key of a write that was executed.
func (s *Standing) Wrote(key []byte) {
	if !s.owner {
		s.own.add(key)
	}
}

// Inherit makes the vnode that of the owner. It is whole if it was handed all by
// the owner before, and otherwise recovers from the sources. An owner that
// inherits again, on a newer ring, has other sources now, and needs not those
// again that it has heard.
func (s *Standing) Inherit(sources []Source) {
	switch giver := s.agreed(); {
	case !s.owner && giver != nil && giver.Sealed():
		*s = Standing{owner: true, giver: giver}
	case !s.owner:
		*s = Standing{owner: true, giver: giver, needs: slices.Clone(sources), heard: map[Source]bool{}}
	case len(s.needs) > 0:
		s.needs = slices.DeleteFunc(slices.Clone(sources), func(source Source) bool { return s.heard[source] })
	}
}

// agreed returns the transfer that had brought all that the owner held when it
// was sealed, or nil.
func (s *Standing) agreed() *Receiver {
	for _, r := range s.receivers {
		if r.hello.Type == Ownership && r.agreed {
			return r
		}
	}
	return nil
}

// Confirm takes the former owner's word that the ring was changed on the agreement
// of a transfer, and nothing was written since. A vnode that took part in it has
// all, even if it had lost the connection and began to recover. It returns whether
// the vnode is whole: not if it was restarted, and knows nothing of the transfer.
func (s *Standing) Confirm(id uint64) (whole bool) {
	if s.owner && s.giver != nil && s.giver.hello.ID == id {
		s.needs, s.heard = nil, nil
	}
	return s.Whole()
}

// Found makes the vnode that of the owner of a partition which nobody has ever
// written to.
func (s *Standing) Found() { s.owner, s.needs = true, nil }

// Heard notes that a source has sent all that it has. It returns true if the
// vnode is whole by that.
func (s *Standing) Heard(source Source) bool {
	if !s.owner || len(s.needs) == 0 {
		return false
	}
	s.heard[source] = true
	s.needs = slices.DeleteFunc(s.needs, func(needed Source) bool { return needed == source })
	return len(s.needs) == 0
}

// Yield makes the vnode that of a node which does not own the partition. What it
// holds has to reach the owner. Given says that the owner has it, by a transfer on
// which the ring was changed, and only Handed is to come: sent again, it could
// replace what the owner was written since. What others were sending the vnode,
// they send to the owner. Epoch is that of the ring that says so.
func (s *Standing) Yield(epoch ring.Epoch, given bool) {
	if s.owner {
		*s = Standing{yielded: epoch, surplus: true, giving: given}
	}
}

// Assume makes the vnode what it is to partition p of the node me by a ring. Sources
// are those of [Standing.Inherit], and given is for [Standing.Yield].
func (s *Standing) Assume(r *ring.Ring, me ring.NodeName, p ring.Partition, sources func() []Source, given bool) {
	if r.Owner(p) == me {
		s.Inherit(sources())
		return
	}
	s.Yield(r.Epoch(), given)
	move, pending := r.Transfer(p)
	if !pending || move.To != me {
		move.From = ""
	}
	s.Expect(move.From)
}

// Handed notes whether the owner has said that it serves with all that the vnode
// held when it yielded. If it does not, it has to be sent all that again.
func (s *Standing) Handed(whole bool) {
	s.giving = false
	s.surplus = s.surplus && !whole
}

// Returned notes that the owner has all that the vnode owed it, and holds.
func (s *Standing) Returned() {
	s.surplus = s.surplus && s.giving
	s.own.clear()
}

// Give begins a transfer from this vnode, with all that it has, or with what it owes
// alone. Wait for what is refused: the vnode has to recover first, or owes nothing yet.
func (s *Standing) Give(t Transfer) (*Sender, *Refusal) {
	switch {
	case t.Type == Ownership && !s.Whole():
		return nil, &Refusal{NotNow, fmt.Sprintf("%s is recovering", t.From)}
	case t.Type == Hinted && !s.Owes():
		return nil, &Refusal{NotNow, "there is nothing to return"}
	}
	sender := NewSender(t, t.Type != Hinted || s.Surplus())
	for _, key := range s.own.all() {
		sender.Wrote(key)
	}
	return sender, nil
}

// Welcome decides on a transfer that the ring wants. Held is how many items the
// vnode holds. If drop is true, what it holds is of no use and has to be dropped
// first, on the same turn. A transfer that is welcome has a [Receiver];
// it is the one of before, if its sender goes on with it.
func (s *Standing) Welcome(h Hello, held int) (r *Receiver, drop bool, refusal *Refusal) {
	if r = s.Receiver(h.ID); r != nil {
		r.attach()
		return r, false, nil
	}
	if s.giver != nil && s.giver.hello.ID == h.ID {
		s.giver.attach() // to hear the word of Confirm
		return s.giver, false, nil
	}
	if refusal := s.refuses(h, held); refusal != nil {
		return nil, false, refusal
	}
	// A sender that begins anew has given its former transfer up.
	s.forget(func(old Hello) bool {
		return old.Transfer == h.Transfer || old.Type == Ownership && h.Type == Ownership
	})
	r = &Receiver{hello: h, next: 1}
	r.attach()
	s.receivers = append(s.receivers, r)
	return r, h.Type == Ownership && held > 0, nil
}

// refuses returns why a transfer that the ring wants is not welcome here. The
// ring may have changed since it was asked: what has become the owner's must not
// be cleared for a transfer, nor given to a vnode that is the owner's no longer.
func (s *Standing) refuses(h Hello, held int) *Refusal {
	refuse := func(reason Reason, format string, args ...any) *Refusal {
		return &Refusal{reason, fmt.Sprintf(format, args...)}
	}
	switch {
	case h.Type == Repair && !slices.Contains(s.needs, Source{h.Source, h.From}):
		return refuse(Wrong, "%s does not lack what %s has of partition %d", h.To, h.From, h.Source)
	case h.Type == Ownership && s.owner:
		return refuse(Wrong, "%s owns partition %d already", h.To, h.Partition)
	case h.Type == Hinted && !s.owner:
		return refuse(NotNow, "%s owns partition %d no longer", h.To, h.Partition)
	case h.Type == Ownership && s.Owes() && held > 0:
		return refuse(NotNow, "%s still holds %d items for the owner of partition %d, and returns them first", h.To, held, h.Partition)
	}
	return nil
}

// Receiver returns the machine of a transfer that was welcome, or nil.
func (s *Standing) Receiver(id uint64) *Receiver {
	for _, r := range s.receivers {
		if r.hello.ID == id {
			return r
		}
	}
	return nil
}

// Detach notes that a connection of a transfer has ended. The transfer may be
// resumed.
func (s *Standing) Detach(id uint64, connection int) {
	if r := s.Receiver(id); r != nil && r.connections == connection {
		r.attached = false
	}
}

// Forget ends a transfer for good.
func (s *Standing) Forget(id uint64) {
	s.forget(func(h Hello) bool { return h.ID == id })
}

func (s *Standing) forget(which func(Hello) bool) {
	s.receivers = slices.DeleteFunc(s.receivers, func(r *Receiver) bool { return which(r.hello) })
}

// Expect says which node the ring moves the partition here from, "" if none: a
// transfer from any other is given up, and what it brought is of no use.
func (s *Standing) Expect(from ring.NodeName) {
	s.forget(func(h Hello) bool { return h.Type == Ownership && h.From != from })
}
