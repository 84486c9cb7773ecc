package failure_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/internal/failure"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
)

// sentinels are all that errors.Is may find in the error of a request.
var sentinels = map[string]error{
	"ErrNotFound": torc.ErrNotFound, "ErrInvalid": torc.ErrInvalid, "ErrQuorum": torc.ErrQuorum,
	"ErrFailed": torc.ErrFailed, "ErrPanic": torc.ErrPanic, "ErrOutOfTime": torc.ErrOutOfTime,
	"ErrOverloaded": torc.ErrOverloaded, "ErrExpired": torc.ErrExpired, "ErrNoReply": torc.ErrNoReply,
	"ErrLost": torc.ErrLost, "ErrUnreachable": torc.ErrUnreachable, "ErrNotOwner": torc.ErrNotOwner,
	"ErrUnavailable": torc.ErrUnavailable, "ErrStopping": torc.ErrStopping,
	"ErrUnknownService": torc.ErrUnknownService, "ErrUnknownCommand": torc.ErrUnknownCommand,
	"ErrTooLarge": torc.ErrTooLarge, "ErrRecovering": torc.ErrRecovering,
	"deadline": context.DeadlineExceeded, "cancelled": context.Canceled,
}

// notOfRequests are errors of Start and Commit.
var notOfRequests = []string{"ErrNameTaken", "ErrStalePlan"}

// TestEverySentinelIsKnown: a sentinel that is added to torc must be added here
// and to the table, or it does not survive the way to a client.
func TestEverySentinelIsKnown(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "Err") {
			name := spec.Names[0].Name
			if _, known := sentinels[name]; !known && !slices.Contains(notOfRequests, name) {
				t.Errorf("torc.%s is not in the table of reasons", name)
			}
		}
		return true
	})
	if want := len(torcpb.Reason_name) - 1; len(sentinels) != want {
		t.Errorf("%d sentinels and %d reasons", len(sentinels), want)
	}
}

// roundTrip takes an error to the other side.
func roundTrip(err error, writes bool) (*failure.Error, torcpb.Outcome) {
	return failure.Decode(fmt.Errorf("on the way: %w", failure.Encode(err, writes)))
}

// sameErrors fails the test if errors.Is finds in got what it does not in want,
// or the other way round.
func sameErrors(t *testing.T, got, want error) {
	t.Helper()
	for name, s := range sentinels {
		if errors.Is(got, s) != errors.Is(want, s) {
			t.Errorf("%v: errors.Is(%s) is %v, want %v", got, name, errors.Is(got, s), errors.Is(want, s))
		}
	}
	if got.Error() != want.Error() {
		t.Errorf("text %q, want %q", got, want)
	}
}

func TestSentinelsSurvive(t *testing.T) {
	for name, s := range sentinels {
		t.Run(name, func(t *testing.T) {
			want := fmt.Errorf("here: %w", s)
			got, _ := roundTrip(want, true)
			if got == nil {
				t.Fatal("not decoded")
			}
			sameErrors(t, got, want)
		})
	}
}

// short is a QuorumError with all there can be in one.
func short(outcome coordinator.Outcome, kind coordinator.Kind) *torc.QuorumError {
	return &torc.QuorumError{
		Kind: kind, Requirement: coordinator.Primaries, Needed: 3, Got: 1, Of: 4, Outcome: outcome,
		Causes: []coordinator.Cause{
			{Partition: 119, Node: "a", Err: fmt.Errorf("%w: 1024 commands wait", torc.ErrOverloaded)},
			{Partition: 0, Node: "b", Fallback: true, Err: torc.ErrNotOwner},
			{Partition: 1, Err: torc.ErrUnreachable},
		},
	}
}

func TestQuorumErrorSurvives(t *testing.T) {
	for _, outcome := range []coordinator.Outcome{torc.OutcomeFailed, torc.OutcomeUnknown} {
		for _, kind := range []coordinator.Kind{coordinator.Read, coordinator.Write} {
			inner := short(outcome, kind)
			want := fmt.Errorf("%w: %w", context.DeadlineExceeded, inner)
			got, _ := roundTrip(want, kind == coordinator.Write)
			sameErrors(t, got, want)
			back, ok := errors.AsType[*torc.QuorumError](got)
			if !ok {
				t.Fatal("there is no QuorumError")
			}
			for i := range inner.Causes {
				sameErrors(t, back.Causes[i].Err, inner.Causes[i].Err)
				back.Causes[i].Err = inner.Causes[i].Err
			}
			if got, want := fmt.Sprintf("%#v", *back), fmt.Sprintf("%#v", *inner); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	}
}

func TestCodesAndOutcomes(t *testing.T) {
	const failed, unknown = torcpb.Outcome_OUTCOME_FAILED, torcpb.Outcome_OUTCOME_UNKNOWN
	lost := &torc.QuorumError{Outcome: torc.OutcomeUnknown, Causes: []coordinator.Cause{{Err: torc.ErrLost}}}
	because := func(err error) error {
		return &torc.QuorumError{Outcome: torc.OutcomeUnknown, Causes: []coordinator.Cause{{Err: err}}}
	}
	for name, c := range map[string]struct {
		err     error
		code    connect.Code
		outcome torcpb.Outcome // of a write
	}{
		"invalid":               {torc.ErrInvalid, connect.CodeInvalidArgument, failed},
		"a quorum that cannot":  {fmt.Errorf("%w: %w", torc.ErrInvalid, torc.ErrQuorum), connect.CodeInvalidArgument, failed},
		"too large":             {torc.ErrTooLarge, connect.CodeInvalidArgument, failed},
		"a reply too large":     {because(torc.ErrTooLarge), connect.CodeInvalidArgument, unknown},
		"not found":             {torc.ErrNotFound, connect.CodeNotFound, unknown},
		"one did not find":      {because(torc.ErrNotFound), connect.CodeUnavailable, unknown},
		"overloaded node":       {torc.ErrOverloaded, connect.CodeResourceExhausted, failed},
		"overloaded vnode":      {short(torc.OutcomeFailed, coordinator.Write), connect.CodeResourceExhausted, failed},
		"stopping":              {torc.ErrStopping, connect.CodeUnavailable, failed},
		"too few, lost":         {lost, connect.CodeUnavailable, unknown},
		"time ran out":          {fmt.Errorf("%w: %w", context.DeadlineExceeded, lost), connect.CodeDeadlineExceeded, unknown},
		"cancelled":             {context.Canceled, connect.CodeCanceled, unknown},
		"unknown service":       {torc.ErrUnknownService, connect.CodeUnimplemented, failed},
		"unknown command":       {torc.ErrUnknownCommand, connect.CodeUnimplemented, failed},
		"unknown to one vnode":  {because(torc.ErrUnknownCommand), connect.CodeUnavailable, unknown},
		"handler failed":        {because(torc.ErrFailed), connect.CodeUnknown, unknown},
		"handler panicked":      {because(torc.ErrPanic), connect.CodeInternal, unknown},
		"coordinator panicked":  {torc.ErrPanic, connect.CodeInternal, unknown},
		"something else":        {errors.New("a defect"), connect.CodeInternal, unknown},
		"vnode does not open":   {because(torc.ErrUnavailable), connect.CodeUnavailable, unknown},
		"recovering vnode":      {torc.ErrRecovering, connect.CodeUnavailable, unknown},
		"recovering replicas":   {because(torc.ErrRecovering), connect.CodeUnavailable, unknown},
		"nobody to send to":     {because(torc.ErrUnreachable), connect.CodeUnavailable, unknown},
		"expired in the queue":  {because(torc.ErrExpired), connect.CodeDeadlineExceeded, unknown},
		"handler gave up":       {because(torc.ErrOutOfTime), connect.CodeDeadlineExceeded, unknown},
		"not owner, all failed": {because(torc.ErrNotOwner), connect.CodeUnavailable, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			encoded := failure.Encode(c.err, true)
			if encoded.Code() != c.code {
				t.Errorf("code %v, want %v", encoded.Code(), c.code)
			}
			if _, outcome := failure.Decode(encoded); outcome != c.outcome {
				t.Errorf("outcome %v, want %v", outcome, c.outcome)
			}
			if _, outcome := roundTrip(c.err, false); outcome != failed && !errors.As(c.err, new(*torc.QuorumError)) {
				t.Errorf("outcome of a read %v", outcome)
			}
			again := c.code == connect.CodeUnavailable || c.code == connect.CodeResourceExhausted
			if (encoded.Meta().Get("Retry-After") != "") != again {
				t.Errorf("Retry-After: %q", encoded.Meta().Get("Retry-After"))
			}
		})
	}
}

// TestWhatIsNotANodesIsNotDecoded: nothing may be concluded from it.
func TestWhatIsNotANodesIsNotDecoded(t *testing.T) {
	for _, err := range []error{
		nil, errors.New("x"), connect.NewError(connect.CodeUnavailable, errors.New("a proxy")),
	} {
		if got, outcome := failure.Decode(err); got != nil || outcome != torcpb.Outcome_OUTCOME_UNKNOWN {
			t.Errorf("%v became %v, %v", err, got, outcome)
		}
	}
}

// TestErrorsFitIntoTrailers: those of the most replicas, with the longest texts.
func TestErrorsFitIntoTrailers(t *testing.T) {
	long := fmt.Errorf("%w: %s", torc.ErrFailed, strings.Repeat("ü", 4<<10))
	e := &torc.QuorumError{Kind: coordinator.Write, Needed: 16, Of: 16, Outcome: torc.OutcomeUnknown}
	for range 16 {
		e.Causes = append(e.Causes, coordinator.Cause{Node: torc.NodeName(strings.Repeat("n", 20)), Err: long})
	}
	size := 3 * len(failure.Encode(e, true).Message())
	for _, d := range failure.Encode(e, true).Details() {
		size += len(d.Bytes()) * 4 / 3
	}
	if size > 8<<10 {
		t.Errorf("%d bytes", size)
	}
	got, _ := roundTrip(e, true)
	if !errors.Is(got, torc.ErrFailed) || !strings.HasSuffix(got.Error(), "…") {
		t.Errorf("cut to %q", got)
	}
}
