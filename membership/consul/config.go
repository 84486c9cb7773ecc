package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"
)

const (
	// defaultTTL lets a check miss two of its passes, 5 s apart, before it fails.
	defaultTTL = 15 * time.Second
	// minTTL keeps the passes a second apart: more often says nothing more, and
	// each is a write of the agent to its own disk.
	minTTL = 3 * time.Second
	// defaultDeregisterAfter outlasts every outage in which somebody still hopes
	// for the node, and yet clears away what nobody remembers.
	defaultDeregisterAfter = 24 * time.Hour
	// minDeregisterAfter is the default time after which a dead member is evicted
	// from the ring. Its service must not be gone sooner: that would look like a
	// node that was deregistered.
	minDeregisterAfter = 10 * time.Minute
)

// Config says which cluster a process belongs to, and how it reaches Consul.
//
// What is not in it comes from the standard environment, as for Consul's own
// tools: CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_HTTP_TOKEN_FILE,
// CONSUL_HTTP_AUTH, CONSUL_HTTP_SSL, CONSUL_HTTP_SSL_VERIFY, CONSUL_CACERT,
// CONSUL_CAPATH, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY, CONSUL_TLS_SERVER_NAME,
// CONSUL_NAMESPACE and CONSUL_PARTITION.
type Config struct {
	// Cluster is the name of the cluster: 1 to 64 letters, digits, '-', '_' and
	// '.', beginning with a letter or digit. It is the name of the service too.
	Cluster string

	// Agent is the address of the local agent: host:port, http://…, https://… or
	// unix://…. Empty: CONSUL_HTTP_ADDR, or else localhost:8500.
	Agent string
	// TokenFile holds the ACL token. It is read again for every call, so that a
	// rotated token needs no restart. Empty: CONSUL_HTTP_TOKEN_FILE, if set.
	TokenFile string

	// SelfTest says whether the node really works, as by a request through it. It
	// is called every third of TTL, with as much time, never twice at once; its
	// error is shown in Consul. Until it has returned nil once, the node counts as
	// starting ("warning"), afterwards as broken ("critical"). While it does not
	// return at all, the check fails by its TTL. Nil: the process runs, therefore
	// it works.
	SelfTest func(ctx context.Context) error

	// RingSize and Version inform whoever looks into the catalog, if not zero.
	RingSize int
	Version  string

	// TTL is how long the check stays passed without a new pass: 3 s or more, or
	// 0 for 15 s. Above 15 s, passes still come every 5 s, since they also find
	// an agent that has forgotten the node.
	TTL time.Duration
	// DeregisterAfter is how long the check may be critical until Consul drops the
	// service: 10 minutes or more, or 0 for a day.
	DeregisterAfter time.Duration

	// Logger gets what changes between the node and Consul. Nil: nobody does.
	Logger *slog.Logger
}

func (c *Config) setDefaults() {
	if c.TTL == 0 {
		c.TTL = defaultTTL
	}
	if c.DeregisterAfter == 0 {
		c.DeregisterAfter = defaultDeregisterAfter
	}
	if c.SelfTest == nil {
		c.SelfTest = func(context.Context) error { return nil }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func (c *Config) validate() error {
	var errs []error
	if err := validateName(c.Cluster); err != nil {
		errs = append(errs, fmt.Errorf("consul: name of the cluster: %w", err))
	}
	if c.TTL < minTTL {
		errs = append(errs, fmt.Errorf("consul: a TTL of %s is less than %s", c.TTL, minTTL))
	}
	if c.DeregisterAfter < minDeregisterAfter {
		errs = append(errs, fmt.Errorf("consul: to deregister after %s is sooner than %s", c.DeregisterAfter, minDeregisterAfter))
	}
	return errors.Join(errs...)
}

// namePattern: names of clusters and nodes become part of service ids, of paths of keys and of
// URLs, where a slash or two dots would lead elsewhere.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func validateName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("%q is not 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit", name)
	}
	return nil
}
