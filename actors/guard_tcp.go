package actors

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// answer takes a connection as the one who was called, with TLS if the node has it,
// and returns the verified certificate of the other end. A failure was reported.
func (g *guard) answer(ctx context.Context, raw net.Conn) (net.Conn, *x509.Certificate, error) {
	if keeps, ok := raw.(*net.TCPConn); ok {
		_ = keeps.SetKeepAliveConfig(keepalives) // it fails if raw does, and then so does all below
	}
	if g.identity == nil {
		return raw, nil, nil
	}
	config := g.identity.Server()
	current := config.GetConfigForClient
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c, err := current(hello)
		if err == nil {
			c.NextProtos = []string{tcpProtocol}
		}
		return c, err
	}
	conn := tls.Server(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		g.reportHandshake(raw.RemoteAddr().String(), err)
		return nil, nil, err
	}
	return conn, conn.ConnectionState().PeerCertificates[0], nil
}

// call does it as the one who calls the member at an address. If ctx ended
// meanwhile, nothing is wrong with the peer.
func (g *guard) call(ctx context.Context, raw net.Conn, address string) (net.Conn, error) {
	if g.identity == nil {
		return raw, nil
	}
	name, err := g.resident(address)
	if err != nil {
		return nil, err
	}
	config := g.identity.Client(name)
	config.NextProtos = []string{tcpProtocol}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		if ctx.Err() == nil {
			g.reportHandshake(name+" at "+address, err)
		}
		return nil, err
	}
	return conn, nil
}

// tcpSession is a session over a connection of [TCP].
type tcpSession struct {
	*session

	conn    net.Conn
	named   []*named // by number, from 1
	decoder *decoder
}

func (g *guard) newTCPSession(conn net.Conn, certificate *x509.Certificate) *tcpSession {
	return &tcpSession{session: g.newSession(certificate), conn: conn, decoder: newDecoder()}
}

// named is a process that the peer has given a number. Its PID is shared by the
// messages, so it is not written to.
type named struct {
	pid *actor.PID
	// here is the process, once it was found to be a permanent one that peers may
	// address, which it then is for good.
	here permanent
}

// permanent is a process that stays under its id for as long as its node does. It
// takes a message from a peer without an address and an envelope made for it.
type permanent interface {
	actor.Process

	// takeFromPeer takes a message for one request, to be answered to sender. But
	// for its strings, the message is good only until it returns.
	takeFromPeer(request uint32, sender *actor.PID, msg proto.Message)
}

// serve takes frames until the connection ends or breaks the rules.
func (s *tcpSession) serve() error {
	if err := s.greet(); err != nil {
		return err
	}
	defer s.sessions.Add(-1)
	if s.sessions.Add(1) > maxSessions {
		return s.refuse(reasonSessions, s.peer, fmt.Sprintf("the limit is %d", maxSessions))
	}
	if err := s.write(appendText(nil, "")); err != nil { // it is accepted
		return err
	}
	if err := s.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	in := frameReader{from: s.conn}
	for {
		frame, err := in.next()
		if errors.Is(err, errFrameTooLarge) {
			return s.refuse(reasonTooLarge, s.peer, err.Error())
		}
		if err != nil {
			return err
		}
		if err := s.take(frame); err != nil {
			return err
		}
	}
}

// greet learns who is speaking. Without TLS this is only their word for it.
func (s *tcpSession) greet() error {
	address, speaks, err := readHello(s.conn)
	if errors.Is(err, errFrameTooLarge) {
		return s.refuse(reasonTooLarge, s.conn.RemoteAddr().String(), err.Error())
	}
	if err != nil {
		return err
	}
	if err := s.write(greeting()); err != nil {
		return err
	}
	if speaks != "" {
		return s.refuse(reasonProtocol, s.conn.RemoteAddr().String(), speaks)
	}
	s.peer = address
	s.name, err = s.memberAt(address)
	return err
}

func (s *tcpSession) write(b []byte) error {
	_, err := s.conn.Write(b)
	return err
}

// say tells the peer why its connection ends.
func (s *tcpSession) say(text string) {
	_ = s.conn.SetDeadline(time.Now().Add(lastWords))
	if err := s.write(appendText(nil, text)); err != nil {
		s.policy.Logger.Debug("could not tell a peer why it was refused", slog.String("peer", s.peer), slog.Any("error", err))
		return
	}
	// What the peer has sent and nobody read would make the kernel take the text
	// back when the connection is closed.
	_, _ = io.Copy(io.Discard, s.conn)
}

// take judges one frame, and delivers it if it is a message. An error ends the
// session. Whether the peer is a member is asked each time: one that was removed
// must not go on by the connection that it has.
func (s *tcpSession) take(frame []byte) error {
	if len(frame) == 0 {
		return s.refuse(reasonUndecoded, s.peer, "an empty frame")
	}
	if frame[0] == kindNaming {
		return s.naming(frame[1:])
	}
	h, data, ok := cutHeader(frame[1:])
	switch {
	case !ok:
		return s.refuse(reasonUndecoded, s.peer, fmt.Sprintf("a message of %d bytes", len(frame)))
	case h.target == 0 || int(h.target) > len(s.named) || int(h.sender) > len(s.named):
		return s.refuse(reasonIndex, s.peer, fmt.Sprintf("target %d, sender %d of %d", h.target, h.sender, len(s.named)))
	}
	if _, err := s.memberAt(s.peer); err != nil {
		return err
	}
	if reason, detail := s.message(frame[0], h, data); reason != "" {
		_ = s.refuse(reason, s.peer, detail) // counted; the session goes on
	}
	return nil
}

// naming gives a process a number: the next one, or one that it takes from another.
func (s *tcpSession) naming(rest []byte) error {
	number, key, ok := cutNaming(rest)
	switch {
	case !ok:
		return s.refuse(reasonUndecoded, s.peer, fmt.Sprintf("a naming of %d bytes", len(rest)))
	case number < 1 || number > len(s.named)+1 || number > maxNamed:
		return s.refuse(reasonIndex, s.peer, fmt.Sprintf("the name of process %d, after %d", number, len(s.named)))
	case number == len(s.named)+1:
		s.named = append(s.named, nil)
	}
	s.named[number-1] = &named{pid: &actor.PID{Address: key.address, Id: key.id}}
	return nil
}

// message delivers one message, or returns why not.
func (s *tcpSession) message(kind byte, h header, data []byte) (reason, detail string) {
	target := s.named[h.target-1]
	reason = s.admitTo(target)
	var sender *actor.PID
	if h.sender > 0 && reason == "" {
		sender = withRequest(s.named[h.sender-1].pid, h.senderRequest)
		if sender.GetAddress() != s.peer { // who is a member, or we would not be here
			reason = s.policy.admitSender(s.self, sender)
		}
	}
	switch {
	case reason != "":
		return reason, fmt.Sprintf("to %s at %s", target.pid.GetId(), target.pid.GetAddress())
	case int(kind) >= len(kinds):
		return reasonType, fmt.Sprintf("kind %d", kind)
	}
	msg, reason, detail := s.decode(kind, target.here != nil, data)
	if reason != "" {
		return reason, detail
	}
	if target.here != nil {
		s.hand(target.here, h.targetRequest, sender, msg)
		return "", ""
	}
	return s.deliver(withRequest(target.pid, h.targetRequest), sender, msg)
}

// decode is open. Fleeting says that the message is not needed for long, so that
// one of which there are many takes the place of the one before.
func (s *tcpSession) decode(kind byte, fleeting bool, data []byte) (msg proto.Message, reason, detail string) {
	switch {
	case fleeting && kind == kindCommand:
		if c := s.decoder.decodeCommand(data); c != nil {
			return c, "", ""
		}
	case fleeting && kind == kindReply:
		if r := s.decoder.decodeReply(data); r != nil && s.claims(r) == "" {
			return r, "", ""
		}
	}
	return s.open(kinds[kind], data) // which knows what is wrong, too
}

// admitTo returns why nothing may be delivered to a process. Of a permanent one it
// is asked once.
func (s *tcpSession) admitTo(n *named) (reason string) {
	if n.here != nil {
		return ""
	}
	if reason := s.policy.admitTarget(s.self, n.pid); reason != "" {
		return reason
	}
	process, _ := s.system.ProcessRegistry.GetLocal(n.pid.GetId())
	n.here, _ = process.(permanent)
	return ""
}

// hand is deliver for a permanent process.
func (s *tcpSession) hand(to permanent, request uint32, sender *actor.PID, msg proto.Message) {
	defer s.survive()
	to.takeFromPeer(request, sender, msg)
}
