package consul

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/torc-io/torc/membership"
)

const (
	// nameLockDelay is none, as far as the client allows it: a lock delay protects
	// work of a holder that does not know of its loss, and a name protects none.
	nameLockDelay = time.Millisecond
	// claimAttempts bounds the rounds of one claim. Each ends with a name, with a
	// rival, or with the end of a rival's session, so two nodes that take over
	// from a third one at once need two.
	claimAttempts = 5
	// claimPause lets the lock delay pass, and the catalog hear of a rival that has
	// just been deregistered.
	claimPause = 100 * time.Millisecond
)

// errRestless says that a claim ended neither way in all its rounds.
var errRestless = errors.New("the name changes hands all the time")

// claim makes a node the only one of its name, and returns the session that
// holds the name. What decides is the lock torc/<cluster>/names/<node>: of two
// that start at once, one acquires it. It ends with the session, at most two TTLs
// after the node's last sign of life.
//
// A predecessor may still hold it. It is pushed aside if it runs at the same
// address, since only one process can listen there, or if its check is critical:
// see [yields]. Starting says that the node has not had the name before.
func (s *Store) claim(ctx context.Context, self membership.Node, starting bool) (string, error) {
	session, err := s.newSession(ctx, s.nameKey(self), nameLockDelay)
	if err != nil {
		return "", err
	}
	again := true
	for attempt := 0; again && attempt < claimAttempts; attempt++ {
		if attempt > 0 && !pause(ctx, claimPause) {
			err = context.Cause(ctx)
			break
		}
		again, err = s.tryClaim(ctx, self, session, starting)
	}
	if again && err == nil {
		err = errRestless
	}
	if err != nil {
		// Even if ctx has ended: who tries again would find the name held, by us.
		_ = s.endSession(context.WithoutCancel(ctx), session) // or it expires
		return "", err
	}
	return session, nil
}

func (s *Store) nameKey(n membership.Node) string { return s.key("names/" + n.Name) }

// tryClaim returns whether another round may end differently.
func (s *Store) tryClaim(ctx context.Context, self membership.Node, session string, starting bool) (again bool, err error) {
	got, err := s.acquire(ctx, s.nameKey(self), session, holderAs(self))
	if err != nil {
		return false, err
	}
	rivals, err := s.rivals(ctx, self)
	if err != nil {
		return false, fmt.Errorf("look for others of the name: %w", err)
	}
	if got {
		err := unlocked(self, rivals)
		return err != nil, err
	}
	held, err := s.holderOf(ctx, s.nameKey(self))
	switch {
	case err != nil:
		return false, err
	case held.session == "":
		return true, nil
	case !yields(self, held, rivals, starting):
		return false, taken(self, held.Address)
	}
	if err := s.endSession(ctx, held.session); err != nil {
		return false, err
	}
	return true, nil
}

// rivals returns the instances in the catalog, of whichever agent, that have the
// node's name and are not the node itself.
func (s *Store) rivals(ctx context.Context, self membership.Node) ([]instance, error) {
	ctx, cancel := s.brief(ctx)
	defer cancel()
	instances, _, err := s.askInstances(s.consistent(ctx))
	var rivals []instance
	for _, i := range instances {
		if i.Name == self.Name && i.Incarnation != self.Incarnation {
			rivals = append(rivals, i)
		}
	}
	return rivals, err
}

// unlocked looks for a rival that lives without holding the lock, which somebody
// must have deleted. It is not a matter of a moment, as between the end of a
// session and its renewal, or just after a node was deregistered: so the name is
// refused only after some rounds.
func unlocked(self membership.Node, rivals []instance) error {
	for _, r := range rivals {
		if r.status != api.HealthCritical && r.Address != self.Address {
			return taken(self, r.Address)
		}
	}
	return nil
}

// yields says whether the holder of a name gives way to self.
//
// At the same address it is a predecessor that cannot run any more, if self is
// starting. When self has lost the name to it later, the newer one keeps it, lest
// two that share an address through a proxy take it from each other for ever. Of
// the same incarnation it is self, in a session that it has forgotten. Else it
// must be dead, by its check, which is critical a TTL after the last self test
// that was passed; while it starts it has no such check, and does not yield.
func yields(self membership.Node, held holder, rivals []instance, starting bool) bool {
	if held.Incarnation == self.Incarnation {
		return true
	}
	if held.Address == self.Address {
		return starting || held.Incarnation < self.Incarnation
	}
	for _, r := range rivals {
		if r.Incarnation == held.Incarnation && r.status == api.HealthCritical {
			return true
		}
	}
	return false
}

func taken(self membership.Node, address string) error {
	if address == "" {
		address = "an address that it does not tell"
	}
	return fmt.Errorf("%w: %q runs at %s", membership.ErrNameTaken, self.Name, address)
}
