package torc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/membership/local"
	"github.com/torc-io/torc/ring"
)

// Config says what a node is. Only Name is required.
type Config struct {
	// Name of the node: unique in the cluster, and the same after every restart.
	Name string

	// Membership is the node's connection to the store that its cluster shares.
	// Nil makes a cluster of this node alone, which opens no port.
	Membership membership.Membership

	// Listen is the address of the inter-node transport; the default is a free
	// port on loopback.
	Listen string

	// Advertise is where other members reach the node, host:port, if that is not
	// Listen: behind an address translation, or when Listen takes all addresses
	// of the machine.
	Advertise string

	// Transport is what the members talk over; the default is [TransportTCP]. It
	// is the same on all members of a cluster.
	Transport Transport

	// TLS makes the connections between members authenticated and encrypted; nil
	// leaves both out. All members of a cluster have it, or none.
	TLS *TLS

	// Insecure lets a node without TLS listen off loopback, where whoever reaches
	// its port may read and write everything. Without either it does not start.
	Insecure bool

	// Network, if not nil, connects the node to others of this process without
	// sockets, for tests. Listen is then not used.
	Network *Network

	// HTTP is the address where the program around the node answers clients, for
	// other members to know. The node itself does not listen there.
	HTTP string

	// Zone is the node's failure domain.
	Zone string

	// RingSize is the number of partitions, if this node creates the ring; the
	// default is [ring.DefaultSize]. On an existing ring it must be 0 or agree.
	RingSize int

	// TargetN is how many consecutive partitions the ring keeps on distinct
	// members, if this node creates it. The default is the largest N of its
	// services, and at least [ring.DefaultTargetN].
	TargetN int

	// Bootstrap is how many members the first ring waits for; the default is 1.
	// A ring that exists is joined without waiting.
	Bootstrap int

	// Rebalance says who decides that partitions move: [RebalanceAuto], the
	// default, or [RebalanceManual]. It should be the same on all nodes.
	Rebalance Rebalance

	// EvictAfter is how long a member must be both gone from the membership
	// store and unreachable until it is marked down and its partitions are
	// planned elsewhere. The default is [membership.DefaultEvictAfter]; a
	// negative value means never.
	EvictAfter time.Duration

	// Transfers bounds what handoff may take of the node, until it is changed
	// with SetTransferLimits. The zero value means four transfers in each
	// direction, at a rate that gives way to commands.
	Transfers TransferLimits

	// ListenHandoff is where the node takes handoffs, host:port. The default is a
	// free port on the host of Listen, which peers are told.
	ListenHandoff string

	// RequestTimeout is the deadline of a request whose context has none; the
	// default is 5 s.
	RequestTimeout time.Duration

	// MailboxCommands bounds the commands that wait at one vnode; the default is
	// 1024. More are answered with [ErrOverloaded] at once.
	MailboxCommands int

	// MaxRequests bounds the requests in flight on this node; the default is
	// 10,000.
	MaxRequests int

	// Logger gets the node's log; nil discards it.
	Logger *slog.Logger

	// Metrics is where the node registers what it counts; nil leaves it out.
	Metrics prometheus.Registerer
}

// TransferStatus is what a node knows about a pending transfer.
type TransferStatus = actors.TransferStatus

// TransferLimits bound what handoff may take of a node.
type TransferLimits = actors.TransferLimits

// Rebalance says who decides that partitions move.
type Rebalance = actors.Rebalance

// The modes of Config.Rebalance.
const (
	// RebalanceAuto plans nodes in and out without an operator.
	RebalanceAuto = actors.RebalanceAuto
	// RebalanceManual moves nothing before an operator commits a plan.
	RebalanceManual = actors.RebalanceManual
)

// Transport says how the nodes of a cluster talk to each other.
type Transport string

// The transports over the network. Both have the same rules for who may say what,
// and the same TLS; handoff is over gRPC with either.
const (
	// TransportTCP sends frames of torc's own over TCP, or over TLS.
	TransportTCP Transport = "tcp"
	// TransportGRPC speaks the protocol of Proto.Actor's remote over gRPC. A request
	// over several nodes takes half as long again as with the other.
	TransportGRPC Transport = "grpc"
)

// anyPort listens on loopback at a port that is free.
const anyPort = "127.0.0.1:0"

// TLS names the files, in PEM, by which a node is known to its peers, and knows
// them: the CA of the cluster, the node's certificate, whose DNS names have that
// of the node among them, and its key. They are read again when they change.
type TLS = actors.TLS

// Network connects nodes of one process without sockets. All goroutines and
// timers of such nodes work inside a testing/synctest bubble.
type Network = actors.Network

// NewNetwork returns a network without nodes.
func NewNetwork() *Network { return actors.NewNetwork() }

// Node is a running member of a cluster. Its methods may be called from any
// goroutine.
type Node struct{ node *actors.Node }

// Start runs a node with the given services, and returns when it serves: it
// listens, is registered, has a ring that knows it, and has heard from its peers
// or given them a second. All nodes of a cluster run the same services.
//
// ctx bounds the start, not the life of the node, which ends with Shutdown.
// After an error nothing is left running.
func Start(ctx context.Context, config Config, services ...Registration) (*Node, error) {
	if config.Name == "" {
		return nil, errors.New("torc: Config.Name is empty: give the node a name that is unique in the cluster and survives restarts")
	}
	switch config.Transport {
	case "", TransportTCP, TransportGRPC:
	default:
		return nil, fmt.Errorf("torc: Config.Transport is %q: use %q, the default, or %q", config.Transport, TransportTCP, TransportGRPC)
	}
	node, err := actors.Start(ctx, config.lower(services))
	if err != nil {
		return nil, fmt.Errorf("torc: start node %s: %w", config.Name, err)
	}
	return &Node{node}, nil
}

// lower translates the configuration to that of the package below.
func (c Config) lower(services []Registration) actors.Config {
	lowered := actors.Config{
		Name: c.Name, HTTP: c.HTTP, Zone: c.Zone, Logger: c.Logger, Metrics: c.Metrics,
		RingSize: c.RingSize, TargetN: c.TargetN, Bootstrap: c.Bootstrap,
		Rebalance: c.Rebalance, EvictAfter: max(0, cmp.Or(c.EvictAfter, membership.DefaultEvictAfter)),
		Transfers: c.Transfers, RequestTimeout: c.RequestTimeout, MailboxCommands: c.MailboxCommands, MaxRequests: c.MaxRequests,
	}
	for _, s := range services {
		lowered.Services = append(lowered.Services, s.registration())
	}
	alone := c.Membership == nil
	lowered.Membership = c.Membership
	if alone {
		lowered.Membership = local.NewStore().Connect()
	}
	switch {
	case c.Network != nil:
		lowered.Transport = c.Network.Transport(c.Name)
	case alone:
		lowered.Transport = NewNetwork().Transport(c.Name)
	default:
		lowered.Transport = c.overNetwork()
	}
	return lowered
}

// overNetwork returns the transport between processes.
func (c *Config) overNetwork() actors.Transport {
	ports := actors.RemoteConfig{
		Listen: cmp.Or(c.Listen, anyPort), Advertise: c.Advertise, Handoff: c.ListenHandoff,
		Name: c.Name, TLS: c.TLS, Insecure: c.Insecure,
	}
	if c.Transport == TransportGRPC {
		return actors.NewRemote(ports)
	}
	return actors.NewTCP(ports)
}

// Name returns the node's name.
func (n *Node) Name() NodeName { return n.node.Name() }

// Address returns where the inter-node transport listens.
func (n *Node) Address() string { return n.node.Address() }

// Ring returns the ring that the node uses now. It is immutable.
func (n *Node) Ring() *ring.Ring { return n.node.Ring() }

// Ready says whether the node takes requests.
func (n *Node) Ready() bool { return n.node.Ready() }

// Reachable says whether this node would send requests to a member right now.
// It is this node's own opinion, formed by heartbeats, and moves no partition.
func (n *Node) Reachable(member NodeName) bool { return n.node.Reachable(member) }

// Liveness returns what this node thinks of a member, in more detail than
// [Node.Reachable]; of a stranger, that it is down.
func (n *Node) Liveness(member NodeName) membership.Liveness { return n.node.Liveness(member) }

// Targets returns the vnodes that a request for p with n replicas would go to
// now: primaries, and fallbacks for those that cannot be reached.
func (n *Node) Targets(p Partition, replicas int) []ring.Target { return n.node.Targets(p, replicas) }

// Nodes returns the running processes of the cluster as the membership store
// last showed them.
func (n *Node) Nodes() []membership.Node { return n.node.Nodes() }

// Transfers returns the transfers that this node knows of: those that it sends,
// receives or lacks, with their progress or what they wait for, and those that the
// ring wants from others, of which these know more.
func (n *Node) Transfers() []TransferStatus { return n.node.Transfers() }

// TransferLimits returns what handoff may take of the node.
func (n *Node) TransferLimits() TransferLimits { return n.node.TransferLimits() }

// SetTransferLimits changes it while the node runs. A transfer that has begun
// goes on; the rate holds at once.
func (n *Node) SetTransferLimits(l TransferLimits) error {
	if err := n.node.SetTransferLimits(l); err != nil {
		return fmt.Errorf("torc: %w", err)
	}
	return nil
}

// Plan returns the ring that the changes would lead to, and what would move.
// Nothing happens until the plan is committed. No change plans a rebalance.
func (n *Node) Plan(changes ...ring.Change) (*ring.Plan, error) {
	plan, err := n.node.Plan(changes...)
	if err != nil {
		return nil, fmt.Errorf("torc: plan: %w", err)
	}
	return plan, nil
}

// Commit publishes exactly the plan, or returns [ErrStalePlan] if the ring has
// changed since it was made.
func (n *Node) Commit(ctx context.Context, plan *ring.Plan) error {
	if err := n.node.Commit(ctx, plan); err != nil {
		return fmt.Errorf("torc: commit: %w", err)
	}
	return nil
}

// HasLeft says whether the node is no member any more, or about to be removed,
// and holds nothing that others lack: it may be shut down.
func (n *Node) HasLeft() bool { return n.node.HasLeft() }

// Leave makes the node leave the cluster: it hands off what it owns and what it
// holds for others, and returns when it has nothing any more. It still runs then; shut it down. If ctx ends first, the leave goes on.
func (n *Node) Leave(ctx context.Context) error {
	if err := n.node.Leave(ctx); err != nil {
		return fmt.Errorf("torc: %w", err)
	}
	return nil
}

// Shutdown stops the node: it takes no new requests, lets those in flight end,
// deregisters, closes its vnodes, and ends all that Start began. It is not a
// leave: the node remains a member, and the ring does not change. If ctx ends
// first, what is left is cut off and the error says what it was.
func (n *Node) Shutdown(ctx context.Context) error {
	if err := n.node.Shutdown(ctx); err != nil {
		return fmt.Errorf("torc: shut down node %s: %w", n.Name(), err)
	}
	return nil
}
