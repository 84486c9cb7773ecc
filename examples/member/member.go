// Package member is what the examples share: the flags that say which member of
// which cluster a process is, and the terminal in which one types commands while
// it serves. It stands in for the shell of the Erlang workshop.
//
//	func main() { member.Main(run) }
//
//	func run(ctx context.Context, m *member.Member) error {
//		config, err := m.Config()
//		…
//		node, err := torc.Start(ctx, config, svc)
//		…
//		return m.Attend(ctx, node, member.Command{Usage: "ping", Run: …})
//	}
//
// A node needs none of it: what it needs is a torc.Config. Copy the package along
// with the example that you begin from, and throw away what you do not use.
package member

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/membership/consul"
)

// Member is one process of an example, as its command line says.
type Member struct {
	// Name is the node's, the same after every restart.
	Name string
	// Listen is where other members reach the node; port 0 takes a free one.
	Listen string
	// HTTP is where the program answers HTTP, if not empty.
	HTTP string
	// Consul is the agent's address. Empty: a cluster of this process alone.
	Consul string
	// Cluster is the name that all members have in common.
	Cluster string
	// Bootstrap is how many members a new cluster waits for.
	Bootstrap int
	// Last, if not nil, is what to do before the node stops.
	Last func()
}

// Main runs an example until it ends or is asked to by ^C or SIGTERM.
func Main(run func(context.Context, *Member) error) {
	var m Member
	m.parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, &m)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (m *Member) parse() {
	flag.StringVar(&m.Name, "name", "solo", "`name` of this member, unique in the cluster")
	flag.StringVar(&m.Listen, "listen", "127.0.0.1:0", "`address` for other members")
	flag.StringVar(&m.HTTP, "http", "", "`address` to answer HTTP at, node send among it")
	flag.StringVar(&m.Consul, "consul", "", "`address` of the Consul agent; without it this member is alone")
	flag.StringVar(&m.Cluster, "cluster", "workshop", "`name` of the cluster")
	flag.IntVar(&m.Bootstrap, "bootstrap", 1, "how many members a new cluster waits for")
	flag.Parse()
}

// Config returns what the flags mean to torc.Start.
func (m *Member) Config() (torc.Config, error) {
	config := torc.Config{Name: m.Name, Listen: m.Listen, HTTP: m.HTTP, Bootstrap: m.Bootstrap}
	if m.Consul == "" {
		return config, nil // an embedded cluster of one
	}
	store, err := consul.Open(consul.Config{Cluster: m.Cluster, Agent: m.Consul})
	if err != nil {
		return config, err
	}
	config.Membership = store.Connect()
	return config, nil
}
