package consul

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/torc-io/torc/membership"
)

// timing is how patient a store is. Tests are less so.
type timing struct {
	call       time.Duration // a call that does not wait for a change
	wait       time.Duration // how long a blocking query asks Consul to wait
	retryFirst time.Duration
	retryMax   time.Duration // of watches
	beatEvery  time.Duration // between passes of the check
	beatMax    time.Duration // between tries at one, when Consul is away
	reconcile  time.Duration // between looks whether the agent still knows the node
	session    time.Duration // TTL of the sessions
}

const (
	// callTimeout outlasts an election, during which servers hold a request.
	callTimeout = 5 * time.Second
	// waitTime bounds how long a watch can hang on a dead connection unnoticed,
	// at the price of a query a minute.
	waitTime = time.Minute
	// retryFirst to retryMax are the pauses before a failed query is tried again.
	retryFirst = 200 * time.Millisecond
	retryMax   = 5 * time.Second
	// beatMax leaves most of the 10 s in which an agent that restarted empty must
	// know the node again to the agent's own start.
	beatMax = 2 * time.Second
	// beatEvery is the longest time between passes, for the same reason.
	beatEvery = 5 * time.Second
	// reconcileEvery bounds how long a service stays wrong in the agent without a
	// failed pass telling so, as when someone else has overwritten it.
	reconcileEvery = 15 * time.Second
	// sessionTTL is how long a crashed claimant keeps the lock, or twice that; 10 s
	// is the least that Consul takes.
	sessionTTL = 15 * time.Second
)

func newTiming(ttl time.Duration) timing {
	return timing{
		call: callTimeout, wait: waitTime, retryFirst: retryFirst, retryMax: retryMax,
		beatEvery: min(ttl/3, beatEvery), beatMax: beatMax,
		reconcile: reconcileEvery, session: sessionTTL,
	}
}

// Store is a process's access to the membership of one cluster. It is safe for
// concurrent use, and holds no connection and no goroutine of its own while none
// of its connections is in use.
type Store struct {
	config Config
	timing timing
	client *api.Client
	token  *tokenFile

	nodes    *feed[[]membership.Node]
	document *feed[membership.Document]
	claimant *feed[string] // the session that holds the lock, or ""
	strange  remark        // on what else is registered as this service
}

// Open prepares the access to a cluster's membership. It does not talk to Consul
// yet, so it does not need one: its errors are those of the configuration, and a
// token file that cannot be read.
func Open(config Config) (*Store, error) {
	config.setDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	return open(config, newTiming(config.TTL))
}

func open(config Config, timing timing) (*Store, error) {
	// Connections are not kept: there are two short calls in five seconds, and an
	// idle connection would outlive the last of them, with its two goroutines.
	settings := api.DefaultNonPooledConfig()
	if config.Agent != "" {
		settings.Address = config.Agent
	}
	token, err := newTokenFile(config.TokenFile, settings.TokenFile)
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(settings)
	if err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	s := &Store{config: config, timing: timing, client: client, token: token}
	s.nodes = newFeed(s, "watch of the nodes", s.askNodes, slices.Equal)
	s.document = newFeed(s, "watch of the ring document", s.askDocument, sameDocument)
	s.claimant = newFeed(s, "watch of the claimant", s.askClaimant, func(a, b string) bool { return a == b })
	return s, nil
}

// Connect returns a connection for one node.
func (s *Store) Connect() membership.Membership {
	return &connection{Store: s, turn: make(chan struct{}, 1)}
}

// key returns the name of a key of this cluster.
func (s *Store) key(name string) string { return "torc/" + s.config.Cluster + "/" + name }

// read and write are the options of a call.
func (s *Store) read(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{Token: s.token.read()}).WithContext(ctx)
}

func (s *Store) consistent(ctx context.Context) *api.QueryOptions {
	options := s.read(ctx)
	options.RequireConsistent = true
	return options
}

func (s *Store) write(ctx context.Context) *api.WriteOptions {
	return (&api.WriteOptions{Token: s.token.read()}).WithContext(ctx)
}

// brief bounds a call that does not wait for a change.
func (s *Store) brief(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.timing.call)
}

// connection is one node's use of the store.
type connection struct {
	*Store

	turn         chan struct{} // holds a token while Register or Deregister runs
	registration *registration // guarded by turn; nil while not registered

	registered atomic.Pointer[membership.Node] // the node of registration
}

func (c *connection) WatchNodes(ctx context.Context) <-chan []membership.Node {
	return c.nodes.watch(ctx)
}

func (c *connection) WatchDocument(ctx context.Context) <-chan membership.Document {
	return c.document.watch(ctx)
}
