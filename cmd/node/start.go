package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/membership"
)

// starting is the command start: one member.
type starting struct {
	name, listen, advertise, http, zone string
	handoff                             string // where to listen for it
	transferLimit                       int
	transferRate                        byteRate
	consul, cluster                     string
	ringSize, bootstrap                 int
	rebalance                           rebalanceMode
	evictAfter                          time.Duration
	leaveOnStop                         bool
	security                            security     // between members
	clients                             httpSecurity // towards clients
	requestTimeout                      time.Duration
	level                               logLevel
}

const startLong = `start runs one member of a cluster whose members find each other in Consul. They
have the same --cluster, --consul (mostly the agent on their own machine), and
each its own --name. A member that is started again under its name has its
partitions again.

Without --consul the member is a cluster of its own, with all partitions. What is
stored is in memory, and gone when it stops.

The first SIGTERM or SIGINT lets requests in flight end, and stops the member,
which remains one: a restart moves nothing. The second stops at once.

Each flag can be given by the environment variable in brackets; the command line
comes first.`

const startExample = `  node start --name a
  node start --name a --listen 127.0.0.1:7001 --http 127.0.0.1:4001 --consul 127.0.0.1:8500
  TORC_NAME=a TORC_LOG_LEVEL=debug node start --ring-size 64`

func newStart(s streams) *cobra.Command { return newStartOf(s, &starting{}) }

// newStartOf returns the command with its flags in c.
func newStartOf(s streams, c *starting) *cobra.Command {
	cmd := &cobra.Command{
		Use: "start --name NAME", Short: "Run one member", Long: startLong, Example: startExample,
		Args: takes(0, 0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), s) },
	}
	c.identityFlags(cmd.Flags())
	c.transferFlags(cmd.Flags())
	c.clusterFlags(cmd)
	c.security.flags(cmd.Flags())
	completeWords(cmd, "transport", string(torc.TransportTCP), string(torc.TransportGRPC))
	c.clients.flags(cmd.Flags())
	logLevelFlag(cmd.Flags(), &c.level, "info")
	return cmd
}

// identityFlags are about the member itself.
func (c *starting) identityFlags(f *pflag.FlagSet) {
	f.StringVar(&c.name, "name", "", "name of the member: unique in its cluster, and the same after a restart (required)")
	f.StringVar(&c.listen, "listen", "127.0.0.1:7000", "where to listen for other members, host:port")
	f.StringVar(&c.advertise, "advertise", "", "where other members reach this one, if not at --listen, host:port")
	f.StringVar(&c.http, "http", defaultHTTP, "where clients are answered, host:port")
	f.StringVar(&c.zone, "zone", "", "failure domain, shown beside the member")
	f.DurationVar(&c.requestTimeout, "request-timeout", httpapi.DefaultTimeout, fmt.Sprintf("deadline of requests that name none, at most %v", httpapi.MaxTimeout))
	f.BoolVar(&c.leaveOnStop, "leave-on-stop", false, "leave the cluster before stopping: hand off all, however long it takes")
	fromEnv(f, "name", "listen", "advertise", "http", "zone", "request-timeout", "leave-on-stop")
}

// defaultTransferLimit is the number that a node without limits begins with.
const defaultTransferLimit = 4

// transferFlags are about handoff.
func (c *starting) transferFlags(f *pflag.FlagSet) {
	f.StringVar(&c.handoff, "listen-handoff", "", "where to take handoffs of other members, host:port (default a free port on the host of --listen)")
	f.IntVar(&c.transferLimit, "transfer-limit", defaultTransferLimit, "how many transfers run at a time from the member, and as many to it, until node transfer-limit changes it")
	f.Var(&c.transferRate, "transfer-rate", "bytes per second that handoff may send, such as 10MB, until node transfer-limit changes it (default auto, which gives way to commands)")
	fromEnv(f, "listen-handoff", "transfer-limit", "transfer-rate")
}

// clusterFlags are about the cluster, and the same on all its members.
func (c *starting) clusterFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	c.rebalance = rebalanceMode(torc.RebalanceAuto)
	f.StringVar(&c.consul, "consul", "", "address of the Consul agent, host:port or a URL; --consul= for none")
	f.StringVar(&c.cluster, "cluster", "torc", "name of the cluster in Consul")
	f.IntVar(&c.ringSize, "ring-size", 0, "partitions of the ring (default 120)")
	f.IntVar(&c.bootstrap, "bootstrap", 1, "how many members a new cluster waits for before it forms; an existing one is joined at once")
	f.Var(&c.rebalance, "rebalance", "auto or manual: whether partitions move to new members by themselves, or by committed plans alone")
	f.DurationVar(&c.evictAfter, "evict-after", membership.DefaultEvictAfter, "how long a member must be gone until others get its partitions; 0 means never")
	fromEnv(f, "consul", "cluster", "ring-size", "bootstrap", "rebalance", "evict-after")
	completeWords(cmd, "rebalance", string(torc.RebalanceAuto), string(torc.RebalanceManual))
}

// rebalanceMode is the flag --rebalance.
type rebalanceMode torc.Rebalance

// Set takes one of the modes.
func (m *rebalanceMode) Set(text string) error {
	if mode := torc.Rebalance(text); mode != torc.RebalanceAuto && mode != torc.RebalanceManual {
		return fmt.Errorf("%q is neither auto nor manual", text)
	}
	*m = rebalanceMode(text)
	return nil
}

// String returns the mode.
func (m *rebalanceMode) String() string { return string(*m) }

// Type is how usage calls it.
func (m *rebalanceMode) Type() string { return "mode" }

// check refuses what no member can be started with.
func (c *starting) check() error {
	switch {
	case c.name == "":
		return usagef("start needs a --name: unique in the cluster, and the same after a restart")
	case c.requestTimeout <= 0 || c.requestTimeout > httpapi.MaxTimeout:
		return usagef("--request-timeout %v: want more than 0, and at most %v", c.requestTimeout, httpapi.MaxTimeout)
	case c.bootstrap < 1:
		return usagef("--bootstrap %d: want 1 or more", c.bootstrap)
	case c.bootstrap > 1 && c.consul == "":
		return usagef("--bootstrap %d: without --consul the member is alone, and would wait for ever", c.bootstrap)
	case c.evictAfter < 0:
		return usagef("--evict-after %v: want a duration, or 0 for never", c.evictAfter)
	case c.transferLimit < 1:
		return usagef("--transfer-limit %d: want 1 or more; node transfer-limit 0 keeps transfers of running members from beginning", c.transferLimit)
	case c.leaveOnStop && c.rebalance == rebalanceMode(torc.RebalanceManual):
		return usagef("--leave-on-stop would move partitions, and --rebalance manual says that only a committed plan may")
	}
	addresses := map[string]string{"--listen": c.listen, "--http": c.http, "--advertise": cmp.Or(c.advertise, c.listen), "--listen-handoff": cmp.Or(c.handoff, c.listen)}
	for flag, address := range addresses {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return usagef("%s: %w", flag, err)
		}
	}
	return cmp.Or(c.security.check(), c.clients.check())
}

// config returns what the flags say of the node.
func (c *starting) config(logs io.Writer) torc.Config {
	config := torc.Config{
		Name: c.name, Listen: c.listen, Advertise: c.advertise, Zone: c.zone, RingSize: c.ringSize, Bootstrap: c.bootstrap,
		Rebalance: torc.Rebalance(c.rebalance), EvictAfter: c.evictAfter,
		ListenHandoff: c.handoff,
		Transfers:     torc.TransferLimits{Out: c.transferLimit, In: c.transferLimit, Rate: int64(c.transferRate)},
		Transport:     torc.Transport(c.security.transport),
		TLS:           c.security.tls(), Insecure: c.security.insecure,
		RequestTimeout: c.requestTimeout, Logger: newLogger(logs, c.level.Level),
	}
	if c.evictAfter == 0 {
		config.EvictAfter = -1
	}
	return config
}

// run runs the member until it is told to stop.
func (c *starting) run(ctx context.Context, s streams) error {
	if err := c.check(); err != nil {
		return err
	}
	listener, err := listen(ctx, c.http, "--http")
	if err != nil {
		return err
	}
	config := c.config(s.err)
	m, err := newMember(config, listener, &c.clients)
	if err == nil {
		m.leaveOnStop = c.leaveOnStop
		m.config.Membership, err = c.store(m.test, config)
	}
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	err = serve(ctx, config.Logger, []*member{m}, func() error {
		_, err := fmt.Fprintf(s.out, "%s answers at %s, and other members at %s\n", c.name, m.url(), m.node.Address())
		return err
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return explainListen(err, c.listen, "--listen")
	}
	return err
}
