package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/ring"
)

// downPrefix is the path that ends in the name of a member.
const downPrefix = "/api/down/"

// catchUp is the pause before a change that met a newer ring is made again: the
// ring that was in its way arrives within milliseconds.
const catchUp = 20 * time.Millisecond

// Errors of a request that would change the ring.
var (
	errNoMember    = errors.New("no such member")
	errBehind      = errors.New("the node has not caught up")
	errCrossOrigin = errors.New("the request comes from a page of another site")
)

// conflictError is a change that the ring does not allow as it is now.
type conflictError struct{ error }

// Unwrap returns it.
func (c conflictError) Unwrap() error { return c.error }

// publishError is a change that did not reach the membership store, or only
// perhaps.
type publishError struct{ error }

// Unwrap returns it.
func (p publishError) Unwrap() error { return p.error }

// operation makes an endpoint of one that changes the ring. What a page of some
// other site makes a browser send is refused: whoever operates a cluster may
// look at such pages on the same machine.
func (a *API) operation(e func(*served, context.Context, *http.Request) (any, error), names ...string) map[string]endpoint {
	var browsers http.CrossOriginProtection
	answer := a.served(func(s *served, w http.ResponseWriter, r *http.Request) error {
		if err := browsers.Check(r); err != nil {
			return fmt.Errorf("%w: %w", errCrossOrigin, err)
		}
		p, err := readParams(r, append(names, "timeout")...)
		if err != nil {
			return err
		}
		ctx, cancel, err := a.withDeadline(r, p)
		if err != nil {
			return err
		}
		defer cancel()
		value, err := e(s, ctx, r)
		if err != nil {
			return err
		}
		return writeJSON(w, "application/json", http.StatusOK, value)
	})
	return map[string]endpoint{http.MethodPost: answer}
}

// Leaving is the answer to /api/leave: how far the node is out.
type Leaving struct {
	Node       torc.NodeName `json:"node"`
	Epoch      ring.Epoch    `json:"epoch"`
	Partitions int           `json:"partitions"` // that it has to hand off
}

// leave makes the asked node leave, and answers once the ring says so. To ask
// again changes nothing.
func (s *served) leave(ctx context.Context, _ *http.Request) (any, error) {
	me, _ := s.node.Ring().Member(s.node.Name())
	change := ring.Leave(me.Name)
	switch {
	case me.Status == ring.Leaving || me.Status == ring.Exiting:
		return s.leaving(s.node.Ring()), nil
	case me.Status == ring.Joining:
		change = ring.Remove(me.Name) // it owns nothing
	case s.api.config.Rebalance == torc.RebalanceManual:
		return nil, conflictError{fmt.Errorf("partitions move by committed plans alone here: plan with --leave %s, and commit it", me.Name)}
	}
	plan, err := s.publish(ctx, change)
	if err != nil {
		return nil, err
	}
	return s.leaving(plan.Next), nil
}

func (s *served) leaving(r *ring.Ring) Leaving {
	now, _ := shares(r)
	return Leaving{s.node.Name(), r.Epoch(), now[s.node.Name()]}
}

// publish plans changes that are meant whatever else has happened to the ring
// meanwhile, and commits the plan.
func (s *served) publish(ctx context.Context, changes ...ring.Change) (*ring.Plan, error) {
	for {
		plan, err := s.node.Plan(changes...)
		if err != nil {
			return nil, conflictError{err}
		}
		if err = s.commitPlan(ctx, plan); !errors.Is(err, torc.ErrStalePlan) {
			return plan, err
		}
		select {
		case <-time.After(catchUp):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %v", context.Cause(ctx), err) //nolint:errorlint // the plan is only stale because time ran out
		}
	}
}

// commitPlan publishes a plan.
func (s *served) commitPlan(ctx context.Context, plan *ring.Plan) error {
	err := s.node.Commit(ctx, plan)
	if err == nil || errors.Is(err, torc.ErrStalePlan) {
		return err
	}
	return publishError{err}
}

// down gives a member up for dead. One that can be reached is not.
func (s *served) down(ctx context.Context, r *http.Request) (any, error) {
	name, force, err := readDown(r)
	if err != nil {
		return nil, err
	}
	if _, known := s.node.Ring().Member(name); !known {
		return nil, noMember(s.node.Ring(), name)
	}
	if s.node.Reachable(name) && !force {
		return nil, conflictError{fmt.Errorf("%s can be reached from %s: let it leave, or stop it first, or force it", name, s.node.Name())}
	}
	plan, err := s.publish(ctx, ring.MarkDown(name))
	if err != nil {
		return nil, err
	}
	return planOf(plan), nil
}

// readDown returns whom to give up, and whether even if it is alive.
func readDown(r *http.Request) (name ring.NodeName, force bool, err error) {
	escaped, _ := strings.CutPrefix(r.URL.EscapedPath(), downPrefix)
	text, err := url.PathUnescape(escaped)
	if err != nil || text == "" || escaped == strings.TrimSuffix(downPrefix, "/") {
		return "", false, badRequestf("the name of a member belongs after %s in the path", downPrefix)
	}
	if word := r.URL.Query().Get("force"); word != "" {
		if force, err = strconv.ParseBool(word); err != nil {
			return "", false, badRequestf("force=%q is neither 1 nor 0", word)
		}
	}
	return ring.NodeName(text), force, nil
}
