package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/coordinator"
)

// short is a write that too few replicas acknowledged, for the given causes.
func short(causes ...error) error {
	e := &torc.QuorumError{Kind: coordinator.Write, Needed: 2, Of: 3, Outcome: torc.OutcomeUnknown}
	for i, cause := range causes {
		e.Causes = append(e.Causes, coordinator.Cause{Partition: torc.Partition(i), Node: "b", Err: cause})
	}
	return e
}

// TestStatusOfErrors: the table of problems, from the side of the errors.
func TestStatusOfErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
	}{
		{torc.ErrNotFound, http.StatusNotFound},
		{fmt.Errorf("kv: %w", torc.ErrNotFound), http.StatusNotFound},
		{short(torc.ErrNotFound, torc.ErrUnreachable), http.StatusServiceUnavailable},
		{torc.ErrInvalid, http.StatusBadRequest},
		{badRequestf("odd"), http.StatusBadRequest},
		{short(torc.ErrInvalid), http.StatusBadRequest},
		{torc.ErrTooLarge, http.StatusRequestEntityTooLarge},
		{short(torc.ErrTooLarge, torc.ErrUnreachable), http.StatusRequestEntityTooLarge},
		{torc.ErrOverloaded, http.StatusTooManyRequests},
		{short(torc.ErrUnreachable, torc.ErrOverloaded), http.StatusTooManyRequests},
		{fmt.Errorf("%w: %w", context.DeadlineExceeded, short(torc.ErrNoReply)), http.StatusGatewayTimeout},
		{short(torc.ErrExpired), http.StatusGatewayTimeout},
		{context.Canceled, statusClientGone},
		{torc.ErrStopping, http.StatusServiceUnavailable},
		{short(torc.ErrUnreachable), http.StatusServiceUnavailable},
		{short(torc.ErrLost), http.StatusServiceUnavailable},
		{short(torc.ErrUnavailable), http.StatusServiceUnavailable},
		{short(torc.ErrNotOwner), http.StatusServiceUnavailable},
		{short(torc.ErrRecovering), http.StatusServiceUnavailable},
		{torc.ErrRecovering, http.StatusServiceUnavailable},
		{short(torc.ErrRecovering, torc.ErrFailed), http.StatusInternalServerError},
		{short(torc.ErrStopping), http.StatusServiceUnavailable},
		{short(), http.StatusServiceUnavailable},
		{short(torc.ErrFailed), http.StatusInternalServerError},
		{short(torc.ErrPanic, torc.ErrUnreachable), http.StatusInternalServerError},
		{torc.ErrUnknownService, http.StatusInternalServerError},
		{stalef("since"), http.StatusConflict},
		{conflictError{errors.New("not now")}, http.StatusConflict},
		{publishError{errors.New("no route")}, http.StatusServiceUnavailable},
		{publishError{context.DeadlineExceeded}, http.StatusGatewayTimeout},
		{errBehind, http.StatusServiceUnavailable},
		{errors.New("anything else"), http.StatusInternalServerError},
	} {
		if got := kindOf(c.err).status; got != c.status {
			t.Errorf("%v: got %d, want %d", c.err, got, c.status)
		}
	}
}

// TestQuorumErrorInJSON: nothing of it is lost.
func TestQuorumErrorInJSON(t *testing.T) {
	err := short(torc.ErrUnreachable, torc.ErrLost)
	p := problemOf(err, kindOf(err))
	if p.Outcome != "unknown" || p.Requirement != "answers" || p.Needed != 2 || p.Got != 0 || p.Of != 3 {
		t.Errorf("problem: %+v %+v", p, p.Shortfall)
	}
	want := Cause{Partition: 1, Node: "b", Error: "connection lost"}
	if len(p.Causes) != 2 || p.Causes[1] != want {
		t.Errorf("causes: %+v", p.Causes)
	}
}

// TestTimeoutWithoutDetail: who knows nothing must not say that it failed.
func TestTimeoutWithoutDetail(t *testing.T) {
	p := problemOf(context.DeadlineExceeded, kindOf(context.DeadlineExceeded))
	if p.Outcome != "unknown" || p.Shortfall != nil {
		t.Errorf("problem: %+v", p)
	}
}
