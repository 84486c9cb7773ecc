package httpapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	torc "github.com/torc-io/torc"
)

// Problem is the body of every error, of the type application/problem+json
// (RFC 9457).
type Problem struct {
	// Type names the kind of problem, for programs to decide by.
	Type string `json:"type"`
	// Title is the same for people.
	Title string `json:"title"`
	// Status is that of the answer.
	Status int `json:"status"`
	// Detail says what was wrong with this request.
	Detail string `json:"detail"`
	// ID finds an unexpected error in the node's log.
	ID string `json:"id,omitempty"`
	// Outcome is "unknown" if a write may have left a trace, and "failed" if
	// nothing was executed. It is there if a command was sent.
	Outcome string `json:"outcome,omitempty"`
	// Shortfall is there if too few replicas answered.
	*Shortfall
}

// Shortfall says how a request missed its quorum.
type Shortfall struct {
	// Requirement is what fell short: "answers", "primaries" or "distinct nodes".
	Requirement string `json:"requirement"`
	// Needed of Of were wanted, and Got came.
	Needed int `json:"needed"`
	Got    int `json:"got"`
	Of     int `json:"of"`
	// Causes say why each of the others did not count.
	Causes []Cause `json:"causes"`
}

// Cause is why one replica did not count.
type Cause struct {
	Partition torc.Partition `json:"partition"`
	Node      torc.NodeName  `json:"node"`
	Fallback  bool           `json:"fallback"`
	Error     string         `json:"error"`
}

// retryAfter is the pause in seconds that is asked for where trying again may
// help. A second is what it takes to notice a silent node, and much longer
// than an overloaded vnode needs to work off its queue.
const retryAfter = "1"

// statusClientGone is what is noted if nobody waits for the answer any more,
// after nginx.
const statusClientGone = 499

// kind is a row of the table of problems.
type kind struct {
	is     func(error) bool
	slug   string
	title  string
	status int
	retry  bool // trying again may help
}

// kinds is the one place where errors get their status. The first row that
// holds decides, so the surer a client can be of what to do, the further up.
var kinds = []kind{
	{wraps(errNoRoute), "no-such-path", "No such path", http.StatusNotFound, false},
	{wraps(errMethod), "method-not-allowed", "Method not allowed", http.StatusMethodNotAllowed, false},
	{wraps(torc.ErrTooLarge), "too-large", "Too large", http.StatusRequestEntityTooLarge, false},
	{wrong, "bad-request", "Bad request", http.StatusBadRequest, false},
	{wraps(errNoMember), "no-such-member", "No such member", http.StatusNotFound, false},
	{wraps(errCrossOrigin), "cross-origin", "Cross-origin request", http.StatusForbidden, false},
	{wraps(torc.ErrStalePlan), "stale-plan", "Stale plan", http.StatusConflict, false},
	{conflicts, "conflict", "Conflict", http.StatusConflict, false},
	{notFound, "not-found", "Not found", http.StatusNotFound, false},
	{wraps(context.DeadlineExceeded), "timeout", "Timeout", http.StatusGatewayTimeout, false},
	{wraps(context.Canceled), "client-gone", "Client gone", statusClientGone, false},
	{wraps(torc.ErrOverloaded), "overloaded", "Overloaded", http.StatusTooManyRequests, true},
	{wraps(errStarting, errStopping, errBehind, torc.ErrStopping), "not-ready", "Not ready", http.StatusServiceUnavailable, true},
	{unpublished, "not-published", "Not published", http.StatusServiceUnavailable, true},
	{tooFew, "too-few-replicas", "Too few replicas", http.StatusServiceUnavailable, true},
	{recovering, "recovering", "Recovering", http.StatusServiceUnavailable, true},
	{func(error) bool { return true }, "internal", "Internal error", http.StatusInternalServerError, false},
}

// wraps holds for an error that wraps one of the sentinels.
func wraps(sentinels ...error) func(error) bool {
	return func(err error) bool {
		for _, s := range sentinels {
			if errors.Is(err, s) {
				return true
			}
		}
		return false
	}
}

// wrong holds if the request could not be served by any cluster.
func wrong(err error) bool {
	var bad badRequestError
	return errors.As(err, &bad) || errors.Is(err, torc.ErrInvalid) || errors.Is(err, torc.ErrQuorum)
}

// conflicts holds if the ring does not allow what was asked for, as it is now.
func conflicts(err error) bool {
	var conflict conflictError
	return errors.As(err, &conflict)
}

// unpublished holds if the membership store did not take a new ring.
func unpublished(err error) bool {
	var failed publishError
	return errors.As(err, &failed)
}

// notFound holds if the replicas agree that there is nothing. One of them that
// found nothing, in a request that failed for lack of others, proves nothing.
func notFound(err error) bool {
	var short *torc.QuorumError
	return errors.Is(err, torc.ErrNotFound) && !errors.As(err, &short)
}

// tooFew holds if replicas were missing, and not if they failed at the command.
func tooFew(err error) bool {
	var short *torc.QuorumError
	return errors.As(err, &short) && !errors.Is(err, torc.ErrFailed) && !errors.Is(err, torc.ErrPanic)
}

// recovering holds if the one vnode that was asked lacks items still. Of several
// replicas, tooFew says all.
func recovering(err error) bool {
	var short *torc.QuorumError
	return errors.Is(err, torc.ErrRecovering) && !errors.As(err, &short)
}

// kindOf finds the row of an error.
func kindOf(err error) kind {
	for _, k := range kinds {
		if k.is(err) {
			return k
		}
	}
	return kinds[len(kinds)-1]
}

// problemOf describes an error of a kind.
func problemOf(err error, k kind) *Problem {
	p := &Problem{Type: "urn:torc:" + k.slug, Title: k.title, Status: k.status, Detail: err.Error()}
	if k.status == http.StatusGatewayTimeout {
		p.Outcome = torc.OutcomeUnknown.String()
	}
	var short *torc.QuorumError
	if !errors.As(err, &short) {
		return p
	}
	p.Outcome = short.Outcome.String()
	p.Shortfall = &Shortfall{
		Requirement: short.Requirement.String(),
		Needed:      short.Needed, Got: short.Got, Of: short.Of,
		Causes: make([]Cause, 0, len(short.Causes)),
	}
	for _, c := range short.Causes {
		p.Causes = append(p.Causes, Cause{c.Partition, c.Node, c.Fallback, c.Err.Error()})
	}
	return p
}

// fail answers with an error. If an answer has begun already, all that can be
// said is that it is not complete: the connection is cut.
func (a *API) fail(w *answerWriter, r *http.Request, err error) {
	k := kindOf(err)
	p := problemOf(err, k)
	if k.status == http.StatusInternalServerError {
		p.ID = rand.Text()
		a.logger.ErrorContext(r.Context(), "http request failed", "id", p.ID, "method", r.Method, "error", err)
	}
	a.writeProblem(w, r, p, k.retry)
}

func (a *API) writeProblem(w *answerWriter, r *http.Request, p *Problem, retry bool) {
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	if retry {
		w.Header().Set("Retry-After", retryAfter)
	}
	if err := writeJSON(w, "application/problem+json", p.Status, p); err != nil {
		a.logger.DebugContext(r.Context(), "cannot write an answer", "error", err)
	}
}

// survive answers a request whose handler panicked. The panic's value goes to
// the log alone.
func (a *API) survive(w *answerWriter, r *http.Request, reason any) {
	switch reason {
	case nil:
		return
	case http.ErrAbortHandler:
		panic(reason) // the way to cut a connection, which net/http knows
	}
	id := rand.Text()
	a.logger.ErrorContext(r.Context(), "http handler panicked",
		"id", id, "method", r.Method, "panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
	k := kindOf(nil)
	p := problemOf(fmt.Errorf("a failure of the node itself; its log says more under the id %s", id), k)
	p.ID = id
	a.writeProblem(w, r, p, k.retry)
}
