package ring

import "slices"

// State is a ring's content as a plain value: what is stored in the ring
// document, sent to other members, and shown as JSON. A [Ring] is a State that
// passed every check, with tables for fast lookup.
type State struct {
	ClusterID string     // random, chosen when the cluster was created
	Epoch     Epoch      // number of this version, from 1
	Hash      string     // must be [HashName]
	TargetN   int        // how many consecutive partitions claim keeps on distinct members
	Members   []Member   // sorted by name
	Owners    []NodeName // the owner of each partition; "" is nobody
	Transfers []Transfer // pending, sorted by partition, one a partition at most
}

// clone returns a copy that shares no memory with s. Empty slices become nil, so
// that equal states are deeply equal.
func (s State) clone() State {
	s.Members = append([]Member(nil), s.Members...)
	s.Owners = append([]NodeName(nil), s.Owners...)
	s.Transfers = append([]Transfer(nil), s.Transfers...)
	return s
}

// member returns the position of the named member, and whether there is one;
// without one it is the position where the member belongs.
func (s *State) member(name NodeName) (int, bool) {
	return slices.BinarySearchFunc(s.Members, name, byName)
}

// status returns the state of the named member, gone if there is none.
func (s *State) status(name NodeName) Status {
	if i, ok := s.member(name); ok {
		return s.Members[i].Status
	}
	return gone
}

// claiming returns the names of the members that claim, in order.
func (s *State) claiming() []NodeName {
	var names []NodeName
	for _, m := range s.Members {
		if m.Status.Claims() {
			names = append(names, m.Name)
		}
	}
	return names
}

// future returns who owns each partition once every pending transfer is done.
func (s *State) future() []NodeName {
	owners := slices.Clone(s.Owners)
	for _, t := range s.Transfers {
		owners[t.Partition] = t.To
	}
	return owners
}

// FromState makes a ring of a stored or received state. It returns an error,
// never a panic, for a state that breaks an invariant, and keeps no reference
// to the state's slices.
func FromState(s State) (*Ring, error) {
	if err := check(&s); err != nil {
		return nil, err
	}
	return build(s.clone()), nil
}

// State returns the ring's content. It is a copy: the caller may change it.
func (r *Ring) State() State { return r.state.clone() }
