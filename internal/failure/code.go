package failure

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	torc "github.com/torc-io/torc"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
)

// codes is the one place where an error gets its code. The first row that holds
// decides, so the surer a client can be of what to do, the further up. The order
// is that of the HTTP API's table, with the same meaning.
var codes = []struct {
	is   func(error) bool
	code connect.Code
	// retry says that trying again after a pause may help.
	retry bool
}{
	{unknown, connect.CodeUnimplemented, false},
	{wraps(torc.ErrTooLarge, torc.ErrInvalid, torc.ErrQuorum), connect.CodeInvalidArgument, false},
	{notFound, connect.CodeNotFound, false},
	{wraps(context.DeadlineExceeded), connect.CodeDeadlineExceeded, false},
	{wraps(context.Canceled), connect.CodeCanceled, false},
	{wraps(torc.ErrOverloaded), connect.CodeResourceExhausted, true},
	{wraps(torc.ErrStopping), connect.CodeUnavailable, true},
	{wraps(torc.ErrPanic), connect.CodeInternal, false},
	{wraps(torc.ErrFailed), connect.CodeUnknown, false}, // gRPC's code for what a handler returns without one
	{tooFew, connect.CodeUnavailable, true},
	{wraps(torc.ErrRecovering), connect.CodeUnavailable, true},
	{func(error) bool { return true }, connect.CodeInternal, false},
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

// tooFew holds if replicas had been asked, and too few answered.
func tooFew(err error) bool {
	_, short := errors.AsType[*torc.QuorumError](err)
	return short
}

// unknown holds if the node cannot do what it was asked for. Replicas that
// cannot are another matter: they may be of an older version.
func unknown(err error) bool {
	return wraps(torc.ErrUnknownService, torc.ErrUnknownCommand)(err) && !tooFew(err)
}

// notFound holds if the replicas agree that there is nothing. One of them that
// found nothing, in a request that failed for lack of others, proves nothing.
func notFound(err error) bool { return errors.Is(err, torc.ErrNotFound) && !tooFew(err) }

// refused are the errors of a node that sent nothing to any replica.
var refused = wraps(torc.ErrUnknownService, torc.ErrUnknownCommand, torc.ErrStopping,
	torc.ErrInvalid, torc.ErrQuorum, torc.ErrTooLarge, torc.ErrOverloaded)

// outcomeOf says what is known of the effect of a request that failed.
func outcomeOf(err error, writes bool) torcpb.Outcome {
	short, asked := errors.AsType[*torc.QuorumError](err)
	switch {
	case !writes, !asked && refused(err), asked && short.Outcome == torc.OutcomeFailed:
		return torcpb.Outcome_OUTCOME_FAILED
	}
	return torcpb.Outcome_OUTCOME_UNKNOWN
}
