package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// acceptPause is how long the port rests when the machine has no room for another
// connection.
const acceptPause = 50 * time.Millisecond

// TCP is the transport over the network that nodes use unless they are told
// otherwise. Each node makes one connection to each peer that it sends to, with
// TLS or without, and sends frames in it, see tcp_frame.go. The sending end is a
// [lane], and the receiving end a [tcpSession].
//
// It takes half the time of [Remote], which has HTTP/2 with its frames,
// windows and goroutines below its own frames, and the names of types and
// processes in each of those. Here a process is named once in a connection.
type TCP struct {
	ports

	ctx     context.Context // done when Stop is called
	cancel  context.CancelFunc
	serving sync.WaitGroup // the port, and each connection from a peer
}

var _ Transport = (*TCP)(nil)

// NewTCP returns a transport that Start will open.
func NewTCP(c RemoteConfig) *TCP {
	t := &TCP{ports: ports{config: c}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// Start implements [Transport].
func (t *TCP) Start(system *actor.ActorSystem, p Policy) (address string, err error) {
	return t.open(t, opening{system: system, policy: p, carry: t.carry, encodes: true, serve: t.serve})
}

// Stop implements [Transport]. It takes two seconds at most.
func (t *TCP) Stop(ctx context.Context) error {
	return t.shut(ctx, func(ctx context.Context) error {
		t.cancel()
		return finish(ctx, t.serving.Wait)
	})
}

// serve lets peers in.
func (t *TCP) serve(listener net.Listener) {
	context.AfterFunc(t.ctx, func() { _ = listener.Close() })
	t.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			switch {
			case err == nil:
				t.serving.Go(func() { t.receive(conn) })
			case t.ctx.Err() != nil:
				return
			default:
				t.policy.Logger.Error("the port for peers takes no connections for now",
					slog.String("address", t.address), slog.Any("error", err))
				waitUntil(t.ctx, time.Now().Add(acceptPause))
			}
		}
	})
}

// receive serves one connection.
func (t *TCP) receive(raw net.Conn) {
	defer func() { _ = raw.Close() }() // nothing is left to be lost
	defer context.AfterFunc(t.ctx, func() { _ = raw.Close() })()
	defer func() {
		if r := recover(); r != nil {
			_ = t.guard.panicked(raw.RemoteAddr().String(), r)
		}
	}()
	_ = raw.SetDeadline(time.Now().Add(openTimeout)) // it fails if raw does, and then so does all below
	conn, certificate, err := t.guard.answer(t.ctx, raw)
	if err != nil {
		return // it was reported
	}
	s := t.guard.newTCPSession(conn, certificate)
	if refused := new(refusal); errors.As(s.serve(), &refused) {
		s.say(refused.Error())
	}
}

// carry connects to a peer and sends it what is queued, until either end stops.
func (t *TCP) carry(l *lane) {
	conn, err := t.connect(l)
	if err != nil {
		l.fail(err)
		return
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(l.ctx, func() { _ = conn.Close() })()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		text, err := readText(conn)
		if text != "" {
			err = errors.New(text)
		}
		if !isTimeout(err) { // sendAll gave it a time, and knows more
			l.fail(endOf(err))
		}
	}()
	if err := sendAll(l, conn); err != nil {
		_ = conn.SetReadDeadline(time.Now().Add(lastWords))
		<-ended
		l.fail(err)
	}
	<-ended
}

// lastWords is how long a node waits, when its connection broke, for what the peer
// may have said about it.
const lastWords = 100 * time.Millisecond

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// connect makes a connection to a peer that accepts us in time.
func (t *TCP) connect(l *lane) (conn net.Conn, err error) {
	timer := time.AfterFunc(connectTimeout, func() { l.fail(errConnectTimeout) })
	defer timer.Stop()
	raw, err := dialPeer(l.ctx, l.address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(l.ctx, func() { _ = raw.Close() })
	defer stop()
	if conn, err = t.guard.call(l.ctx, raw, l.address); err == nil {
		err = t.introduce(conn, l.address)
	}
	if err != nil {
		_ = raw.Close()
		return nil, endOf(err)
	}
	return conn, nil
}

// dialPeer makes a connection whose end is noticed although the peer's machine
// has vanished.
func dialPeer(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAliveConfig: keepalives}
	return dialer.DialContext(ctx, "tcp", address)
}

// keepalives close a connection on which nothing is sent, and whose other machine
// has vanished, in the time in which [Remote] does.
var keepalives = net.KeepAliveConfig{
	Enable: true, Idle: keepaliveTime, Interval: keepaliveTimeout / keepaliveProbes, Count: keepaliveProbes,
}

const keepaliveProbes = 2

// introduce says who we are, and returns why the peer does not accept us.
func (t *TCP) introduce(conn net.Conn, address string) error {
	if _, err := conn.Write(hello(t.address)); err != nil {
		return err
	}
	if speaks, err := readGreeting(conn); err != nil {
		return err
	} else if speaks != "" {
		return t.guard.refuse(reasonProtocol, address, speaks)
	}
	text, err := readText(conn)
	if text != "" {
		err = errors.New(text)
	}
	return err
}

const (
	// writeBytes is how much goes into one write, if as much is queued. More saves
	// no time, and two such buffers stay with the connection.
	writeBytes = 64 << 10

	// writeTimeout ends a connection whose peer takes nothing. Heartbeats notice
	// sooner; this closes what they leave behind.
	writeTimeout = keepaliveTime + keepaliveTimeout
)

// sendAll sends what is queued until the lane ends, or returns why it cannot.
func sendAll(l *lane, conn net.Conn) error {
	var sent packet
	for {
		next, ok := l.nextPacket(sent)
		if !ok {
			return nil
		}
		_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // it fails if conn does, and then so does Write
		if _, err := conn.Write(next.data); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		sent = next
	}
}
