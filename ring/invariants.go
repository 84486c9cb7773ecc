package ring

import "fmt"

// check returns which invariant a state breaks, or nil. It runs on every ring
// that any function returns. Its errors name both sides and a witness.
func check(s *State) error {
	for _, rule := range []func(*State) error{
		checkHeader, checkMembers, checkOwners, checkTransfers,
	} {
		if err := rule(s); err != nil {
			return err
		}
	}
	return nil
}

// checkHeader: the ring has a cluster, an epoch, our hash, and sizes in bounds.
func checkHeader(s *State) error {
	switch {
	case s.ClusterID == "":
		return fmt.Errorf("ring: no cluster id at epoch %d", s.Epoch)
	case s.Epoch == 0:
		return fmt.Errorf("ring: cluster %s is at epoch 0, the first is 1", s.ClusterID)
	case s.Hash != HashName:
		return fmt.Errorf("ring: keys are placed by hash %q at epoch %d, here by %q", s.Hash, s.Epoch, HashName)
	case len(s.Owners) < 1 || len(s.Owners) > MaxSize:
		return fmt.Errorf("ring: %d partitions, want 1 to %d", len(s.Owners), MaxSize)
	case s.TargetN < 1 || s.TargetN > MaxN:
		return fmt.Errorf("ring: target N is %d, want 1 to %d", s.TargetN, MaxN)
	case len(s.Members) > MaxMembers:
		return fmt.Errorf("ring: %d members, want at most %d", len(s.Members), MaxMembers)
	}
	return nil
}

// checkMembers: names are fit, unique and sorted, and states are known.
func checkMembers(s *State) error {
	for i, m := range s.Members {
		if err := m.Name.validate(); err != nil {
			return err
		}
		if _, known := statusNames[m.Status]; !known {
			return fmt.Errorf("ring: member %s has unknown %v", m.Name, m.Status)
		}
		if i > 0 && s.Members[i-1].Name >= m.Name {
			return fmt.Errorf("ring: member %s is listed before %s", s.Members[i-1].Name, m.Name)
		}
	}
	return nil
}

// checkOwners: every partition is owned by a member that may own it. Nobody
// owns one only as long as nobody claims.
func checkOwners(s *State) error {
	claiming := s.claiming()
	for p, owner := range s.Owners {
		if owner == "" && len(claiming) > 0 {
			return fmt.Errorf("ring: partition %d: nobody owns it at epoch %d, though %s claims",
				p, s.Epoch, claiming[0])
		}
		if owner != "" && !s.status(owner).MayOwn() {
			return fmt.Errorf("ring: partition %d: %s owns it at epoch %d, but is %s",
				p, owner, s.Epoch, describe(s.status(owner)))
		}
	}
	return nil
}

// checkTransfers: each moves a partition from its owner to another member that
// claims, and no partition moves twice.
func checkTransfers(s *State) error {
	for i, t := range s.Transfers {
		if int(t.Partition) >= len(s.Owners) {
			return fmt.Errorf("ring: partition %d: %s and %s transfer it at epoch %d, but there are %d",
				t.Partition, t.From, t.To, s.Epoch, len(s.Owners))
		}
		if i > 0 && s.Transfers[i-1].Partition == t.Partition {
			return fmt.Errorf("ring: partition %d: %s and %s both claim it at epoch %d",
				t.Partition, s.Transfers[i-1].To, t.To, s.Epoch)
		}
		if i > 0 && s.Transfers[i-1].Partition > t.Partition {
			return fmt.Errorf("ring: transfer of partition %d is listed before that of %d",
				s.Transfers[i-1].Partition, t.Partition)
		}
		if err := checkEnds(s, t); err != nil {
			return err
		}
	}
	return nil
}

// checkEnds: a transfer leads from the owner to another member that claims.
func checkEnds(s *State, t Transfer) error {
	owner := s.Owners[t.Partition]
	switch {
	case owner == "" || t.From != owner:
		return fmt.Errorf("ring: partition %d: %q gives it away at epoch %d, but %q owns it",
			t.Partition, t.From, s.Epoch, owner)
	case t.To == t.From:
		return fmt.Errorf("ring: partition %d: %s transfers it to itself at epoch %d", t.Partition, t.To, s.Epoch)
	case !s.status(t.To).Claims():
		return fmt.Errorf("ring: partition %d: %s is to get it from %s at epoch %d, but is %s",
			t.Partition, t.To, t.From, s.Epoch, describe(s.status(t.To)))
	}
	return nil
}

// describe is the word for a state in an error's text, "no member" for gone.
func describe(s Status) string {
	if s == gone {
		return "no member"
	}
	return s.String()
}
