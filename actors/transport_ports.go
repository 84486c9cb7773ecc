package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

const (
	// connectTimeout bounds making a connection, from the first packet until the
	// peer has accepted us. A peer that answers no heartbeat for as long is down
	// anyway.
	connectTimeout = 2 * time.Second

	// stopTimeout bounds Stop when its context does not. Connections end within
	// milliseconds; only a delivery that hangs takes longer.
	stopTimeout = 2 * time.Second
)

// errConnectTimeout is why a lane ends whose peer takes the connection, but does
// not accept us.
var errConnectTimeout = fmt.Errorf("no answer to the connect request within %v", connectTimeout)

// RemoteConfig says where a node listens.
type RemoteConfig struct {
	// Listen is the host:port for connections from peers. Port 0 takes a free one.
	// Off loopback it takes TLS, or Insecure.
	Listen string
	// Advertise is the host:port by which peers reach Listen, if that differs.
	Advertise string
	// Handoff is the host:port for handoffs from peers; by default a free port on
	// the host of Listen. Peers reach it on the host of Advertise.
	Handoff string
	// Name is the node's own, which its certificate must have; it is of no use
	// without TLS.
	Name string
	// TLS makes all connections of the node authenticated and encrypted. All nodes
	// of a cluster have it, or none.
	TLS *TLS
	// Insecure lets a node without TLS listen off loopback. Whoever reaches its
	// port, or sees its traffic, may then read and write everything as a member.
	Insecure bool
}

// ports are what the transports over the network have in common: where they
// listen, whom they let in, and how they move items.
type ports struct {
	life

	config   RemoteConfig
	guard    *guard    // set by open
	handoffs *handoffs // set by open
}

// opening is what a transport starts with.
type opening struct {
	system  *actor.ActorSystem
	policy  Policy
	carry   func(*lane)        // see [lanes]
	encodes bool               // see [lanes]
	serve   func(net.Listener) // lets peers in, and does not wait for them
}

// open starts a transport, which has ports in it.
func (t *ports) open(self Transport, o opening) (address string, err error) {
	err = t.begin(func() error {
		t.system, t.policy = o.system, o.policy.withDefaults()
		identity, err := t.config.identity(t.policy)
		if err != nil {
			return err
		}
		listener, bulk, err := t.config.listen(t.policy.Logger)
		if err != nil {
			return err
		}
		t.guard, t.address = newGuard(t.system, t.policy, identity), t.config.Advertise
		if t.address == "" {
			t.address = listener.Addr().String()
		}
		t.lanes = newLanes(t.policy, o.carry)
		t.lanes.encodes = o.encodes
		t.system.ProcessRegistry.Address = t.address
		routeThrough(t.system, self)
		o.serve(listener)
		t.handoffs = newHandoffs(t.guard, t.address, bulk, t.config.handoffAddress(bulk))
		return nil
	})
	return t.address, err
}

// shut ends it, and waits until nothing is delivered any more: closeSessions does so for
// what peers have opened.
func (t *ports) shut(ctx context.Context, closeSessions func(context.Context) error) error {
	if !t.end() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return errors.Join(t.handoffs.close(ctx), t.lanes.close(ctx), closeSessions(ctx))
}

// Send implements [Transport].
func (t *ports) Send(to, sender *actor.PID, msg proto.Message) error {
	return t.send(parcel{target: to, sender: sender, msg: msg})
}

// HandoffAddress implements [Transport].
func (t *ports) HandoffAddress() string { return t.handoffs.address }

// OpenHandoff implements [Transport].
func (t *ports) OpenHandoff(ctx context.Context, to HandoffPeer) (HandoffOut, error) {
	if !t.running.Load() {
		return nil, fmt.Errorf("actors: handoff to %s at %s: %w", to.Name, to.Address, ErrStopping)
	}
	return t.handoffs.open(ctx, to)
}

// check refuses what no port can be opened for, or none should.
func (c RemoteConfig) check() error {
	if err := c.checkPort(c.Listen); err != nil {
		return err
	}
	if err := c.checkPort(c.handoff()); err != nil {
		return err
	}
	if c.TLS != nil && c.Insecure {
		return errors.New("actors: both TLS and Insecure are set: nothing of TLS can be left out, so choose one")
	}
	if c.Advertise == "" {
		return nil
	}
	if host, port, err := net.SplitHostPort(c.Advertise); err != nil || host == "" || port == "" {
		return fmt.Errorf("actors: advertise %q: not an address; use host:port", c.Advertise)
	}
	return nil
}

// checkPort does so for one address.
func (c RemoteConfig) checkPort(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("actors: listen on %q: %w; use host:port, such as 127.0.0.1:7000", address, err)
	}
	if c.TLS == nil && !c.Insecure && host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return fmt.Errorf("actors: listen on %s: refused off loopback without TLS, since whoever reaches the port would be taken for a member: "+
			"set TLS (--tls-ca, --tls-cert and --tls-key), or Insecure (--insecure) where all who reach it are trusted", address)
	}
	return nil
}

// listen opens the ports for commands and for handoffs.
func (c RemoteConfig) listen(logger *slog.Logger) (commands, handoffs net.Listener, err error) {
	if err := c.check(); err != nil {
		return nil, nil, err
	}
	if c.Insecure {
		logger.Warn("the ports for peers take everyone for a member who says so, and encrypt nothing",
			slog.String("listen", c.Listen), slog.String("handoff", c.handoff()))
	}
	if commands, err = listenOn(c.Listen); err != nil {
		return nil, nil, err
	}
	if handoffs, err = listenOn(c.handoff()); err != nil {
		_ = commands.Close() // nobody has used it
		return nil, nil, err
	}
	return commands, handoffs, nil
}

func listenOn(address string) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("actors: listen on %s: %w; stop what uses it, or choose another port", address, err)
	}
	return listener, nil
}
