package httpapi

import (
	"crypto/rand"
	"fmt"
	"net/http"

	torc "github.com/torc-io/torc"
	pingpb "github.com/torc-io/torc/proto/torc/ping/v1"
	"github.com/torc-io/torc/ring"
)

// Pong is the answer to /api/ping.
type Pong struct {
	Key
	Partition torc.Partition `json:"partition"` // that the key hashes to
	Node      torc.NodeName  `json:"node"`      // that answered
	Via       torc.NodeName  `json:"via"`       // that was asked
}

// ping answers from the vnode of a key, by default of one drawn at random, so
// that pings spread over all vnodes.
func (s *served) ping(w http.ResponseWriter, r *http.Request) error {
	p, err := readParams(r, "key", "timeout")
	if err != nil {
		return err
	}
	key, given := p["key"]
	if !given {
		key = rand.Text()
	}
	ctx, cancel, err := s.api.withDeadline(r, p)
	if err != nil {
		return err
	}
	defer cancel()
	pong, err := s.api.config.Ping.Ping.Do(ctx, s.node, &pingpb.Ping{Key: []byte(key)})
	if err != nil {
		return err
	}
	return writeJSON(w, "application/json", http.StatusOK, Pong{
		Key: nameKey([]byte(key)), Partition: torc.Partition(pong.GetPartition()),
		Node: torc.NodeName(pong.GetNode()), Via: s.node.Name(),
	})
}

// Where is the answer to /api/where: who serves a key.
type Where struct {
	Key
	Hash      string         `json:"hash"` // of the key, in hexadecimal
	Partition torc.Partition `json:"partition"`
	Size      int            `json:"size"` // partitions of the ring
	N         int            `json:"n"`
	Via       torc.NodeName  `json:"via"` // whose opinion on reachability this is
	List      []Position     `json:"preference_list"`
}

// Position is one of a preference list.
type Position struct {
	Partition torc.Partition `json:"partition"`
	Owner     torc.NodeName  `json:"owner"`
	Reachable bool           `json:"reachable"` // the owner is
	Node      torc.NodeName  `json:"node"`      // that serves now
	Fallback  bool           `json:"fallback"`  // Node stands in for Owner
}

// where tells the preference list of a key.
func (s *served) where(w http.ResponseWriter, r *http.Request) error {
	key, err := keyOf(r, wherePrefix)
	if err != nil {
		return err
	}
	p, err := readParams(r, "n")
	if err != nil {
		return err
	}
	n, err := s.replicas(p)
	if err != nil {
		return err
	}
	return writeJSON(w, "application/json", http.StatusOK, s.locate(key, n))
}

// replicas returns how many positions a preference list is asked for.
func (s *served) replicas(p params) (int, error) {
	usual := s.api.config.KV.Quorum().N
	n, given, err := p.count("n", usual)
	if err != nil || !given {
		return usual, err
	}
	if most := min(s.node.Ring().Size(), ring.MaxN); n < 1 || n > most {
		return 0, badRequestf("n=%d is outside 1…%d", n, most)
	}
	return n, nil
}

// locate describes the preference list of a key, of n replicas.
func (s *served) locate(key []byte, n int) Where {
	r := s.node.Ring()
	where := Where{
		Key: nameKey(key), Hash: fmt.Sprintf("%016x", uint64(ring.HashOf(key))),
		Partition: r.Partition(key), Size: r.Size(), N: n, Via: s.node.Name(),
	}
	for _, target := range s.node.Targets(where.Partition, n) {
		owner := r.Owner(target.Partition)
		where.List = append(where.List, Position{
			Partition: target.Partition, Owner: owner, Reachable: owner != "" && s.node.Reachable(owner),
			Node: target.Node, Fallback: target.Fallback,
		})
	}
	return where
}

// ring answers with the whole ring.
func (s *served) ring(w http.ResponseWriter, r *http.Request) error {
	if _, err := readParams(r); err != nil {
		return err
	}
	return writeJSON(w, "application/json", http.StatusOK, ringOf(s.node.Ring().State()))
}

// Members is the answer to /api/members.
type Members struct {
	ClusterID string        `json:"cluster_id"`
	Epoch     ring.Epoch    `json:"epoch"`
	Via       torc.NodeName `json:"via"` // whose opinion on liveness this is
	Members   []MemberShare `json:"members"`
}

// MemberShare is a member with what it owns and how it fares.
type MemberShare struct {
	Member
	HTTP       string  `json:"http,omitempty"` // where its process answers clients; "" if that does not run
	Liveness   string  `json:"liveness"`       // "alive", "suspect", "down", or "unproven"
	Partitions int     `json:"partitions"`     // owned now
	Pending    int     `json:"pending"`        // owned once all transfers are done
	Share      float64 `json:"share"`          // Partitions of all, 0 … 1
	NextShare  float64 `json:"next_share"`     // the same of Pending
}

// members answers with the members of the ring, as this node sees them.
func (s *served) members(w http.ResponseWriter, r *http.Request) error {
	if _, err := readParams(r); err != nil {
		return err
	}
	current := s.node.Ring()
	answer := Members{ClusterID: current.ClusterID(), Epoch: current.Epoch(), Via: s.node.Name()}
	now, next := shares(current)
	answers := s.answers()
	for _, m := range current.Members() {
		answer.Members = append(answer.Members, MemberShare{
			Member: memberOf(m), HTTP: answers[m.Name], Liveness: s.node.Liveness(m.Name).String(),
			Partitions: now[m.Name], Pending: next[m.Name],
			Share:     float64(now[m.Name]) / float64(current.Size()),
			NextShare: float64(next[m.Name]) / float64(current.Size()),
		})
	}
	return writeJSON(w, "application/json", http.StatusOK, answer)
}

// answers returns where the running nodes answer clients.
func (s *served) answers() map[ring.NodeName]string {
	at := make(map[ring.NodeName]string)
	for _, n := range s.node.Nodes() {
		at[ring.NodeName(n.Name)] = n.HTTP
	}
	return at
}

// shares counts the partitions of each member, now and after all transfers.
func shares(r *ring.Ring) (now, next map[ring.NodeName]int) {
	now, next = make(map[ring.NodeName]int), make(map[ring.NodeName]int)
	for _, owner := range r.State().Owners {
		now[owner]++
		next[owner]++
	}
	for _, t := range r.Transfers() {
		next[t.From]--
		next[t.To]++
	}
	return now, next
}
