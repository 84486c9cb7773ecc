package consul

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/torc-io/torc/membership"
)

// startingBeat is the time between self tests until one is passed: a node that
// has just started should not look unwell for longer than it is.
const startingBeat = time.Second

// maxOutput bounds what of a self test's error is shown in Consul, which keeps
// 4 KiB of it (check_output_max_size).
const maxOutput = 2 << 10

// errForeignID: the ids <cluster>-<node> of "a-b" with "c" and of "a" with "b-c"
// are the same, and an agent has one service of an id.
var errForeignID = errors.New("the agent has another cluster's service under this node's id")

// registration keeps one node known. Its fields belong to Register until its
// goroutine runs, then to that, and after it to Deregister.
type registration struct {
	store      *Store
	self       membership.Node
	service    *api.AgentServiceRegistration
	session    string    // holds the name; "" while it is lost
	status     string    // of the check, as last told
	passed     bool      // some self test
	reconciled time.Time // when the agent last was seen to know the service
	outage     outage

	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine has ended
}

// Register returns when the node is in the catalog. While Consul is away it tries
// on until ctx ends. It returns at once if the name is taken, if the agent
// refuses the call (no permission), or the node's name or address is unfit.
func (c *connection) Register(ctx context.Context, self membership.Node) error {
	done, err := c.takeTurn(ctx)
	if err != nil {
		return fmt.Errorf("consul: register %s: %w", self.Name, err)
	}
	defer done()
	if c.registration != nil {
		return fmt.Errorf("consul: register %s: this connection has registered %s", self.Name, c.registration.self.Name)
	}
	r, err := c.newRegistration(self)
	if err == nil {
		err = r.start(ctx)
	}
	if err != nil {
		return fmt.Errorf("consul: register %s: %w", self.Name, err)
	}
	c.registration = r
	c.registered.Store(&self)
	return nil
}

// Deregister removes the service from the agent and ends the session that holds
// the name. If the agent is away it returns an error and leaves both to their
// TTLs.
func (c *connection) Deregister(ctx context.Context) error {
	done, err := c.takeTurn(ctx)
	if err != nil {
		return fmt.Errorf("consul: deregister: %w", err)
	}
	defer done()
	r := c.registration
	if r == nil {
		return nil
	}
	c.registration = nil
	c.registered.Store(nil)
	if err := r.stop(ctx); err != nil {
		return fmt.Errorf("consul: deregister %s: %w", r.self.Name, err)
	}
	return nil
}

// takeTurn makes the caller the only one that registers or deregisters.
func (c *connection) takeTurn(ctx context.Context) (done func(), err error) {
	select {
	case c.turn <- struct{}{}:
		return func() { <-c.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *Store) newRegistration(self membership.Node) (*registration, error) {
	if err := validateName(self.Name); err != nil {
		return nil, fmt.Errorf("name of the node: %w", err)
	}
	service, err := s.service(self)
	if err != nil {
		return nil, err
	}
	return &registration{
		store: s, self: self, service: service, cancel: func() {}, done: make(chan struct{}),
		outage: outage{logger: s.config.Logger.With("node", self.Name), what: "registration"},
	}, nil
}

// start registers the node, and keeps it so from then on. After an error nothing
// is left of it, or what is left ends by its TTL.
func (r *registration) start(ctx context.Context) error {
	if err := r.enter(ctx); err != nil {
		if r.session != "" {
			_ = r.remove(context.WithoutCancel(ctx))
		}
		return err
	}
	background, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go r.run(background)
	if err := r.awaitCatalog(ctx); err != nil {
		brief, cancel := r.store.brief(context.WithoutCancel(ctx))
		defer cancel()
		_ = r.stop(brief)
		return err
	}
	return nil
}

// enter tries to register until that works or is pointless.
func (r *registration) enter(ctx context.Context) error {
	retry := backoff{first: r.store.timing.retryFirst, most: r.store.timing.beatMax}
	for {
		err := r.beat(ctx, true)
		switch {
		case err == nil:
			r.outage.end()
			return nil
		case errors.Is(err, membership.ErrNameTaken), errors.Is(err, errForeignID), refused(err):
			return err
		}
		r.outage.begin(err)
		if !pause(ctx, retry.next()) {
			return fmt.Errorf("%w; last: %w", context.Cause(ctx), err)
		}
	}
}

// awaitCatalog waits until the agent has told the servers, and they this process.
func (r *registration) awaitCatalog(ctx context.Context) error {
	watch, stop := context.WithCancel(ctx)
	defer stop()
	slow := time.AfterFunc(r.store.timing.call, func() {
		r.outage.logger.Warn("consul: the agent has the node, but the catalog does not show it yet")
	})
	defer slow.Stop()
	for nodes := range r.store.nodes.watch(watch) {
		for _, n := range nodes {
			if n.Name == r.self.Name && n.Incarnation == r.self.Incarnation {
				return nil
			}
		}
	}
	return fmt.Errorf("wait for the catalog: %w", context.Cause(ctx))
}

// run beats until ctx ends.
func (r *registration) run(ctx context.Context) {
	defer close(r.done)
	retry := backoff{first: r.store.timing.retryFirst, most: r.store.timing.beatMax}
	wait := r.interval()
	for pause(ctx, wait) {
		err := r.beat(ctx, false)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			r.outage.end()
			retry.reset()
			wait = r.interval()
		case errors.Is(err, membership.ErrNameTaken):
			r.outage.begin(err)
			wait = r.store.timing.beatEvery
		default:
			r.outage.begin(err)
			wait = retry.next()
		}
	}
}

// interval returns the time between two beats.
func (r *registration) interval() time.Duration {
	if !r.passed {
		return min(startingBeat, r.store.timing.beatEvery)
	}
	return r.store.timing.beatEvery
}

// stop ends the goroutine, and what it kept up.
func (r *registration) stop(ctx context.Context) error {
	r.cancel()
	select {
	case <-r.done:
	case <-ctx.Done():
		return fmt.Errorf("the self test does not return: %w", context.Cause(ctx))
	}
	return r.remove(ctx)
}

// remove takes the node out of the agent, unless it is a successor by now, and
// gives up the name.
func (r *registration) remove(ctx context.Context) error {
	err := r.removeService(ctx)
	if r.session != "" {
		err = errors.Join(err, r.store.endSession(ctx, r.session))
	}
	return err
}

// beat is one sign of life: hold on to the name, test the node, and tell the
// agent the outcome. Starting says that it is the first.
func (r *registration) beat(ctx context.Context, starting bool) error {
	due := time.Since(r.reconciled) >= r.store.timing.reconcile
	if err := r.holdName(ctx, starting, due); err != nil {
		if r.session != "" {
			// The servers do not answer, so nobody else has got the name. The agent may,
			// and can keep the check passed until they do.
			_ = r.update(ctx, r.examine(ctx))
		}
		return err
	}
	output := r.examine(ctx)
	if due {
		if err := r.reconcile(ctx); err != nil {
			return err
		}
		r.reconciled = time.Now()
	}
	return r.tell(ctx, output)
}

// holdName renews the session that holds the name, and when a look is due also
// sees whether it still does; else it claims the name again.
func (r *registration) holdName(ctx context.Context, starting, due bool) error {
	if r.session != "" {
		holds, err := r.store.renewSession(ctx, r.session)
		if err == nil && holds && due {
			holds, err = r.store.acquire(ctx, r.store.nameKey(r.self), r.session, holderAs(r.self))
		}
		if err != nil || holds {
			return err
		}
		_ = r.store.endSession(ctx, r.session) // or it expires
	}
	session, err := r.store.claim(ctx, r.self, starting)
	r.session = session
	return err
}

// examine tests the node, notes what it has found, and returns it in words.
func (r *registration) examine(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, r.store.config.TTL/3)
	defer cancel()
	err := r.store.config.SelfTest(ctx)
	switch {
	case err == nil:
		r.status, r.passed = api.HealthPassing, true
		return "the self test was passed"
	case r.passed:
		r.status = api.HealthCritical
	default:
		r.status = api.HealthWarning // it starts
	}
	return fmt.Sprintf("the self test: %.*s", maxOutput, err)
}
