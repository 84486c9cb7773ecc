package actors

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// TestGuardChecksForNil gives the guard what no encoded frame can hold.
func TestGuardChecksForNil(t *testing.T) {
	changes := map[string]func(*remote.MessageBatch){
		"target":  func(b *remote.MessageBatch) { b.Targets[0] = nil },
		"sender":  func(b *remote.MessageBatch) { b.Senders = []*actor.PID{nil} },
		"message": func(b *remote.MessageBatch) { b.Envelopes[0] = nil },
	}
	for name, change := range changes {
		b := sound("victim")
		change(b)
		if reason, _ := checkBatch(b); reason != reasonNil {
			t.Errorf("no %s: refused for %q", name, reason)
		}
	}
	b := sound("victim")
	b.TypeNames = repeat(maxEntries, "")
	if reason, _ := checkBatch(b); reason != reasonEntries {
		t.Errorf("too many entries: refused for %q", reason)
	}
}

// FuzzGuard gives a guard arbitrary frames, encoded and decoded. Whatever they
// are, nothing but allowed messages between allowed parties gets through.
func FuzzGuard(f *testing.F) {
	const victim = "127.0.0.1:1"
	for _, a := range attacks {
		if frame, err := proto.Marshal(a.frame(victim)); err == nil && len(frame) < 10_000 {
			f.Add(frame, a.alien)
		}
	}
	s := quietSystem()
	s.ProcessRegistry.Address = victim
	got := make(inbox, 2*maxEntries)
	s.ProcessRegistry.Add(got, inboxID)
	g := newGuard(s, Policy{
		Target: func(id string) bool { return id == inboxID || id == "ghost" },
		Peer:   func(address string) (string, bool) { return "friend", address == friend },
	}, nil)
	codec := &frameCodec{encoding.GetCodecV2(grpcproto.Name), g}
	f.Fuzz(func(t *testing.T, data []byte, alien bool) {
		var scanned, unscanned remote.RemoteMessage
		frames := []*remote.RemoteMessage{}
		if codec.Unmarshal(mem.BufferSlice{mem.SliceBuffer(data)}, &scanned) == nil {
			frames = append(frames, &scanned)
		}
		if proto.Unmarshal(data, &unscanned) == nil {
			frames = append(frames, &unscanned)
		}
		for _, frame := range frames {
			session := &remoteSession{g.newSession(nil)}
			if !alien {
				session.peer = friend
			}
			_, _ = session.take(frame)
			checkAdmitted(t, got, session.session, victim)
		}
	})
}

// checkAdmitted fails if one of the messages that got through should not have.
func checkAdmitted(t *testing.T, got inbox, s *session, victim string) {
	for len(got) > 0 {
		a := <-got
		if s.peer != friend {
			t.Fatalf("from a stranger: %v", a)
		}
		m, ok := a.msg.(proto.Message)
		if !ok || encodable(m) != nil || proto.Size(m) > maxWireBytes {
			t.Fatalf("message %v", a.msg)
		}
		if a.target.GetAddress() != victim || a.target.GetId() != inboxID {
			t.Fatalf("target %v", a.target)
		}
		if from := a.sender; from != nil && from.GetAddress() != friend &&
			(from.GetAddress() != victim || from.GetId() != inboxID && from.GetId() != "ghost") {
			t.Fatalf("sender %v", from)
		}
	}
}
