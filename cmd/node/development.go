package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/membership/local"
)

// maxMembers bounds a cluster within one process. It is for trying things out:
// what more members would show, these do.
const maxMembers = 64

// development is the command without a name: a cluster in one process.
type development struct {
	members  int
	ringSize int
	httpBase string
	level    logLevel
}

func (d *development) flags(flags *pflag.FlagSet) {
	flags.IntVar(&d.members, "members", 3, "how many members to start")
	flags.StringVar(&d.httpBase, "http-base", defaultHTTP, "HTTP address of the first member; the others take the ports after it. Port 0 takes free ones")
	flags.IntVar(&d.ringSize, "ring-size", 0, "partitions of the ring (default 120)")
	fromEnv(flags, "members", "http-base", "ring-size")
	logLevelFlag(flags, &d.level, "warn")
}

// run starts the cluster, says how to use it, and returns when it has stopped.
func (d *development) run(ctx context.Context, s streams) error {
	began := time.Now()
	members, err := d.prepare(ctx, s.err)
	if err != nil {
		return err
	}
	return serve(ctx, members[0].config.Logger, members, func() error {
		_, err := io.WriteString(s.out, announcement(members, time.Since(began), paletteFor(s.out)))
		return err
	})
}

// prepare opens the ports of all members, so that one that is taken is noticed
// before anything starts.
func (d *development) prepare(ctx context.Context, logs io.Writer) ([]*member, error) {
	if d.members < 1 || d.members > maxMembers {
		return nil, usagef("--members %d: want 1 to %d", d.members, maxMembers)
	}
	logger, store := newLogger(logs, d.level.Level), local.NewStore()
	var members []*member
	for i := range d.members {
		listener, err := d.listen(ctx, i)
		if err != nil {
			closeListeners(members)
			return nil, err
		}
		config := d.config(i, store.Connect())
		config.Logger = logger
		m, err := newMember(config, listener, &httpSecurity{})
		if err != nil {
			closeListeners(members)
			return nil, errors.Join(err, listener.Close())
		}
		members = append(members, m)
	}
	return members, nil
}

func (d *development) config(i int, connection membership.Membership) torc.Config {
	return torc.Config{
		Name: fmt.Sprintf("n%d", i+1), Membership: connection, Listen: "127.0.0.1:0",
		RingSize: d.ringSize, Bootstrap: d.members,
	}
}

// listen opens the HTTP port of the member with index i.
func (d *development) listen(ctx context.Context, i int) (net.Listener, error) {
	host, text, err := net.SplitHostPort(d.httpBase)
	if err != nil {
		return nil, usagef("--http-base: %w", err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, usagef("--http-base %s: the port is not a number from 0 to 65535", d.httpBase)
	}
	if port != 0 {
		port += uint64(i)
	}
	return listen(ctx, net.JoinHostPort(host, strconv.FormatUint(port, 10)), "--http-base")
}

func closeListeners(members []*member) {
	for _, m := range members {
		_ = m.listener.Close() // nobody has connected yet
	}
}

// announcement draws the ring, and says where the members are and what to try.
func announcement(members []*member, took time.Duration, p palette) string {
	r := members[0].node.Ring()
	var text strings.Builder
	fmt.Fprintf(&text, "%d members in this process, %d partitions, ready in %.2f s\n\n%s\n",
		len(members), r.Size(), took.Seconds(), drawRing(r, p))
	for _, m := range members {
		fmt.Fprintf(&text, "%-3s %s   (other members reach it at %s)\n", m.config.Name, m.url(), m.node.Address())
	}
	first, second := members[0], members[1%len(members)]
	fmt.Fprintf(&text, `
Try:
  curl -XPUT -d '{"a":"b"}' %s/api/store/my_key
  curl %s/api/store/my_key
  node where my_key%s

Ctrl-C stops the cluster, and with it goes what was stored.
`, first.url(), second.url(), httpFlag(first))
	return text.String()
}

// httpFlag is what operator commands need to find a member.
func httpFlag(m *member) string {
	if address := m.listener.Addr().String(); address != defaultHTTP {
		return " --http " + address
	}
	return ""
}
