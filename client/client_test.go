package client_test

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/client"
	"github.com/torc-io/torc/kv"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
)

// sentinels are what a caller may look for.
var sentinels = []error{
	torc.ErrNotFound, torc.ErrInvalid, torc.ErrQuorum, torc.ErrFailed, torc.ErrPanic, torc.ErrOutOfTime,
	torc.ErrOverloaded, torc.ErrExpired, torc.ErrNoReply, torc.ErrLost, torc.ErrUnreachable, torc.ErrNotOwner,
	torc.ErrUnavailable, torc.ErrStopping, torc.ErrUnknownService, torc.ErrUnknownCommand, torc.ErrTooLarge,
	torc.ErrRecovering,
	context.DeadlineExceeded, context.Canceled,
}

// sameFailure fails the test if a program could tell the errors apart.
func sameFailure(t *testing.T, got, want error) {
	t.Helper()
	if (got == nil) != (want == nil) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for _, s := range sentinels {
		if errors.Is(got, s) != errors.Is(want, s) {
			t.Errorf("got %v, want %v: errors.Is(%v) differs", got, want, s)
		}
	}
	short, ok := errors.AsType[*torc.QuorumError](got)
	original, expected := errors.AsType[*torc.QuorumError](want)
	if ok != expected {
		t.Fatalf("got %v, want %v: errors.As differs", got, want)
	}
	if ok && (short.Kind != original.Kind || short.Requirement != original.Requirement || short.Outcome != original.Outcome ||
		short.Needed != original.Needed || short.Of != original.Of || len(short.Causes) == 0 != (len(original.Causes) == 0)) {
		t.Errorf("got %+v, want %+v", short, original)
	}
}

// TestSameAsOnANode sends everything both through a node and through a client,
// and finds no difference.
func TestSameAsOnANode(t *testing.T) {
	c := startCluster(t, 3)
	outside := c.client(t)
	p, node := c.puppet, c.members[0].node
	for name, do := range map[string]func(context.Context, torc.Sender, *torc.Receipt) (any, error){
		"a write": func(ctx context.Context, on torc.Sender, r *torc.Receipt) (any, error) {
			seen, err := p.Act.Do(ctx, on, act("x"), torc.WithReceipt(r), torc.W(3))
			return string(seen.GetValue()), err
		},
		"a read": func(ctx context.Context, on torc.Sender, r *torc.Receipt) (any, error) {
			seen, err := p.Look.Do(ctx, on, look(""), torc.WithReceipt(r), torc.R(3))
			return string(seen.GetValue()), err
		},
		"one vnode": func(ctx context.Context, on torc.Sender, _ *torc.Receipt) (any, error) {
			_, err := p.Look.At(ctx, on, 7, look(""))
			return nil, err
		},
		"a vnode that is not there": func(ctx context.Context, on torc.Sender, _ *torc.Receipt) (any, error) {
			_, err := p.Look.At(ctx, on, 120, look(""))
			return nil, err
		},
		"nothing under the key": func(ctx context.Context, on torc.Sender, _ *torc.Receipt) (any, error) {
			return p.Look.Do(ctx, on, &testingpb.Look{Key: []byte("nothing")})
		},
		"no key": func(ctx context.Context, on torc.Sender, r *torc.Receipt) (any, error) {
			return p.Act.Do(ctx, on, &testingpb.Act{}, torc.WithReceipt(r))
		},
		"too many":        doAct(c, act("x"), torc.W(4)),
		"far too many":    doAct(c, act("x"), torc.W(1<<40)),
		"fewer than none": doAct(c, act("x"), torc.W(-1)),
		"too many nodes":  doAct(c, act("x"), torc.Nodes(4)),
		"primaries":       doAct(c, act("x"), torc.Primaries(3)),
		"more replicas":   doAct(c, act("x"), torc.N(5), torc.Nodes(4)),
		"too large":       doAct(c, &testingpb.Act{Key: []byte("k"), Value: make([]byte, torc.MaxMessageBytes)}),
		"failed":          doAct(c, act("fail")),
		"invalid":         doAct(c, act("invalid")),
		"panicked":        doAct(c, act("panic")),
	} {
		t.Run(name, func(t *testing.T) {
			var gotReceipt, wantReceipt torc.Receipt
			want, wantErr := do(t.Context(), node, &wantReceipt)
			got, gotErr := do(t.Context(), outside, &gotReceipt)
			sameFailure(t, gotErr, wantErr)
			if wantErr == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if !reflect.DeepEqual(gotReceipt, wantReceipt) {
				t.Errorf("receipt %+v, want %+v", gotReceipt, wantReceipt)
			}
		})
	}
}

func doAct(c *cluster, command *testingpb.Act, opts ...torc.CallOption) func(context.Context, torc.Sender, *torc.Receipt) (any, error) {
	return func(ctx context.Context, on torc.Sender, _ *torc.Receipt) (any, error) {
		_, err := c.puppet.Act.Do(ctx, on, command, opts...)
		return nil, err
	}
}

func TestEveryReply(t *testing.T) {
	c := startCluster(t, 3)
	outside := c.client(t)
	if _, err := c.puppet.Act.At(t.Context(), outside, c.members[0].node.Ring().Partition([]byte("key")), act("x")); err != nil {
		t.Fatal(err)
	}
	var receipt torc.Receipt
	got, err := c.puppet.Look.All(t.Context(), outside, look(""), torc.WithReceipt(&receipt))
	want, _ := c.puppet.Look.All(t.Context(), c.members[0].node, look(""))
	if err != nil || len(got) != 3 || len(want) != 3 || receipt.N != 3 || len(receipt.Acks) != 1 {
		t.Fatalf("got %v, %v with %+v; want %v", got, err, receipt, want)
	}
	for i, r := range got {
		sameFailure(t, r.Err, want[i].Err)
		if r.Partition != want[i].Partition || r.Node != want[i].Node || !proto.Equal(r.Value, want[i].Value) {
			t.Errorf("reply %+v, want %+v", r, want[i])
		}
	}
}

// TestUnknownCommands: the client knows a service that the nodes do not run.
func TestUnknownCommands(t *testing.T) {
	c := startCluster(t, 1)
	_, err := kv.New(torc.Quorum{N: 3}).On(c.client(t)).Fetch(t.Context(), []byte("k"))
	if !errors.Is(err, torc.ErrUnknownService) || !strings.Contains(err.Error(), "puppet") {
		t.Errorf("got %v", err)
	}
}

// TestOutOfTime: the node says why before the caller's deadline, and the caller
// does not wait beyond it.
func TestOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startMembers(t, 3)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := c.puppet.Act.Do(ctx, c.near(t), act("hang"))
		short, ok := errors.AsType[*torc.QuorumError](err)
		if !ok || short.Outcome != torc.OutcomeUnknown || len(short.Causes) != 3 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if ctx.Err() != nil {
			t.Error("the answer came after the deadline")
		}
	})
}

func TestCancelledCall(t *testing.T) {
	c := startCluster(t, 1)
	m := c.members[0]
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	m.be(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		m.gateway.ServeHTTP(w, r)
	})
	defer close(c.puppet.Gate)
	_, err := c.puppet.Act.Do(ctx, c.client(t), act("wait"))
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "outcome unknown") {
		t.Errorf("got %v", err)
	}
}

func TestConfigThatCannotBe(t *testing.T) {
	for name, config := range map[string]client.Config{
		"nothing":     {},
		"no address":  {Addresses: []string{""}},
		"no host":     {Addresses: []string{"http://"}},
		"no protocol": {Addresses: []string{"ftp://a:1"}},
		"not a URL":   {Addresses: []string{"a b"}},
	} {
		if _, err := client.New(config); err == nil || !strings.HasPrefix(err.Error(), "client: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
