package actors

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	ringpb "github.com/torc-io/torc/proto/torc/ring/v1"
	"github.com/torc-io/torc/ring"
)

// encodeRing returns the ring document of r: the same bytes for the same ring.
func encodeRing(r *ring.Ring) ([]byte, error) {
	s := r.State()
	index := map[ring.NodeName]uint32{}
	document := &ringpb.Ring{
		ClusterId: s.ClusterID, Epoch: uint64(s.Epoch), Hash: s.Hash, TargetN: uint32(s.TargetN),
	}
	for i, m := range s.Members {
		index[m.Name] = uint32(i) + 1
		document.Members = append(document.Members, &ringpb.Member{
			Name: string(m.Name), Address: m.Address, Zone: m.Zone, Weight: m.Weight,
			Incarnation: m.Incarnation, Status: ringpb.Status(m.Status),
		})
	}
	for _, owner := range s.Owners {
		document.Owners = append(document.Owners, index[owner])
	}
	for _, t := range s.Transfers {
		document.Transfers = append(document.Transfers, &ringpb.Transfer{
			Partition: uint32(t.Partition), From: string(t.From), To: string(t.To),
		})
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(document)
}

// decodeRing reads a ring document. What comes back has passed the ring's
// invariants; the document itself is not to be trusted.
func decodeRing(data []byte) (*ring.Ring, error) {
	document := &ringpb.Ring{}
	if err := proto.Unmarshal(data, document); err != nil {
		return nil, fmt.Errorf("decode the ring document: %w", err)
	}
	s := ring.State{
		ClusterID: document.GetClusterId(), Epoch: ring.Epoch(document.GetEpoch()),
		Hash: document.GetHash(), TargetN: int(document.GetTargetN()),
	}
	for _, m := range document.GetMembers() {
		s.Members = append(s.Members, ring.Member{
			Name: ring.NodeName(m.GetName()), Address: m.GetAddress(), Zone: m.GetZone(), Weight: m.GetWeight(),
			Incarnation: m.GetIncarnation(), Status: ring.Status(m.GetStatus()),
		})
	}
	for p, index := range document.GetOwners() {
		if int(index) > len(s.Members) {
			return nil, fmt.Errorf("decode the ring document: partition %d is owned by member %d of %d", p, index, len(s.Members))
		}
		owner := ring.NodeName("")
		if index > 0 {
			owner = s.Members[index-1].Name
		}
		s.Owners = append(s.Owners, owner)
	}
	for _, t := range document.GetTransfers() {
		s.Transfers = append(s.Transfers, ring.Transfer{
			Partition: ring.Partition(t.GetPartition()), From: ring.NodeName(t.GetFrom()), To: ring.NodeName(t.GetTo()),
		})
	}
	return ring.FromState(s)
}
