package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/torc-io/torc/membership"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// defaultRequestTimeout is the deadline of a request whose context has none.
const defaultRequestTimeout = 5 * time.Second

// Config says what a node is. Zero values mean the defaults.
type Config struct {
	Name       string
	HTTP       string // where clients are answered, for others to know
	Zone       string
	Services   []*Service
	Membership membership.Membership
	Transport  Transport
	Logger     *slog.Logger
	Metrics    prometheus.Registerer // nil: not scrapable

	RingSize  int // partitions, if this node creates the ring; otherwise 0 or the ring's
	TargetN   int // consecutive partitions on distinct members, if it creates the ring
	Bootstrap int // members to wait for before the first ring is made

	Rebalance  Rebalance     // who decides that partitions move
	EvictAfter time.Duration // until a member that is gone is marked down; 0: never

	Transfers TransferLimits // the zero value means the default

	RequestTimeout  time.Duration
	MaxRequests     int // in flight on this node
	MaxPending      int // unanswered commands to one peer
	MailboxCommands int // waiting at one vnode
	MailboxBytes    int // the same in bytes
}

func (c *Config) setDefaults() {
	orInt := func(value *int, otherwise int) {
		if *value == 0 {
			*value = otherwise
		}
	}
	orInt(&c.TargetN, c.widest())
	orInt(&c.Bootstrap, 1)
	orInt(&c.MaxRequests, defaultMaxRequests)
	orInt(&c.MaxPending, defaultMaxPending)
	orInt(&c.MailboxCommands, defaultMailboxCommands)
	orInt(&c.MailboxBytes, defaultMailboxBytes)
	if c.Transfers == (TransferLimits{}) {
		c.Transfers = TransferLimits{Out: defaultTransfers, In: defaultTransfers}
	}
	if c.Rebalance == "" {
		c.Rebalance = RebalanceAuto
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = defaultRequestTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// widest returns how many consecutive partitions must be on distinct members for
// every service to have its replicas apart.
func (c *Config) widest() int {
	n := ring.DefaultTargetN
	for _, s := range c.Services {
		n = max(n, s.Quorum.N)
	}
	return n
}

// Node is one running member: the actor system with all that lives in it.
type Node struct {
	config       Config
	name         ring.NodeName
	logger       *slog.Logger
	system       *actor.ActorSystem
	transport    Transport
	address      string // set when the transport has started, then read-only
	pool         *pool
	table        *replyTable
	coordinators *coordinatorPool
	spawner      *vnodeSpawner
	heartbeat    *heartbeat
	keeper       *ringKeeper
	mover        *mover
	arrears      arrears
	desk         *repairDesk
	inboxes      *inboxDesk
	late         *lateCommands
	metrics      *metrics
	services     map[string]*Service
	meters       map[*Method]*methodMeter

	// view is nil until the node has a ring. proxies is complete before that,
	// and read-only from then on.
	view    atomic.Pointer[view]
	proxies map[string][]*vnodeProxy

	// nodes are those in the membership store, as last seen. They may connect
	// before this node has a ring that names them.
	nodes atomic.Pointer[[]membership.Node]
	// registered are their names by address, this node left out.
	registered atomic.Pointer[map[string]string]

	limits atomic.Value // of TransferLimits

	draining atomic.Bool // takes no new requests of its own
	stopping atomic.Bool // opens no vnode any more

	life       context.Context // of the background
	cancel     context.CancelFunc
	background sync.WaitGroup
	stopOnce   sync.Once
	stopErr    error
}

// Start runs a node and returns once it serves: its transport listens, it is
// registered, has a ring that knows it, and has heard of its peers or given
// them a second. If ctx ends first, nothing is left running.
func Start(ctx context.Context, config Config) (*Node, error) {
	config.setDefaults()
	n, err := newNode(config)
	if err != nil {
		return nil, err
	}
	if err := n.start(ctx); err != nil {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		return nil, errors.Join(err, n.Shutdown(stop))
	}
	return n, nil
}

func newNode(config Config) (*Node, error) {
	n := &Node{
		config:    config,
		name:      ring.NodeName(config.Name),
		logger:    config.Logger.With("node", config.Name),
		transport: config.Transport,
		pool:      newPool(),
		table:     newReplyTable(),
		metrics:   newMetrics(),
		services:  make(map[string]*Service),
		meters:    make(map[*Method]*methodMeter),
		proxies:   make(map[string][]*vnodeProxy),
	}
	n.coordinators = newCoordinatorPool(n, config.MaxRequests)
	n.spawner = newVnodeSpawner(n)
	n.limits.Store(config.Transfers)
	n.life, n.cancel = context.WithCancel(context.Background())
	n.heartbeat = newHeartbeat(n)
	n.mover = newMover(n)
	n.desk, n.inboxes = &repairDesk{n}, newInboxDesk(n)
	n.late = &lateCommands{}
	for _, s := range config.Services {
		if err := n.addService(s); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *Node) addService(s *Service) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if _, taken := n.services[s.Name]; taken {
		return fmt.Errorf("two services are named %q", s.Name)
	}
	n.services[s.Name] = s
	for _, m := range s.methods {
		n.meters[m] = newMethodMeter(s.Name, m.Name, n.metrics.panics, len(n.coordinators.stripes.all))
	}
	return nil
}

// start brings the parts up in the order in which they need each other: the
// permanent processes before the port opens, the address before it is told.
func (n *Node) start(ctx context.Context) error {
	n.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet(n.logger) }),
		actor.WithDeadLetterRequestLogging(false))
	n.system.ProcessRegistry.Add(n.table, replyTableID)
	n.system.ProcessRegistry.Add(n.heartbeat, heartbeatID)
	n.system.ProcessRegistry.Add(n.desk, repairDeskID)
	n.system.ProcessRegistry.Add(n.inboxes, inboxDeskID)
	address, err := n.transport.Start(n.system, n.policy())
	if err != nil {
		return err
	}
	n.address = address
	n.heartbeat.self = actor.NewPID(address, heartbeatID)
	if err := n.enter(ctx); err != nil {
		return err
	}
	n.background.Go(func() { n.keeper.run(n.life) })
	n.background.Go(func() { n.heartbeat.run(n.life) })
	n.background.Go(func() { (&claimant{n}).run(n.life) })
	n.background.Go(func() { n.mover.run(n.life) })
	return n.heartbeat.settled(ctx)
}

// enter makes the node known and gives it a ring.
func (n *Node) enter(ctx context.Context) error {
	self := membership.Node{
		Name: n.config.Name, Address: n.address, HTTP: n.config.HTTP, Zone: n.config.Zone,
		Incarnation: newIncarnation(time.Now()),
	}
	if err := n.config.Membership.Register(ctx, self); err != nil {
		return fmt.Errorf("register the node: %w", err)
	}
	n.background.Go(n.watchNodes)
	n.keeper = &ringKeeper{node: n, self: self}
	if err := n.keeper.join(ctx); err != nil {
		return err
	}
	if n.config.Metrics == nil {
		return nil
	}
	return n.metrics.register(n, n.config.Metrics)
}

// newIncarnation tells one start of a node from all others: it grows with the
// milliseconds, and chance tells apart two that start in the same one.
func newIncarnation(now time.Time) uint64 {
	const chanceBits = 20
	return uint64(now.UnixMilli())<<chanceBits | uint64(rand.Uint32N(1<<chanceBits))
}

// watchNodes keeps up with who is registered.
func (n *Node) watchNodes() {
	for nodes := range n.config.Membership.WatchNodes(n.life) {
		n.nodes.Store(&nodes)
		members := make([]ring.Member, len(nodes))
		for i, node := range nodes {
			members[i] = memberOf(node)
		}
		registered := residents(members, n.name)
		n.registered.Store(&registered)
	}
}

// knows returns who lives at an address: a node that has registered, and is a
// member or about to become one, or else a member of the ring. Registrations
// come first: they are of running processes, and the ring follows them. The node
// itself is one: it may own a neighbour of a partition that it recovers.
func (n *Node) knows(address string) (name string, ok bool) {
	if registered := n.registered.Load(); registered != nil {
		if name, ok = (*registered)[address]; ok {
			return name, true
		}
	}
	v := n.view.Load()
	if v == nil {
		return "", false
	}
	if self, member := v.ring.Member(n.name); member && self.Address == address {
		return string(n.name), true
	}
	name, ok = v.residents[address]
	return name, ok
}

// policy tells the transport what to let in.
func (n *Node) policy() Policy {
	return Policy{
		Target:   n.isPublic,
		Peer:     n.knows,
		Broken:   n.heartbeat.broken,
		Handoff:  n.receiveHandoff,
		Rejected: func(reason string) { n.metrics.rejected.WithLabelValues(reason).Inc() },
		Logger:   n.logger,
	}
}

// isPublic says whether peers may address a process: the permanent ones alone.
func (n *Node) isPublic(id string) bool {
	process, ok := n.system.ProcessRegistry.GetLocal(id)
	if !ok {
		return false
	}
	switch process.(type) {
	case *vnodeProxy, *replyTable, *heartbeat, *repairDesk, *inboxDesk:
		return true
	}
	return false
}

// makeProxies registers the address of every vnode there can be.
func (n *Node) makeProxies(size int) {
	for name, s := range n.services {
		proxies := make([]*vnodeProxy, size)
		for p := range proxies {
			id := fmt.Sprintf("%s/%d", name, p)
			proxies[p] = &vnodeProxy{node: n, service: s, partition: ring.Partition(p), id: id}
			n.system.ProcessRegistry.Add(proxies[p], id)
		}
		n.proxies[name] = proxies
	}
}

// openOwned starts the vnodes of the partitions that the ring gives this node.
// Founding says that this is the first ring there has been.
func (n *Node) openOwned(founding bool) {
	for p := range n.view.Load().ring.Owned(n.name) {
		for _, proxies := range n.proxies {
			proxies[p].open(founding)
		}
	}
}

// assume tells the vnodes what they are by r. Those of which nothing has changed
// since the ring old need not know, unless they recover: their sources may have.
func (n *Node) assume(old, r *ring.Ring) {
	for _, proxies := range n.proxies {
		for _, p := range proxies {
			report := p.report.Load()
			if report != nil && (report.Concerns(p.partition, old, r) || p.assuming.Load() != 0) {
				p.assume(r)
			}
		}
	}
}

// Name returns the node's name.
func (n *Node) Name() ring.NodeName { return n.name }

// Address returns where the inter-node transport listens.
func (n *Node) Address() string { return n.address }

// Ring returns the ring in use. It is immutable; a later call may return another.
func (n *Node) Ring() *ring.Ring { return n.view.Load().ring }

// Services returns the node's services by name.
func (n *Node) Services() map[string]*Service { return n.services }

// Ready says whether the node takes requests: it has a ring and is not stopping.
func (n *Node) Ready() bool { return n.view.Load() != nil && !n.draining.Load() }

// Nodes returns the processes that the membership store last showed, by name.
func (n *Node) Nodes() []membership.Node {
	if nodes := n.nodes.Load(); nodes != nil {
		return *nodes
	}
	return nil
}

// Liveness returns what this node thinks of a member right now.
func (n *Node) Liveness(name ring.NodeName) membership.Liveness { return n.heartbeat.liveness(name) }

// Reachable says whether this node would send requests to a member right now.
func (n *Node) Reachable(name ring.NodeName) bool { return n.view.Load().canReach(name) }

func (n *Node) epoch() ring.Epoch {
	if v := n.view.Load(); v != nil {
		return v.ring.Epoch()
	}
	return 0
}

func (n *Node) peer(name string) (*peer, bool) {
	v := n.view.Load()
	if v == nil {
		return nil, false
	}
	p, known := v.peers[ring.NodeName(name)]
	return p, known
}

// Shutdown stops the node: it takes no new requests, lets those in flight end,
// deregisters, answers what still waits for its vnodes, closes them, and ends
// everything that Start began. It is not a leave: the node stays a member, and
// its partitions stay its own. If ctx ends first, what is left is cut off and
// the error says so. Later calls return what the first did.
func (n *Node) Shutdown(ctx context.Context) error {
	n.stopOnce.Do(func() { n.stopErr = n.shutdown(ctx) })
	return n.stopErr
}

func (n *Node) shutdown(ctx context.Context) error {
	n.draining.Store(true)
	n.inboxes.close()
	drained := n.drain(ctx)
	deregistered := n.config.Membership.Deregister(ctx)
	n.stopping.Store(true)
	closed := n.closeVnodes(ctx)
	n.cancel()
	n.background.Wait()
	stopped := n.transport.Stop(ctx)
	n.table.close()
	n.coordinators.close()
	n.pool.Close()
	n.system.Shutdown()
	return errors.Join(drained, deregistered, closed, stopped)
}

// drainPoll is how often drain looks; it is the resolution of a clean stop.
const drainPoll = 5 * time.Millisecond

// drain waits for this node's requests to end. The other nodes' commands are
// still executed meanwhile.
func (n *Node) drain(ctx context.Context) error {
	ticker := time.NewTicker(drainPoll)
	defer ticker.Stop()
	for n.table.inFlight() > 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%d requests had not ended: %w", n.table.inFlight(), context.Cause(ctx))
		}
	}
	return nil
}

// closeVnodes closes all vnodes, and answers the commands that wait for them:
// their coordinators go to a fallback.
func (n *Node) closeVnodes(ctx context.Context) error {
	var closing []<-chan struct{}
	for _, proxies := range n.proxies {
		for _, p := range proxies {
			closing = append(closing, p.close(transportpb.Code_CODE_STOPPING))
		}
	}
	open := 0
	for _, closed := range closing {
		select {
		case <-closed: // counts as closed also when ctx has ended
			continue
		default:
		}
		select {
		case <-closed:
		case <-ctx.Done():
			open++
		}
	}
	if open > 0 {
		return fmt.Errorf("%d vnodes had not closed: %w", open, context.Cause(ctx))
	}
	return nil
}
