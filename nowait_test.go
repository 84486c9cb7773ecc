package torc_test

import (
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"

	torc "github.com/torc-io/torc"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
)

// tracer answers with the stack on which it was called.
type tracer struct{ torc.Stateless }

func (*tracer) Look(_ context.Context, cmd *testingpb.Look) (*testingpb.Seen, error) {
	if cmd.GetVerb() == "panic" {
		panic("as told")
	}
	return &testingpb.Seen{Value: debug.Stack()}, nil
}

// TestNoWaitRunsOnTheClientsGoroutine: also after a panic, which is the failure
// of one command as ever. Without the promise, a worker runs the handler.
func TestNoWaitRunsOnTheClientsGoroutine(t *testing.T) {
	for _, promised := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := torc.NewService("tracer", torc.Quorum{N: 1}, func(context.Context, torc.Host) (*tracer, error) { return &tracer{}, nil })
			var opts []torc.HandlerOption[*testingpb.Seen]
			if promised {
				opts = append(opts, torc.NoWait[*testingpb.Seen]())
			}
			look := torc.HandleRead(s, (*tracer).Look, opts...)
			node := startSolo(t, torc.Config{}, s)
			synctest.Wait() // until the vnodes are open, and idle
			_, err := look.Do(t.Context(), node, &testingpb.Look{Key: []byte("key"), Verb: "panic"})
			if !errors.Is(err, torc.ErrPanic) {
				t.Errorf("a panic: %v", err)
			}
			synctest.Wait()
			seen, err := look.Do(t.Context(), node, &testingpb.Look{Key: []byte("key")})
			if err != nil {
				t.Fatal(err)
			}
			if here := strings.Contains(string(seen.GetValue()), t.Name()); here != promised {
				t.Errorf("promised %v, and on the client's goroutine %v:\n%s", promised, here, seen.GetValue())
			}
		})
	}
}
