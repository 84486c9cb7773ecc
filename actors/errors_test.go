package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

// TestEveryCodeSurvivesTheWire: whatever became of a command, the coordinator on
// another machine sees the same error as one on this machine.
func TestEveryCodeSurvivesTheWire(t *testing.T) {
	for number, name := range transportpb.Code_name {
		code := transportpb.Code(number)
		sent := &Reply{Partition: 7, Node: "b", Code: code, Text: "why", Epoch: 3}
		got := replyFromWire(sent.toWire())
		if got.Partition != 7 || got.Node != "b" || got.Code != code || got.Epoch != 3 {
			t.Errorf("%s: came back as %+v", name, got)
		}
		if code == transportpb.Code_CODE_OK {
			continue
		}
		if sentinel := verdictOf(code).sentinel; !errors.Is(got.Err(), sentinel) {
			t.Errorf("%s: errors.Is(%v, %v) does not hold", name, got.Err(), sentinel)
		}
		if got.Err().Error() != sent.Err().Error() {
			t.Errorf("%s: reads %q here and %q there", name, sent.Err(), got.Err())
		}
	}
}

func TestCodeOfANewerVersionIsAFailure(t *testing.T) {
	for _, code := range []transportpb.Code{-1, 9999} {
		if err := (&Reply{Code: code}).Err(); !errors.Is(err, ErrFailed) {
			t.Errorf("code %d: %v, want ErrFailed", code, err)
		}
	}
}

// TestHandlersChooseOnlyTheirOwnCodes: a handler that ran cannot claim that it
// did not, or the coordinator would execute the command elsewhere.
func TestHandlersChooseOnlyTheirOwnCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want transportpb.Code
		text string
	}{
		{ErrNotFound, transportpb.Code_CODE_NOT_FOUND, "not found"},
		{fmt.Errorf("user 7: %w", ErrNotFound), transportpb.Code_CODE_NOT_FOUND, "user 7: not found"},
		{fmt.Errorf("%w: negative", ErrInvalid), transportpb.Code_CODE_INVALID, "invalid command: negative"},
		{ErrNotOwner, transportpb.Code_CODE_FAILED, "not the owner of the partition"},
		{ErrOverloaded, transportpb.Code_CODE_FAILED, "overloaded"},
		{io.EOF, transportpb.Code_CODE_FAILED, "EOF"},
	} {
		code := codeOf(c.err)
		err := &vnodeError{code, c.err.Error()}
		if code != c.want || err.Error() != c.text {
			t.Errorf("%v becomes %v %q, want %v %q", c.err, code, err, c.want, c.text)
		}
	}
}

func TestDeadlinesAreContextErrors(t *testing.T) {
	if !errors.Is(ErrExpired, context.DeadlineExceeded) {
		t.Error("ErrExpired is no context.DeadlineExceeded")
	}
}
