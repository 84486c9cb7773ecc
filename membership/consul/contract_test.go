package consul_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"go.uber.org/goleak"

	"github.com/torc-io/torc/internal/consultest"
	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/membership/consul"
	"github.com/torc-io/torc/membership/membershiptest"
)

// The tests of this package share one agent, each with a cluster of its own.
var (
	sharedAgent *consultest.Agent
	errAgent    error
	clusters    atomic.Int32
)

func TestMain(m *testing.M) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	sharedAgent, errAgent = consultest.Launch(ctx)
	cancel()
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), goleak.Cleanup(func(code int) {
		if sharedAgent != nil {
			sharedAgent.Kill()
		}
		os.Exit(code)
	}))
}

// cluster is a new and empty cluster in the shared agent.
type cluster struct {
	t      *testing.T
	name   string
	config consul.Config
	client *api.Client // for what happens behind the nodes' backs
	store  *consul.Store
}

// newCluster opens the store of a new cluster. Change makes its configuration
// another one.
func newCluster(t *testing.T, change ...func(*consul.Config)) *cluster {
	t.Helper()
	consultest.Need(t, errAgent)
	return newClusterAt(t, sharedAgent.Address(), change...)
}

func newClusterAt(t *testing.T, address string, change ...func(*consul.Config)) *cluster {
	t.Helper()
	settings := api.DefaultNonPooledConfig()
	settings.Address = address
	client, err := api.NewClient(settings)
	must(t, err)
	c := &cluster{t: t, name: fmt.Sprintf("test-%d", clusters.Add(1)), client: client}
	c.config = consul.Config{Cluster: c.name, Agent: address}
	for _, edit := range change {
		edit(&c.config)
	}
	c.store = c.open()
	return c
}

// open opens one more store of the cluster, as another process would.
func (c *cluster) open() *consul.Store {
	c.t.Helper()
	store, err := consul.Open(c.config)
	must(c.t, err)
	return store
}

func (c *cluster) Connect() membership.Membership { return c.store.Connect() }

func (c *cluster) RemoveDocument() {
	c.t.Helper()
	_, err := c.client.KV().Delete(c.key("ring"), nil)
	must(c.t, err)
}

func (c *cluster) key(name string) string { return "torc/" + c.name + "/" + name }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	membershiptest.Run(t, func(t *testing.T) membershiptest.Store {
		t.Helper()
		return newCluster(t)
	})
}

// TestContractAcrossProcesses has each connection in a store of its own, so that
// they share nothing but Consul.
func TestContractAcrossProcesses(t *testing.T) {
	membershiptest.Run(t, func(t *testing.T) membershiptest.Store {
		t.Helper()
		return apart{newCluster(t)}
	})
}

type apart struct{ *cluster }

func (a apart) Connect() membership.Membership { return a.open().Connect() }
