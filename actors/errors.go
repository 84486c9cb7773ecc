package actors

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/torc-io/torc/coordinator"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

// The sentinels that errors.Is finds in whatever a request returns, no matter
// on which machine the cause arose. All but ErrNotFound, ErrFailed, ErrPanic,
// ErrOutOfTime, ErrNoReply and ErrLost mean that the vnode executed nothing.
var (
	// ErrNotFound: the handler ran, and its key has nothing. Handlers return it.
	ErrNotFound = errors.New("not found")
	// ErrInvalid: the command cannot be executed as it is. Handlers return it
	// for contents they refuse, the framework for what it cannot decode.
	ErrInvalid = errors.New("invalid command")
	// ErrFailed: the handler ran and returned an error of its own.
	ErrFailed = errors.New("command failed")
	// ErrPanic: the handler panicked. What it did before is unknown.
	ErrPanic = errors.New("handler panicked")
	// ErrOverloaded: a mailbox, a table or a link is full. Try again later.
	ErrOverloaded = errors.New("overloaded")
	// ErrOutOfTime: the handler gave up at the deadline.
	ErrOutOfTime = fmt.Errorf("handler ran out of time: %w", context.DeadlineExceeded)
	// ErrExpired: the deadline had passed before the handler's turn.
	ErrExpired = fmt.Errorf("expired before its turn: %w", context.DeadlineExceeded)
	// ErrNoReply: no answer arrived in time.
	ErrNoReply = coordinator.ErrNoReply
	// ErrNotOwner: the node does not serve the partition.
	ErrNotOwner = errors.New("not the owner of the partition")
	// ErrUnavailable: the vnode could not be opened.
	ErrUnavailable = errors.New("vnode unavailable")
	// ErrRecovering: the vnode lacks items that its replicas are bringing back. It
	// takes writes, and answers no reads.
	ErrRecovering = errors.New("the vnode is recovering")
	// ErrUnreachable: there was no reachable node to send to.
	ErrUnreachable = coordinator.ErrUnreachable
	// ErrLost: the node went away after the command was sent to it.
	ErrLost = coordinator.ErrLost
	// ErrStopping: the node is shutting down.
	ErrStopping = errors.New("node is stopping")
	// ErrUnknownService: the node does not offer the service.
	ErrUnknownService = errors.New("unknown service")
	// ErrUnknownCommand: the service has no such command.
	ErrUnknownCommand = errors.New("unknown command")
	// ErrTooLarge: the command or its reply is over MaxMessageBytes.
	ErrTooLarge = errors.New("message too large")
)

// verdict is one row of the table that keeps codes, sentinels and what the
// coordinator makes of them together.
type verdict struct {
	sentinel error
	outcome  coordinator.Outcome
}

// verdicts is the table, by code. A command that was refused may go to a
// fallback; one that was shed for overload may not, since load that moves on
// when it is refused spreads the overload.
var verdicts = [...]verdict{
	transportpb.Code_CODE_UNSPECIFIED:     {ErrInvalid, coordinator.Failed},
	transportpb.Code_CODE_OK:              {nil, coordinator.Acked},
	transportpb.Code_CODE_NOT_FOUND:       {ErrNotFound, coordinator.NotFound},
	transportpb.Code_CODE_FAILED:          {ErrFailed, coordinator.Failed},
	transportpb.Code_CODE_PANIC:           {ErrPanic, coordinator.Failed},
	transportpb.Code_CODE_OVERLOADED:      {ErrOverloaded, coordinator.Shed},
	transportpb.Code_CODE_NOT_OWNER:       {ErrNotOwner, coordinator.Refused},
	transportpb.Code_CODE_EXPIRED:         {ErrExpired, coordinator.Shed},
	transportpb.Code_CODE_UNKNOWN_SERVICE: {ErrUnknownService, coordinator.Refused},
	transportpb.Code_CODE_UNKNOWN_COMMAND: {ErrUnknownCommand, coordinator.Refused},
	transportpb.Code_CODE_INVALID:         {ErrInvalid, coordinator.Failed},
	transportpb.Code_CODE_TOO_LARGE:       {ErrTooLarge, coordinator.Failed},
	transportpb.Code_CODE_STOPPING:        {ErrStopping, coordinator.Refused},
	transportpb.Code_CODE_UNAVAILABLE:     {ErrUnavailable, coordinator.Refused},
	transportpb.Code_CODE_OUT_OF_TIME:     {ErrOutOfTime, coordinator.Failed},
	transportpb.Code_CODE_UNREACHABLE:     {ErrUnreachable, coordinator.Refused},
	transportpb.Code_CODE_RECOVERING:      {ErrRecovering, coordinator.Recovering},
}

// handlerCodes are the codes that a handler's error may choose by wrapping the
// error beside it. Any other error is CODE_FAILED: a handler cannot claim that
// it was not executed.
var handlerCodes = [...]struct {
	err  error
	code transportpb.Code
}{
	{ErrNotFound, transportpb.Code_CODE_NOT_FOUND},
	{ErrInvalid, transportpb.Code_CODE_INVALID},
	{context.DeadlineExceeded, transportpb.Code_CODE_OUT_OF_TIME},
}

// codeOf translates a handler's error.
func codeOf(err error) transportpb.Code {
	for _, h := range handlerCodes {
		if errors.Is(err, h.err) {
			return h.code
		}
	}
	return transportpb.Code_CODE_FAILED
}

// verdictOf returns the row for a code; one from a newer version counts as failed.
func verdictOf(code transportpb.Code) verdict {
	if int(code) < 0 || int(code) >= len(verdicts) {
		return verdict{ErrFailed, coordinator.Failed}
	}
	return verdicts[code]
}

// vnodeError is a failure at a vnode, alike whether the vnode was local or on
// another machine: the text of the original, and the sentinel of its code.
type vnodeError struct {
	code transportpb.Code
	text string
}

func (e *vnodeError) Error() string {
	sentinel := verdictOf(e.code).sentinel
	switch {
	case e.text == "":
		return sentinel.Error()
	case e.code == transportpb.Code_CODE_FAILED, strings.Contains(e.text, sentinel.Error()):
		return e.text
	default:
		return sentinel.Error() + ": " + e.text
	}
}

// Unwrap lets errors.Is find the sentinel.
func (e *vnodeError) Unwrap() error { return verdictOf(e.code).sentinel }
