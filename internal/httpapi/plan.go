package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/ring"
)

// PlanRequest is the body of POST /api/plan: what is to change. Without any
// change it plans a rebalance.
type PlanRequest struct {
	// Join are members to take in. Null or left out, it is all that are joining
	// and that the asked node can reach.
	Join []ring.NodeName `json:"join,omitzero"`
	// Leave are members that hand off what they own.
	Leave []ring.NodeName `json:"leave,omitempty"`
	// Replace are members that leave, each with a joining one that takes its place.
	Replace map[ring.NodeName]ring.NodeName `json:"replace,omitempty"`
	// Down are members given up for dead.
	Down []ring.NodeName `json:"down,omitempty"`
}

// Plan is the answer to POST /api/plan, and to whatever publishes a plan.
type Plan struct {
	ClusterID  string     `json:"cluster_id"`
	Epoch      ring.Epoch `json:"epoch"` // of the ring that it was planned on
	Changes    []string   `json:"changes"`
	Moves      int        `json:"moves"`
	LowerBound int        `json:"lower_bound"` // no balanced ring can do with fewer moves
	Violations int        `json:"violations"`  // lists that repeat a member, in the end
	Least      int        `json:"least"`       // the fewest violations possible
	Transfers  []Transfer `json:"transfers"`   // new ones
	CalledOff  []Transfer `json:"called_off"`  // pending ones that are not wanted any more
	Rebuilt    []Transfer `json:"rebuilt"`     // from members that are down: at once, from replicas
	Idle       bool       `json:"idle"`        // there is nothing to commit
	Text       string     `json:"text"`        // all that for people
	Token      string     `json:"token,omitempty"`
}

// planOf describes a plan, without a token.
func planOf(p *ring.Plan) Plan {
	plan := Plan{
		ClusterID: p.Before.ClusterID(), Epoch: p.Before.Epoch(), Changes: []string{},
		Moves: p.Moves, LowerBound: p.LowerBound, Violations: p.Violations, Least: p.LeastViolations,
		Transfers: transfersOf(p.Transfers), CalledOff: transfersOf(p.Dropped), Rebuilt: transfersOf(p.Rebuilt),
		Idle: p.Idle(), Text: p.String(),
	}
	for _, c := range p.Changes {
		plan.Changes = append(plan.Changes, c.String())
	}
	return plan
}

func transfersOf(transfers []ring.Transfer) []Transfer {
	all := make([]Transfer, len(transfers))
	for i, t := range transfers {
		all[i] = Transfer(t)
	}
	return all
}

// plan answers POST /api/plan. Nothing happens until the plan is committed.
func (s *served) plan(_ context.Context, r *http.Request) (any, error) {
	var asked PlanRequest
	if err := readJSON(r, &asked); err != nil {
		return nil, err
	}
	on := s.node.Ring()
	asked = s.complete(on, asked)
	p, err := asked.on(on)
	if err != nil {
		return nil, err
	}
	answer := planOf(p)
	if !answer.Idle {
		answer.Token = tokenOf(asked, p).String()
	}
	return answer, nil
}

// complete names the members that are to join, if the request leaves that open:
// not those that replace others anyway, and none that would be given partitions
// while it cannot be reached.
func (s *served) complete(on *ring.Ring, asked PlanRequest) PlanRequest {
	if asked.Join != nil {
		return asked
	}
	heirs := slices.Collect(maps.Values(asked.Replace))
	asked.Join = []ring.NodeName{}
	for _, m := range on.Members() {
		if m.Status == ring.Joining && s.node.Reachable(m.Name) && !slices.Contains(heirs, m.Name) && !slices.Contains(asked.Down, m.Name) {
			asked.Join = append(asked.Join, m.Name)
		}
	}
	return asked
}

// on makes the plan on a ring. What is asked for is put in one order, so that it
// is the same plan wherever it is made again.
func (q PlanRequest) on(r *ring.Ring) (*ring.Plan, error) {
	var changes []ring.Change
	var strangers []ring.NodeName
	member := func(name ring.NodeName) ring.Member {
		m, known := r.Member(name)
		if !known {
			strangers = append(strangers, name)
		}
		return m
	}
	for _, name := range slices.Sorted(slices.Values(q.Down)) {
		changes = append(changes, ring.MarkDown(member(name).Name))
	}
	for _, name := range slices.Sorted(slices.Values(q.Join)) {
		changes = append(changes, ring.Join(member(name)))
	}
	for _, name := range slices.Sorted(slices.Values(q.Leave)) {
		changes = append(changes, ring.Leave(member(name).Name))
	}
	for _, old := range slices.Sorted(maps.Keys(q.Replace)) {
		changes = append(changes, ring.Replace(member(old).Name, member(q.Replace[old])))
	}
	if len(strangers) > 0 {
		return nil, noMember(r, strangers...)
	}
	plan, err := r.Plan(changes...)
	if err != nil {
		return nil, conflictError{err}
	}
	return plan, nil
}

// noMember says that the ring does not know those names.
func noMember(r *ring.Ring, names ...ring.NodeName) error {
	words := make([]string, len(names))
	for i, name := range names {
		words[i] = strconv.Quote(string(name))
	}
	return fmt.Errorf("%w at epoch %d: %s", errNoMember, r.Epoch(), strings.Join(words, ", "))
}

// CommitRequest is the body of POST /api/commit.
type CommitRequest struct {
	// Token is that of a plan.
	Token string `json:"token"`
}

// commit answers POST /api/commit: it publishes exactly the plan that the token
// was given out with.
func (s *served) commit(ctx context.Context, r *http.Request) (any, error) {
	var asked CommitRequest
	if err := readJSON(r, &asked); err != nil {
		return nil, err
	}
	t, err := parseToken(asked.Token)
	if err != nil {
		return nil, badRequestf("the token: %w", err)
	}
	plan, err := t.plan(s.node.Ring())
	if err != nil {
		return nil, err
	}
	if err := s.commitPlan(ctx, plan); err != nil {
		return nil, err
	}
	return planOf(plan), nil
}

// stalef is torc.ErrStalePlan with what differs.
func stalef(format string, args ...any) error {
	return fmt.Errorf("%w (%s)", torc.ErrStalePlan, fmt.Sprintf(format, args...))
}

// maxJSON bounds the body of an operation: room for a change of every member
// that a ring can have, with the longest names.
const maxJSON = 1 << 20

// readJSON reads the body of a request. Nothing is the zero value; what nobody
// would look at is an error.
func readJSON(r *http.Request, into any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxJSON+1))
	switch {
	case err != nil:
		return badRequestf("the body could not be read: %w", err)
	case len(body) > maxJSON:
		return fmt.Errorf("%w: the body has more than %d bytes", torc.ErrTooLarge, maxJSON)
	case len(bytes.TrimSpace(body)) == 0:
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return badRequestf("the body is not the JSON that is wanted here: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return badRequestf("the body goes on behind its JSON")
	}
	return nil
}
