package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/membership/local"
)

// starting is the command start: one member.
type starting struct {
	name, listen, http, zone string
	ringSize                 int
	requestTimeout           time.Duration
	level                    logLevel
}

const startLong = `start runs one member.

Its membership is embedded: it is a cluster of one, with all partitions. What is
stored is in memory, and gone when it stops.

Each flag can be given by the environment variable in brackets; the command line
comes first.`

const startExample = `  node start --name a
  node start --name a --listen 127.0.0.1:7001 --http 127.0.0.1:4001 --ring-size 64
  TORC_NAME=a TORC_LOG_LEVEL=debug node start`

func newStart(s streams) *cobra.Command {
	var c starting
	cmd := &cobra.Command{
		Use: "start --name NAME", Short: "Run one member", Long: startLong, Example: startExample,
		Args: takes(0, 0, "flags alone"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context(), s) },
	}
	f := cmd.Flags()
	f.StringVar(&c.name, "name", "", "name of the member: unique in its cluster, and the same after a restart (required)")
	f.StringVar(&c.listen, "listen", "127.0.0.1:7000", "where other members reach this one, host:port")
	f.StringVar(&c.http, "http", defaultHTTP, "where clients are answered, host:port")
	f.StringVar(&c.zone, "zone", "", "failure domain, shown beside the member")
	f.IntVar(&c.ringSize, "ring-size", 0, "partitions of the ring (default 120)")
	f.DurationVar(&c.requestTimeout, "request-timeout", httpapi.DefaultTimeout, fmt.Sprintf("deadline of requests that name none, at most %v", httpapi.MaxTimeout))
	fromEnv(f, "name", "listen", "http", "zone", "ring-size", "request-timeout")
	logLevelFlag(f, &c.level, "info")
	return cmd
}

// check refuses what no member can be started with.
func (c *starting) check() error {
	switch {
	case c.name == "":
		return usagef("start needs a --name: unique in the cluster, and the same after a restart")
	case c.requestTimeout <= 0 || c.requestTimeout > httpapi.MaxTimeout:
		return usagef("--request-timeout %v: want more than 0, and at most %v", c.requestTimeout, httpapi.MaxTimeout)
	}
	for flag, address := range map[string]string{"--listen": c.listen, "--http": c.http} {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return usagef("%s: %w", flag, err)
		}
	}
	return nil
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
	logger := newLogger(s.err, c.level.Level)
	m := newMember(torc.Config{
		Name: c.name, Membership: local.NewStore().Connect(), Listen: c.listen, Zone: c.zone,
		RingSize: c.ringSize, RequestTimeout: c.requestTimeout, Logger: logger,
	}, listener)
	err = serve(ctx, logger, []*member{m}, func() error {
		_, err := fmt.Fprintf(s.out, "%s answers at %s, and other members at %s\n", c.name, m.url(), m.node.Address())
		return err
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return explainListen(err, c.listen, "--listen")
	}
	return err
}
