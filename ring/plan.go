package ring

import (
	"fmt"
	"slices"
)

// Plan is a proposed next ring. It is a value to look at: nothing happens until
// somebody publishes Next.
//
// A partition that moves keeps its owner in Next and is listed in Next's
// transfers: live handoff moves it later, and [Ring.Complete] then flips its
// owner. Two kinds change owner at once instead: partitions that nobody owned,
// and those of a member that is down, which cannot hand off.
type Plan struct {
	Before, Next *Ring
	Changes      []Change

	Transfers []Transfer // pending in Next and not in Before: new, or with another target
	Dropped   []Transfer // pending in Before and not in Next: called off, or with another target
	Rebuilt   []Transfer // from a member that is down; the new owner copies from replicas

	// Moves counts the partitions that this plan assigns to another member than
	// would have them without it. No balanced ring can do with fewer than
	// LowerBound; one without violations sometimes takes more.
	Moves, LowerBound int

	// Violations counts the lists of TargetN partitions that repeat a member once
	// all transfers are done. LeastViolations is the least that any ring of as
	// many members can have.
	Violations, LeastViolations int
}

// Idle reports whether Next differs from Before in nothing but its epoch, so that
// there is nothing to publish.
func (p *Plan) Idle() bool {
	before, next := &p.Before.state, &p.Next.state
	return slices.Equal(before.Members, next.Members) &&
		slices.Equal(before.Owners, next.Owners) &&
		slices.Equal(before.Transfers, next.Transfers)
}

// Plan proposes the ring after the changes, which are applied in order and then
// planned for together. The ring it is called on stays as it is. Joins, leaves,
// replacements and downs assign partitions anew, as does a plan without any
// change; pending transfers count as done, and may be called off or led to
// another member.
func (r *Ring) Plan(changes ...Change) (*Plan, error) {
	next := r.State()
	next.Epoch++
	assign := len(changes) == 0
	for _, c := range changes {
		if err := c.apply(&next); err != nil {
			return nil, err
		}
		assign = assign || c.Reclaims()
	}
	p := &Plan{Before: r, Changes: slices.Clone(changes)}
	if assign {
		if err := p.assign(&next); err != nil {
			return nil, err
		}
	}
	return p.conclude(next)
}

// assign has claim decide who shall own each partition, and writes into next
// what follows: transfers, and owners that change at once.
func (p *Plan) assign(next *State) error {
	claiming := next.claiming()
	if len(claiming) == 0 {
		return checkAbandoned(next)
	}
	base := settled(&p.Before.state, next)
	start := p.succeed(base, next)
	after := claim(start, claiming, next.TargetN)
	p.count(base, after, claiming)
	p.schedule(next, after)
	return nil
}

// checkAbandoned refuses to leave partitions behind that nobody may own.
func checkAbandoned(next *State) error {
	for partition, owner := range next.Owners {
		if owner != "" {
			return fmt.Errorf("ring: partition %d: %s, who owns it, may not give it up at epoch %d: nobody else claims",
				partition, owner, next.Epoch)
		}
	}
	return nil
}

// settled returns who will own each partition if claim changes nothing: its
// next owner if that one still claims, else its owner if it does, else nobody.
// An owner that claims again, as its leave was called off, keeps what it has.
func settled(before, next *State) []NodeName {
	owners := before.future()
	for p, then := range owners {
		now := before.Owners[p]
		claims := next.status(now).Claims()
		stays := claims && !before.status(now).Claims()
		switch {
		case stays, claims && !next.status(then).Claims():
			owners[p] = now
		case !next.status(then).Claims():
			owners[p] = ""
		}
	}
	return owners
}

// succeed puts each replacing member in the place of the one it replaces.
func (p *Plan) succeed(base []NodeName, next *State) []NodeName {
	heirs := map[NodeName]NodeName{}
	for _, c := range p.Changes {
		if c.verb == replace && next.status(c.member.Name).Claims() {
			heirs[c.node] = c.member.Name
		}
	}
	start := slices.Clone(base)
	for i, owner := range p.Before.state.future() {
		if start[i] == "" {
			start[i] = heirs[owner]
		}
	}
	return start
}

// count compares the assignment with what a plan cannot do without.
func (p *Plan) count(base, after, claiming []NodeName) {
	for i, owner := range p.Before.state.Owners {
		if owner != "" && after[i] != base[i] {
			p.Moves++
		}
		if owner == "" {
			base[i] = after[i] // nothing to move
		}
	}
	p.LowerBound = lowerBound(indexed(base, claiming), len(claiming))
}

// schedule writes the assignment into next.
func (p *Plan) schedule(next *State, after []NodeName) {
	next.Transfers = nil
	for i, to := range after {
		t := Transfer{Partition: Partition(i), From: next.Owners[i], To: to}
		switch {
		case t.From == to:
		case next.status(t.From).MayOwn():
			next.Transfers = append(next.Transfers, t)
		default:
			next.Owners[i] = to
			if t.From != "" {
				p.Rebuilt = append(p.Rebuilt, t)
			}
		}
	}
}

// conclude makes the next ring, and describes how it differs.
func (p *Plan) conclude(next State) (*Plan, error) {
	settle(&next)
	ring, err := FromState(next)
	if err != nil {
		return nil, err
	}
	p.Next = ring
	p.Transfers = without(next.Transfers, p.Before.state.Transfers)
	p.Dropped = without(p.Before.state.Transfers, next.Transfers)
	p.Violations = violations(ring.state.future(), next.TargetN)
	p.LeastViolations = leastViolations(ring.Size(), len(next.claiming()), next.TargetN)
	return p, nil
}

// without returns the transfers of a that are not in b. Both are sorted.
func without(a, b []Transfer) []Transfer {
	return slices.DeleteFunc(slices.Clone(a), func(t Transfer) bool {
		i, found := slices.BinarySearchFunc(b, t.Partition, byPartition)
		return found && b[i] == t
	})
}

// settle makes members exiting that are leaving and own nothing any more.
func settle(s *State) {
	owning := map[NodeName]bool{}
	for _, owner := range s.Owners {
		owning[owner] = true
	}
	for i, m := range s.Members {
		if m.Status == Leaving && !owning[m.Name] {
			s.Members[i].Status = Exiting
		}
	}
}

// Complete returns the next ring after a pending transfer was carried out: the
// partition has its new owner, and a leaving member that owns nothing any more
// is exiting. It refuses a transfer that is not pending exactly as given: the
// plan has changed since it began.
func (r *Ring) Complete(t Transfer) (*Ring, error) {
	pending, ok := r.Transfer(t.Partition)
	if !ok {
		return nil, fmt.Errorf("ring: partition %d: no transfer from %s to %s is pending at epoch %d",
			t.Partition, t.From, t.To, r.Epoch())
	}
	if pending != t {
		return nil, fmt.Errorf("ring: partition %d: the transfer at epoch %d is from %s to %s, not from %s to %s",
			t.Partition, r.Epoch(), pending.From, pending.To, t.From, t.To)
	}
	next := r.State()
	next.Epoch++
	next.Owners[t.Partition] = t.To
	next.Transfers = without(next.Transfers, []Transfer{t})
	settle(&next)
	return FromState(next)
}
