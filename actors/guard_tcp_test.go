package actors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

// frame returns one with its length before it.
func frame(contents ...byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(contents))), contents...)
}

// naming returns a frame that gives a process a number.
func naming(number uint16, address, id string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{kindNaming}, number)
	b = binary.BigEndian.AppendUint16(b, uint16(len(address)))
	return frame(append(append(b, address...), id...)...)
}

// saying returns a frame of any kind with a header.
func saying(kind byte, target, sender uint16, data ...byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{kind}, target)
	b = binary.BigEndian.AppendUint16(append(b, 0, 0, 0, 0), sender)
	return frame(append(append(b, 0, 0, 0, 0), data...)...)
}

// toInbox returns a naming of the victim's inbox, and one message to it.
func toInbox(message []byte) func(string) []byte {
	return func(victim string) []byte { return append(naming(1, victim, inboxID), message...) }
}

// to returns a heartbeat to a process, and from returns one to the inbox from a
// process; "victim" in an address is the victim's.
func to(address, id string) func(string) []byte {
	return func(victim string) []byte {
		return append(naming(1, strings.ReplaceAll(address, "victim", victim), id), saying(kindHeartbeat, 1, 0)...)
	}
}

func from(address, id string) func(string) []byte {
	return func(victim string) []byte {
		b := append(naming(1, victim, inboxID), naming(2, strings.ReplaceAll(address, "victim", victim), id)...)
		return append(b, saying(kindHeartbeat, 1, 2)...)
	}
}

func exactly(b []byte) func(string) []byte { return func(string) []byte { return b } }

// tcpAttacks are what must do no harm, sent by friend after the introduction.
var tcpAttacks = []struct {
	name   string
	reason string // for which it is refused
	ends   bool   // the connection
	bytes  func(victim string) []byte
}{
	// Frames.
	{"an empty frame", reasonUndecoded, true, exactly(frame())},
	{"half a header", reasonUndecoded, true, exactly(frame(kindCommand, 0, 1, 0, 0))},
	{"the kind alone", reasonUndecoded, true, exactly(frame(kindReply))},
	{"a giant frame", reasonTooLarge, true, exactly([]byte{0xff, 0xff, 0xff, 0xff})},
	{"a byte too much", reasonTooLarge, true, exactly(binary.BigEndian.AppendUint32(nil, maxTCPFrame+1))},
	{"half a naming", reasonUndecoded, true, exactly(frame(kindNaming, 0, 1, 0))},
	{"an address beyond the end", reasonUndecoded, true, exactly(frame(kindNaming, 0, 1, 0, 9, 'x'))},
	{"a name that is not text", reasonUndecoded, true, exactly(naming(1, "\xff", "x"))},
	{"an id that is not text", reasonUndecoded, true, exactly(naming(1, "x", "\xff"))},
	{"a name without end", reasonUndecoded, true, exactly(naming(1, friend, strings.Repeat("x", maxNameBytes)))},

	// Numbers that point nowhere.
	{"no name yet", reasonIndex, true, exactly(saying(kindHeartbeat, 1, 0))},
	{"the target 0", reasonIndex, true, toInbox(saying(kindHeartbeat, 0, 0))},
	{"a target that has no name", reasonIndex, true, toInbox(saying(kindHeartbeat, 2, 0))},
	{"a sender that has no name", reasonIndex, true, toInbox(saying(kindHeartbeat, 1, 2))},
	{"the greatest number", reasonIndex, true, toInbox(saying(kindHeartbeat, 0xffff, 0xffff))},
	{"the name of number 0", reasonIndex, true, exactly(naming(0, friend, "x"))},
	{"a name out of turn", reasonIndex, true, exactly(naming(2, friend, "x"))},
	{"too many names", reasonIndex, true, func(string) (b []byte) {
		for i := range maxNamed + 1 {
			b = append(b, naming(uint16(i+1), friend, "x")...)
		}
		return b
	}},

	// Messages that nobody may send.
	{"an unknown kind", reasonType, false, toInbox(saying(99, 1, 0))},
	{"the last kind", reasonType, false, toInbox(saying(0xff, 1, 0))},
	{"malformed", reasonPayload, false, toInbox(saying(kindHeartbeat, 1, 0, 0xff, 0xff))},
	{"malformed text", reasonPayload, false, toInbox(saying(kindHeartbeat, 1, 0,
		protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "\xff")...))},

	// Targets and senders that are not to be named.
	{"another process", reasonTarget, false, to("victim", secretID)},
	{"no process", reasonTarget, false, to("victim", "")},
	{"guardian", reasonTarget, false, to("victim", "guardian$1")},
	{"event stream", reasonTarget, false, to("victim", "eventstream")},
	{"a process that is gone", reasonNoProcess, false, to("victim", "ghost")},
	{"a process that panics", reasonPanic, false, to("victim", "bomb")},
	{"relay", reasonTargetAddress, false, to(stranger, inboxID)},
	{"relay to a friend", reasonTargetAddress, false, to(friend, inboxID)},
	{"nonhost", reasonTargetAddress, false, to(unstarted, inboxID)},
	{"nowhere", reasonTargetAddress, false, to("", inboxID)},
	{"sent by a stranger", reasonSender, false, from(stranger, inboxID)},
	{"sent by no address", reasonSender, false, from("", inboxID)},
	{"sent by nonhost", reasonSender, false, from(unstarted, "guardian$1")},
	{"sent by a secret of the victim", reasonSender, false, from("victim", secretID)},
	{"sent by a guardian of the victim", reasonSender, false, from("victim", "guardian$1")},
}

// TestGuardTCPSurvives: of each of them nothing comes but what is counted.
func TestGuardTCPSurvives(t *testing.T) {
	onEachVictim(t, overTCP, func(t *testing.T, v *victim) {
		for _, a := range tcpAttacks {
			t.Run(a.name, func(t *testing.T) {
				g, err := enterTCP(t, v.door, friend)
				if err != nil {
					t.Fatal(err)
				}
				g.write(a.bytes(v.address))
				v.wantReason(t, a.reason)
				if a.ends {
					if err := g.end(); err == nil || !strings.Contains(err.Error(), a.reason) {
						t.Errorf("the connection ended with %v", err)
					}
				} else { // the next message gets through
					g.write(append(naming(1, v.address, inboxID), saying(kindHeartbeat, 1, 0)...))
					if got := v.next(); fmt.Sprintf("%T", got.msg) != "*transportpb.Heartbeat" {
						t.Errorf("got %v", got)
					}
				}
				v.unharmed(t)
			})
		}
	})
}

// TestGuardTCPRefusesHellos of those who are no members, or no nodes.
func TestGuardTCPRefusesHellos(t *testing.T) {
	onEachVictim(t, overTCP, func(t *testing.T, v *victim) {
		tests := []struct{ name, reason, hello, want string }{
			{"a stranger", reasonStranger, string(hello(stranger)), "not the address of a member"},
			{"the victim", reasonStranger, string(hello(v.address)), "not the address of a member"},
			{"nobody", reasonStranger, string(hello("")), "not the address of a member"},
			{"an address without end", reasonTooLarge, "torc\x01\xff\xff", "a text of 65535 bytes"},
			{"of a newer version", reasonProtocol, "torc\x02\x00\x01x", "speaks version 2 of the transport, and this node version 1"},
			{"gRPC", reasonProtocol, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "it speaks gRPC; give all nodes of the cluster the same transport"},
			{"HTTP", reasonProtocol, "GET / HTTP/1.1\r\n\r\n", `neither this node's transport nor another ("GET /"…)`},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				conn, err := v.door.open(t)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.WriteString(conn, test.hello)
				if test.reason != reasonTooLarge { // nobody is greeted who has not finished the hello
					_, _ = io.CopyN(io.Discard, conn, int64(greetingBytes))
				}
				if err := (&tcpGuest{t: t, conn: conn}).hear(); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("was told %v", err)
				}
				v.wantReason(t, test.reason)
				v.unharmed(t)
			})
		}
	})
}

// TestGuardTCPBoundsSessions opens more connections than a cluster has nodes.
func TestGuardTCPBoundsSessions(t *testing.T) {
	noLeaks(t)
	v := newVictim(t, overTCP)
	sessions := &portsOf(v.Transport).guard.sessions
	sessions.Add(maxSessions)
	if _, err := enterTCP(t, v.door, friend); err == nil || !strings.Contains(err.Error(), reasonSessions) {
		t.Errorf("got %v", err)
	}
	v.wantReason(t, reasonSessions)
	sessions.Add(-maxSessions)
	v.unharmed(t)
}

// TestGuardTCPHangsUpOnTheSilent: who says nothing, or half of it, is not waited for.
func TestGuardTCPHangsUpOnTheSilent(t *testing.T) {
	onEachVictim(t, overTCP, func(t *testing.T, v *victim) {
		conns := make(map[string]net.Conn)
		for _, said := range []string{"", "tor", "torc\x01\x00\x20x"} {
			conn, err := net.Dial("tcp", v.address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			_, _ = io.WriteString(conn, said)
			conns[said] = conn
		}
		for said, conn := range conns {
			_ = conn.SetDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
				t.Errorf("after %q: %v", said, err)
			}
		}
	})
}

// TestTransportsTellEachOtherApart: a node of one transport and a node of the
// other say what is wrong.
func TestTransportsTellEachOtherApart(t *testing.T) {
	noLeaks(t)
	for _, secure := range []bool{false, true} {
		for _, pair := range [][2]network{{overTCP, overGRPC}, {overGRPC, overTCP}} {
			t.Run(fmt.Sprintf("%s calls %s, TLS %v", pair[0].name, pair[1].name, secure), func(t *testing.T) {
				var a, b *wireNode
				var log bytes.Buffer
				if secure {
					c := newSecureCluster(t, pair[0])
					a = c.node("a")
					c.over = pair[1]
					b = c.node("b")
				} else {
					a, b = pair[0].node(t, "127.0.0.1:0"), pair[1].node(t, "127.0.0.1:0")
				}
				lanes := portsOf(a.Transport).lanes
				lanes.policy.Logger = slog.New(slog.NewTextHandler(&log, nil))
				_ = a.Send(b.pid(inboxID, 0), nil, &transportpb.Heartbeat{}) // it may know already
				await(t, a.broken, "Broken")
				if !strings.Contains(log.String(), "give all nodes of the cluster the same transport (--transport)") {
					t.Errorf("the log says %s", log.String())
				}
				if pair[0].name == "tcp" {
					a.wantReason(t, reasonProtocol)
				} else {
					b.wantReason(t, reasonProtocol)
				}
			})
		}
	}
}

// TestFrameReaderGrowsWithWhatCame: a length alone makes nobody allocate.
func TestFrameReaderGrowsWithWhatCame(t *testing.T) {
	announced := binary.BigEndian.AppendUint32(nil, maxTCPFrame)
	before := new(runtime.MemStats)
	runtime.ReadMemStats(before)
	for range 100 {
		r := frameReader{from: bytes.NewReader(announced)}
		if _, err := r.next(); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	after := new(runtime.MemStats)
	runtime.ReadMemStats(after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 100*2*readBytes {
		t.Errorf("a frame that never came took %d bytes", took/100)
	}
}

// TestFrameReader takes frames of all sizes, however they come.
func TestFrameReader(t *testing.T) {
	var all []byte
	sizes := []int{0, 1, 10, readBytes - lengthBytes, readBytes, 3, maxTCPFrame, 7, maxTCPFrame, maxTCPFrame - 1}
	for i, size := range sizes {
		all = append(all, frame(bytes.Repeat([]byte{byte(i)}, size)...)...)
	}
	for _, step := range []int{1 << 20, 60_000, 1000} {
		r := frameReader{from: &slowly{bytes.NewReader(all), step}}
		for i, size := range sizes {
			got, err := r.next()
			if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte(i)}, size)) {
				t.Fatalf("%d at a time: frame %d: %d bytes, want %d; %v", step, i, len(got), size, err)
			}
		}
		if _, err := r.next(); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
	}
}

// slowly reads so many bytes at a time at most.
type slowly struct {
	io.Reader

	step int
}

func (s *slowly) Read(b []byte) (int, error) { return s.Reader.Read(b[:min(len(b), s.step)]) }

// TestKindsAreTheWireTypes: whatever may be sent has a kind.
func TestKindsAreTheWireTypes(t *testing.T) {
	for name, messageType := range wireTypes {
		kind := kindOf(messageType.Zero().Interface())
		if kind == kindNaming || kinds[kind] != messageType {
			t.Errorf("%s has kind %d", name, kind)
		}
	}
	if len(kinds) != len(wireTypes)+1 {
		t.Errorf("%d kinds of %d types", len(kinds)-1, len(wireTypes))
	}
}

// TestFrameEncoderNamesAgain: with more processes than numbers, all messages still
// come to whom they are for.
func TestFrameEncoderNamesAgain(t *testing.T) {
	noLeaks(t)
	a, b := overTCP.node(t, "127.0.0.1:0"), overTCP.node(t, "127.0.0.1:0")
	const rounds = 2
	for round := range rounds {
		for i := range 2*maxNamed + 7 {
			sender := a.pid(fmt.Sprint("sender ", i), uint32(round))
			until(t, "there is room", func() bool {
				return a.Send(b.pid(inboxID, uint32(i)), sender, &transportpb.Heartbeat{Sequence: uint64(i)}) == nil
			})
			got := b.next()
			if !got.sender.Equal(sender) || got.target.GetRequestId() != uint32(i) || got.msg.(*transportpb.Heartbeat).GetSequence() != uint64(i) {
				t.Fatalf("message %d came as %v from %v", i, got.msg, got.sender)
			}
		}
	}
}

// FuzzGuardTCP gives a session arbitrary bytes. Whatever they are, nothing but
// allowed messages between allowed parties gets through, and what the session keeps
// has a bound.
func FuzzGuardTCP(f *testing.F) {
	const victim = "127.0.0.1:1"
	for _, a := range tcpAttacks {
		if b := a.bytes(victim); len(b) < 10_000 {
			f.Add(b)
		}
	}
	e := newFrameEncoder()
	_ = e.append(&parcel{
		target: &actor.PID{Address: victim, Id: inboxID, RequestId: 3}, sender: actor.NewPID(friend, "x"),
		msg: &transportpb.Command{Method: "Store", Payload: []byte("x"), Epoch: 7},
	})
	f.Add(e.data)
	s := quietSystem()
	s.ProcessRegistry.Address = victim
	got := make(inbox, 1<<16)
	s.ProcessRegistry.Add(got, inboxID)
	g := newGuard(s, Policy{
		Target: func(id string) bool { return id == inboxID || id == "ghost" },
		Peer:   func(address string) (string, bool) { return "friend", address == friend },
	}, nil)
	f.Fuzz(func(t *testing.T, data []byte) {
		session := g.newTCPSession(nil, nil)
		session.peer = friend
		r := frameReader{from: bytes.NewReader(data)}
		for {
			contents, err := r.next()
			if err == nil {
				err = session.take(contents)
			}
			checkAdmitted(t, got, session.session, victim)
			if err != nil {
				break
			}
		}
		if len(session.named) > maxNamed || len(r.buffer) > 2*max(readBytes, len(data)) {
			t.Errorf("%d names, a buffer of %d bytes", len(session.named), len(r.buffer))
		}
	})
}

// FuzzFrames: what is encoded is what is decoded.
func FuzzFrames(f *testing.F) {
	f.Add("127.0.0.1:1", "kv/12", uint32(0), "127.0.0.1:2", "reply", uint32(7), []byte("x"))
	f.Add("", "", uint32(1), "", "", uint32(0), []byte{})
	f.Fuzz(func(t *testing.T, address, id string, request uint32, from, reply string, answer uint32, payload []byte) {
		target := &actor.PID{Address: strings.ToValidUTF8(address, "?"), Id: strings.ToValidUTF8(id, "?"), RequestId: request}
		sender := &actor.PID{Address: strings.ToValidUTF8(from, "?"), Id: strings.ToValidUTF8(reply, "?"), RequestId: answer}
		if nameBytes(target) > maxNameBytes || nameBytes(sender) > maxNameBytes || len(payload) > MaxMessageBytes {
			return
		}
		sent := &transportpb.Command{Payload: payload}
		e := newFrameEncoder()
		for range 2 { // with the names, and without
			if err := e.append(&parcel{target: target, sender: sender, msg: sent}); err != nil {
				t.Fatal(err)
			}
		}
		r := frameReader{from: bytes.NewReader(e.data)}
		names := map[uint16]pidKey{}
		for messages := 0; messages < 2; {
			contents, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			if contents[0] == kindNaming {
				number, key, ok := cutNaming(contents[1:])
				if !ok {
					t.Fatalf("a naming that is none: %q", contents)
				}
				names[uint16(number)] = key
				continue
			}
			messages++
			h, data, ok := cutHeader(contents[1:])
			came := new(transportpb.Command)
			if !ok || proto.Unmarshal(data, came) != nil || !proto.Equal(came, sent) {
				t.Errorf("came as %v", came)
			}
			if names[h.target] != (pidKey{target.GetAddress(), target.GetId()}) || h.targetRequest != request ||
				names[h.sender] != (pidKey{sender.GetAddress(), sender.GetId()}) || h.senderRequest != answer {
				t.Errorf("%+v of %v", h, names)
			}
		}
	})
}

// FuzzDecoder: it says what proto.Unmarshal says.
func FuzzDecoder(f *testing.F) {
	for _, m := range []proto.Message{
		&transportpb.Command{Method: "Store", Payload: []byte("x"), Epoch: 7, TimeoutNanos: -1, Fallback: true, Forwarded: true},
		&transportpb.Reply{Partition: 7, Node: "a", Code: 3, Payload: []byte("x"), Error: "no", Epoch: 9, Behind: true},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, b...)) // each field twice
		f.Add(b[:len(b)-1])
	}
	d := newDecoder()
	f.Fuzz(func(t *testing.T, data []byte) {
		command, reply := new(transportpb.Command), new(transportpb.Reply)
		known := func(m proto.Message) proto.Message { // without what a newer node added
			m.ProtoReflect().SetUnknown(nil)
			return m
		}
		if err, got := proto.Unmarshal(data, command), d.decodeCommand(data); (err == nil) != (got != nil) || err == nil && !proto.Equal(got, known(command)) {
			t.Errorf("command %v, %v; want %v", got, err, command)
		}
		if err, got := proto.Unmarshal(data, reply), d.decodeReply(data); (err == nil) != (got != nil) || err == nil && !proto.Equal(got, known(reply)) {
			t.Errorf("reply %v, %v; want %v", got, err, reply)
		}
		if len(d.texts) > maxTexts {
			t.Errorf("%d texts", len(d.texts))
		}
	})
}
