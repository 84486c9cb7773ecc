package ring

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// Partition is one of Q equal ranges of the hash space: an integer 0…Q-1.
type Partition uint32

// Epoch numbers the versions of a ring. It grows by one with every change, and
// orders the versions of one cluster totally.
type Epoch uint64

const (
	// DefaultSize is how many partitions a ring has unless its creator says
	// otherwise. 120 divides by 1–6, 8, 10 and 12: clusters of those sizes balance
	// exactly, and three members hold N=3 with no preference list that repeats
	// one. With a power of two, three members never can.
	DefaultSize = 120

	// MaxSize bounds Q, which is fixed for a ring's life. With 4096 partitions a
	// plan takes less than a second even where it is hard, and the ring document,
	// at a byte or two a partition, is far below Consul's 512 KiB a value.
	MaxSize = 4096

	// MaxMembers bounds the members of a ring, for the same reasons: at some 200
	// bytes a member they are most of the document.
	MaxMembers = 1024

	// DefaultTargetN is how many consecutive partitions are kept on distinct
	// members unless the creator says otherwise: as many as a key has replicas.
	DefaultTargetN = 3

	// MaxN bounds the target N, and the replicas a request may ask for. More
	// replicas than this cost more than they protect.
	MaxN = 16
)

// Transfer is a partition's pending move from its owner to its next owner.
type Transfer struct {
	Partition Partition
	From, To  NodeName
}

// byPartition orders transfers, and finds one in their order.
func byPartition(t Transfer, p Partition) int { return cmp.Compare(t.Partition, p) }

// Ring is one version of who owns what. It is immutable, so any number of
// goroutines may read it, and everything it returns by value is a copy.
type Ring struct {
	state   State
	targets []Target // see buildTargets
}

// build makes a ring of a state that passed check and now belongs to the ring.
func build(s State) *Ring { return &Ring{state: s, targets: buildTargets(s.Owners)} }

// New makes the first ring of a cluster, at epoch 1, with size partitions. The
// given members become valid, whatever their status says, and own everything
// at once: there is nothing to move yet. With no members nobody owns anything.
func New(clusterID string, size, targetN int, members ...Member) (*Ring, error) {
	if size < 1 || size > MaxSize {
		return nil, fmt.Errorf("ring: %d partitions, want 1 to %d", size, MaxSize)
	}
	empty := State{
		ClusterID: clusterID, Epoch: 1, Hash: HashName, TargetN: targetN,
		Owners: make([]NodeName, size),
	}
	r, err := FromState(empty)
	if err != nil || len(members) == 0 {
		return r, err
	}
	var joins []Change
	for _, m := range members {
		joins = append(joins, Join(m))
	}
	plan, err := r.Plan(joins...)
	if err != nil {
		return nil, err
	}
	first := plan.Next.State()
	first.Epoch = 1
	return FromState(first)
}

// ClusterID returns the identity that the cluster got when it was created.
func (r *Ring) ClusterID() string { return r.state.ClusterID }

// Size returns Q, the number of partitions.
func (r *Ring) Size() int { return len(r.state.Owners) }

// TargetN returns how many consecutive partitions claim keeps on distinct members.
func (r *Ring) TargetN() int { return r.state.TargetN }

// Epoch returns the number of this version of the ring.
func (r *Ring) Epoch() Epoch { return r.state.Epoch }

// Partition returns the partition that a key belongs to. It does not allocate.
func (r *Ring) Partition(key []byte) Partition { return HashOf(key).Partition(r.Size()) }

// Owner returns the owner of a partition now, whatever transfers are pending.
// It is "" if nobody owns the partition or the ring has no such partition.
func (r *Ring) Owner(p Partition) NodeName {
	if int(p) >= r.Size() {
		return ""
	}
	return r.state.Owners[p]
}

// Owned yields the partitions that the named member owns now, in order.
func (r *Ring) Owned(name NodeName) iter.Seq[Partition] {
	return func(yield func(Partition) bool) {
		for p, owner := range r.state.Owners {
			if owner == name && !yield(Partition(p)) {
				return
			}
		}
	}
}

// Members returns the members, sorted by name.
func (r *Ring) Members() []Member { return slices.Clone(r.state.Members) }

// Member returns the named member, and whether the ring has it.
func (r *Ring) Member(name NodeName) (Member, bool) {
	i, ok := r.state.member(name)
	if !ok {
		return Member{}, false
	}
	return r.state.Members[i], true
}

// Departed says whether a node has no part in the ring any more: it is exiting, or
// no member. It owns nothing then, and no preference list of this ring has it.
func (r *Ring) Departed(name NodeName) bool {
	m, known := r.Member(name)
	return !known || m.Status == Exiting
}

// Transfers returns the pending transfers, sorted by partition.
func (r *Ring) Transfers() []Transfer { return slices.Clone(r.state.Transfers) }

// Transfer returns the pending transfer of a partition, and whether there is one.
func (r *Ring) Transfer(p Partition) (Transfer, bool) {
	i, ok := slices.BinarySearchFunc(r.state.Transfers, p, byPartition)
	if !ok {
		return Transfer{}, false
	}
	return r.state.Transfers[i], true
}

// Violations counts the preference lists of n that repeat a member, now.
func (r *Ring) Violations(n int) int { return violations(r.state.Owners, n) }
