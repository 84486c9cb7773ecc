package failure

import (
	"context"
	"errors"

	torc "github.com/torc-io/torc"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
)

// sentinels is the table of what errors.Is can find on either side. What it
// leaves out are the errors of a node's start and of plans, which no request is
// answered with.
var sentinels = []struct {
	reason torcpb.Reason
	err    error
}{
	{torcpb.Reason_REASON_NOT_FOUND, torc.ErrNotFound},
	{torcpb.Reason_REASON_INVALID, torc.ErrInvalid},
	{torcpb.Reason_REASON_QUORUM, torc.ErrQuorum},
	{torcpb.Reason_REASON_FAILED, torc.ErrFailed},
	{torcpb.Reason_REASON_PANIC, torc.ErrPanic},
	{torcpb.Reason_REASON_OUT_OF_TIME, torc.ErrOutOfTime},
	{torcpb.Reason_REASON_OVERLOADED, torc.ErrOverloaded},
	{torcpb.Reason_REASON_EXPIRED, torc.ErrExpired},
	{torcpb.Reason_REASON_NO_REPLY, torc.ErrNoReply},
	{torcpb.Reason_REASON_LOST, torc.ErrLost},
	{torcpb.Reason_REASON_UNREACHABLE, torc.ErrUnreachable},
	{torcpb.Reason_REASON_NOT_OWNER, torc.ErrNotOwner},
	{torcpb.Reason_REASON_UNAVAILABLE, torc.ErrUnavailable},
	{torcpb.Reason_REASON_STOPPING, torc.ErrStopping},
	{torcpb.Reason_REASON_UNKNOWN_SERVICE, torc.ErrUnknownService},
	{torcpb.Reason_REASON_UNKNOWN_COMMAND, torc.ErrUnknownCommand},
	{torcpb.Reason_REASON_TOO_LARGE, torc.ErrTooLarge},
	{torcpb.Reason_REASON_DEADLINE_EXCEEDED, context.DeadlineExceeded},
	{torcpb.Reason_REASON_CANCELED, context.Canceled},
	{torcpb.Reason_REASON_RECOVERING, torc.ErrRecovering},
}

// Reasons returns what errors.Is finds in an error, in the order of the table.
func Reasons(err error) []torcpb.Reason {
	var reasons []torcpb.Reason
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			reasons = append(reasons, s.reason)
		}
	}
	return reasons
}

// Error is a failure as the other side told it.
type Error struct {
	text  string
	wraps []error
}

// New makes the error that has a text and wraps what the reasons stand for.
// Reasons of a newer version are left out: the text still says what was wrong.
func New(text string, reasons []torcpb.Reason) *Error {
	e := &Error{text: text}
	for _, reason := range reasons {
		for _, s := range sentinels {
			if s.reason == reason {
				e.wraps = append(e.wraps, s.err)
			}
		}
	}
	return e
}

// Error returns the text of the original.
func (e *Error) Error() string { return e.text }

// Unwrap lets errors.Is and errors.As find what the original wrapped.
func (e *Error) Unwrap() []error { return e.wraps }
