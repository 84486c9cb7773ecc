package ring

import (
	"fmt"
	"slices"
)

// Change is one step of a plan. Make it with [Join], [Announce], [Leave],
// [Replace], [MarkDown], [Update] or [Remove]; the zero Change is refused.
type Change struct {
	verb   verb
	node   NodeName // the member that is changed
	member Member   // its new entry, where the verb has one
}

// verb is what a change does.
type verb uint8

const (
	join verb = iota + 1
	announce
	leave
	replace
	giveUp
	update
	remove
)

// Join makes a member valid, so that it claims its share. The member is new, or
// was announced, or comes back from being down or exiting, or was leaving and
// stays after all.
func Join(m Member) Change { return Change{join, m.Name, m} }

// Announce makes a new or returning member known as joining. It owns nothing,
// and no plan gives it anything, until a Join.
func Announce(m Member) Change { return Change{announce, m.Name, m} }

// Leave makes a member hand off all it owns. Once it owns nothing it is exiting.
func Leave(name NodeName) Change { return Change{verb: leave, node: name} }

// Replace makes old leave and m join in its place: m takes over exactly the
// partitions of old, and nobody else moves, if the ring was balanced before.
func Replace(old NodeName, m Member) Change { return Change{replace, old, m} }

// MarkDown gives a member up for dead. It cannot hand off, so its partitions
// change owner at once, and are rebuilt from their replicas.
func MarkDown(name NodeName) Change { return Change{verb: giveUp, node: name} }

// Update renews a member's address, zone, weight and incarnation. It keeps the
// member's status, whatever m says, and moves nothing.
func Update(m Member) Change { return Change{update, m.Name, m} }

// Remove strikes a member that is joining, exiting or down from the ring. It
// owns nothing, so nothing moves.
func Remove(name NodeName) Change { return Change{verb: remove, node: name} }

// String returns the change as the operator says it, such as "replace a by d".
func (c Change) String() string {
	switch c.verb {
	case join:
		return fmt.Sprintf("join %s", c.node)
	case announce:
		return fmt.Sprintf("announce %s", c.node)
	case leave:
		return fmt.Sprintf("leave %s", c.node)
	case replace:
		return fmt.Sprintf("replace %s by %s", c.node, c.member.Name)
	case giveUp:
		return fmt.Sprintf("down %s", c.node)
	case update:
		return fmt.Sprintf("update %s", c.node)
	case remove:
		return fmt.Sprintf("remove %s", c.node)
	}
	return "no change"
}

// Reclaims reports whether the change alters who claims, so that partitions
// have to be assigned anew. The others move nothing: a restart of a node, which
// is an Update, must not set off transfers.
func (c Change) Reclaims() bool {
	return c.verb == join || c.verb == leave || c.verb == replace || c.verb == giveUp
}

// apply makes the change to a state that is being drafted. Owners are not
// touched here: see Plan.
func (c Change) apply(s *State) error {
	switch c.verb {
	case join:
		return enter(s, c.member, Valid)
	case announce:
		return enter(s, c.member, Joining)
	case leave:
		return become(s, c.node, Leaving)
	case replace:
		return swap(s, c.node, c.member)
	case giveUp:
		return become(s, c.node, Down)
	case update:
		return renew(s, c.member)
	case remove:
		return become(s, c.node, gone)
	}
	return fmt.Errorf("ring: a change was made without a constructor")
}

// enter puts a member in with the given status, in the place of what the ring
// knew of it.
func enter(s *State, m Member, status Status) error {
	if err := m.Name.validate(); err != nil {
		return err
	}
	m.Status = status
	i, known := s.member(m.Name)
	if !known {
		s.Members = slices.Insert(s.Members, i, m)
		return nil
	}
	if err := mayBecome(s, m.Name, status); err != nil {
		return err
	}
	return overwrite(s, i, m)
}

// become changes the status of a member; gone takes it out.
func become(s *State, name NodeName, status Status) error {
	if err := mayBecome(s, name, status); err != nil {
		return err
	}
	i, _ := s.member(name)
	if status == gone {
		s.Members = slices.Delete(s.Members, i, i+1)
		return nil
	}
	s.Members[i].Status = status
	return nil
}

// swap makes old leave and m, who must be another, join.
func swap(s *State, old NodeName, m Member) error {
	if old == m.Name {
		return fmt.Errorf("ring: %s cannot replace itself", old)
	}
	if err := become(s, old, Leaving); err != nil {
		return err
	}
	return enter(s, m, Valid)
}

// renew overwrites a member's entry but for its status.
func renew(s *State, m Member) error {
	i, known := s.member(m.Name)
	if !known {
		return fmt.Errorf("ring: %s is no member at epoch %d", m.Name, s.Epoch)
	}
	m.Status = s.Members[i].Status
	return overwrite(s, i, m)
}

// overwrite replaces an entry, unless the new one is of an older process: two
// processes of one name would otherwise take turns.
func overwrite(s *State, i int, m Member) error {
	if known := s.Members[i].Incarnation; m.Incarnation < known {
		return fmt.Errorf("ring: %s is at incarnation %d, which cannot become %d", m.Name, known, m.Incarnation)
	}
	s.Members[i] = m
	return nil
}

// mayBecome returns why the named member cannot change to the status, or nil.
func mayBecome(s *State, name NodeName, next Status) error {
	now := s.status(name)
	switch {
	case now == gone:
		return fmt.Errorf("ring: %s is no member at epoch %d", name, s.Epoch)
	case !now.CanBecome(next) && next == gone:
		return fmt.Errorf("ring: %s is %s and cannot be removed at epoch %d", name, now, s.Epoch)
	case !now.CanBecome(next):
		return fmt.Errorf("ring: %s is %s and cannot become %s at epoch %d", name, now, next, s.Epoch)
	}
	return nil
}
