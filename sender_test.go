package torc_test

import (
	"errors"
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/puppet"
	"github.com/torc-io/torc/ping"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
)

// TestMethods: a node tells what it can do, to programs that do not know.
func TestMethods(t *testing.T) {
	node := startSolo(t, torc.Config{}, puppet.New(torc.Quorum{N: 1}), ping.New())
	var got []string
	for _, m := range node.Methods() {
		name := func(m proto.Message) any { return m.ProtoReflect().Descriptor().FullName() }
		got = append(got, fmt.Sprint(m.Service(), " ", m.Name(), " ", m.Writes(), " ", name(m.NewCommand()), " ", name(m.NewReply())))
	}
	want := []string{
		"ping Ping false torc.ping.v1.Ping torc.ping.v1.Pong",
		"puppet Act true torc.testing.v1.Act torc.testing.v1.Seen",
		"puppet Look false torc.testing.v1.Look torc.testing.v1.Seen",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestSend: what Command.Do does, without its types.
func TestSend(t *testing.T) {
	node := startSolo(t, torc.Config{}, puppet.New(torc.Quorum{N: 3}))
	methods := node.Methods()
	write, read := methods[0], methods[1]
	three := 3
	stored, err := node.Send(t.Context(), torc.Request{Method: write, Message: act("store"), Call: torc.Call{W: &three}, Receipt: true})
	if err != nil || stored.Value.(*testingpb.Seen).GetVersion() != 1 || len(stored.Receipt.Acks) != 3 || stored.Replies != nil {
		t.Fatalf("got %+v, %v", stored, err)
	}
	every, err := node.Send(t.Context(), torc.Request{Method: read, Message: &testingpb.Look{Key: []byte("key")}, Call: torc.Call{All: true}})
	if err != nil || every.Value != nil || len(every.Replies) != 3 || every.Receipt.N != 0 {
		t.Errorf("got %+v, %v", every, err)
	}
	failed, err := node.Send(t.Context(), torc.Request{Method: write, Message: act("fail"), Receipt: true})
	if !errors.Is(err, torc.ErrFailed) || failed.Receipt.N != 3 || failed.Value != nil {
		t.Errorf("got %+v, %v; want an error with a receipt", failed, err)
	}
	if _, err := node.Send(t.Context(), torc.Request{Message: act("store")}); !errors.Is(err, torc.ErrUnknownCommand) {
		t.Errorf("a request without a method: %v", err)
	}
}
