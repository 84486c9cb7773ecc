package consul

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/torc-io/torc/membership"
)

// newSession makes a session that ends a TTL after its last renewal, or later,
// and takes its keys along. It is bound to no health check: the default one ends
// a session when gossip loses the agent for a moment, though the node is well.
// The lock delay is how long nobody gets its keys after it has ended so, at least
// a millisecond: the client takes 0 for Consul's default of 15 s.
func (s *Store) newSession(ctx context.Context, name string, lockDelay time.Duration) (string, error) {
	ctx, cancel := s.brief(ctx)
	defer cancel()
	id, _, err := s.client.Session().CreateNoChecks(&api.SessionEntry{
		Name: name, TTL: s.timing.session.String(),
		Behavior: api.SessionBehaviorDelete, LockDelay: lockDelay,
	}, s.write(ctx))
	if err != nil {
		return "", fmt.Errorf("make a session: %w", err)
	}
	return id, nil
}

// renewSession returns false if the session has ended.
func (s *Store) renewSession(ctx context.Context, session string) (bool, error) {
	ctx, cancel := s.brief(ctx)
	defer cancel()
	entry, _, err := s.client.Session().Renew(session, s.write(ctx))
	if err != nil {
		return false, fmt.Errorf("renew a session: %w", err)
	}
	return entry != nil, nil
}

// endSession ends a session; one that has ended is no error.
func (s *Store) endSession(ctx context.Context, session string) error {
	ctx, cancel := s.brief(ctx)
	defer cancel()
	if _, err := s.client.Session().Destroy(session, s.write(ctx)); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// holder is who holds a lock, as its key's value says to people and to us.
type holder struct {
	Node        string `json:"node"`
	Address     string `json:"address"`
	Incarnation uint64 `json:"incarnation"`
	session     string // "" if nobody holds it
}

func holderAs(n membership.Node) holder {
	return holder{Node: n.Name, Address: n.Address, Incarnation: n.Incarnation}
}

// acquire returns whether the session now holds the lock, or held it already.
func (s *Store) acquire(ctx context.Context, key, session string, as holder) (bool, error) {
	value, err := json.Marshal(as)
	if err != nil {
		return false, err
	}
	ctx, cancel := s.brief(ctx)
	defer cancel()
	got, _, err := s.client.KV().Acquire(&api.KVPair{Key: key, Value: value, Session: session}, s.write(ctx))
	if err != nil {
		return false, fmt.Errorf("acquire %s: %w", key, err)
	}
	return got, nil
}

// holderOf returns who holds a lock. What it says beside the session is empty if
// somebody else has written the value.
func (s *Store) holderOf(ctx context.Context, key string) (holder, error) {
	ctx, cancel := s.brief(ctx)
	defer cancel()
	pair, _, err := s.client.KV().Get(key, s.consistent(ctx))
	if err != nil {
		return holder{}, fmt.Errorf("read %s: %w", key, err)
	}
	if pair == nil {
		return holder{}, nil
	}
	var h holder
	if json.Unmarshal(pair.Value, &h) != nil {
		h = holder{}
	}
	h.session = pair.Session
	return h, nil
}
