package httpapi

import "github.com/torc-io/torc/ring"

// Ring is a ring in JSON: the answer to /api/ring. It is complete, so that who
// receives it can make a [ring.Ring] of it.
type Ring struct {
	ClusterID string          `json:"cluster_id"`
	Epoch     ring.Epoch      `json:"epoch"`
	Hash      string          `json:"hash"`
	TargetN   int             `json:"target_n"`
	Members   []Member        `json:"members"`
	Owners    []ring.NodeName `json:"owners"` // by partition; "" is nobody
	Transfers []Transfer      `json:"transfers"`
}

// Member is a member of a ring in JSON.
type Member struct {
	Name        ring.NodeName `json:"name"`
	Status      ring.Status   `json:"status"`
	Address     string        `json:"address"` // of its transport
	Zone        string        `json:"zone,omitempty"`
	Weight      uint32        `json:"weight,omitempty"`
	Incarnation uint64        `json:"incarnation,string"` // more digits than JavaScript's numbers have
}

// Transfer is a pending transfer in JSON.
type Transfer struct {
	Partition ring.Partition `json:"partition"`
	From      ring.NodeName  `json:"from"`
	To        ring.NodeName  `json:"to"`
}

func ringOf(s ring.State) Ring {
	r := Ring{
		ClusterID: s.ClusterID, Epoch: s.Epoch, Hash: s.Hash, TargetN: s.TargetN,
		Members: []Member{}, Owners: s.Owners, Transfers: []Transfer{},
	}
	for _, m := range s.Members {
		r.Members = append(r.Members, memberOf(m))
	}
	for _, t := range s.Transfers {
		r.Transfers = append(r.Transfers, Transfer(t))
	}
	return r
}

func memberOf(m ring.Member) Member {
	return Member{m.Name, m.Status, m.Address, m.Zone, m.Weight, m.Incarnation}
}

// Ring returns the ring that was written, or an error if it breaks an invariant.
func (r Ring) Ring() (*ring.Ring, error) {
	s := ring.State{ClusterID: r.ClusterID, Epoch: r.Epoch, Hash: r.Hash, TargetN: r.TargetN, Owners: r.Owners}
	for _, m := range r.Members {
		s.Members = append(s.Members, ring.Member{
			Name: m.Name, Status: m.Status, Address: m.Address, Zone: m.Zone, Weight: m.Weight, Incarnation: m.Incarnation,
		})
	}
	for _, t := range r.Transfers {
		s.Transfers = append(s.Transfers, ring.Transfer(t))
	}
	return ring.FromState(s)
}
