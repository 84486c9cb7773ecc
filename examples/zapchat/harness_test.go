package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/membership/local"
)

// asProgram makes the test binary the program, for tests with real processes.
const asProgram = "ZAPCHAT_TEST_IS_THE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// deadline bounds every wait of these tests.
const deadline = 20 * time.Second

// cluster is some nodes of this process, each with a chat server on a real port.
type cluster struct {
	t       testing.TB
	store   *local.Store
	network *torc.Network
	members []*chatNode
}

type chatNode struct {
	node    *torc.Node
	chat    *chat
	lobby   *lobby
	address string
	stop    func()
}

func startCluster(t testing.TB, nodes int) *cluster {
	t.Helper()
	c := &cluster{t: t, store: local.NewStore(), network: torc.NewNetwork(), members: make([]*chatNode, nodes)}
	var wg sync.WaitGroup
	for i := range c.members {
		wg.Go(func() { c.members[i] = c.start(i, nodes, maxConnections) })
	}
	wg.Wait()
	return c
}

func (c *cluster) start(i, bootstrap, limit int) *chatNode {
	service := newChat()
	node, err := torc.Start(context.Background(), torc.Config{
		Name: fmt.Sprint("n", i+1), Membership: c.store.Connect(), Network: c.network, Bootstrap: bootstrap,
	}, service)
	if err != nil {
		c.t.Error(err)
		return nil
	}
	server, err := listen(context.Background(), "127.0.0.1:0", limit)
	if err != nil {
		c.t.Error(err)
		return nil
	}
	n := &chatNode{node: node, chat: service, address: server.listener.Addr().String()}
	n.lobby, n.stop = server.start(context.Background(), node, service)
	c.t.Cleanup(func() {
		n.stop()
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := node.Shutdown(ctx); err != nil {
			c.t.Error(err)
		}
	})
	return n
}

func (c *cluster) addresses() (all []string) {
	for _, m := range c.members {
		all = append(all, m.address)
	}
	return all
}

// client is somebody with nc.
type client struct {
	net.Conn

	t     testing.TB
	name  string
	lines chan string // without prompts; closed at the end
}

func dial(t testing.TB, name, address string) *client {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{conn, t, name, make(chan string, 10_000)}
	t.Cleanup(func() { _ = conn.Close() })
	go c.read()
	return c
}

func (c *client) read() {
	defer close(c.lines)
	for s := bufio.NewScanner(c.Conn); s.Scan(); {
		line := s.Text()
		for strings.HasPrefix(line, prompt) {
			line = line[len(prompt):] // that of the answer before
		}
		if line != "" {
			c.lines <- line
		}
	}
}

func (c *client) types(line string) {
	c.t.Helper()
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		c.t.Fatalf("%s types %q: %v", c.name, line, err)
	}
}

// next returns the next line on the screen.
func (c *client) next() (string, bool) {
	c.t.Helper()
	select {
	case line, ok := <-c.lines:
		return line, ok
	case <-time.After(deadline):
		c.t.Fatalf("%s sees nothing more", c.name)
		return "", false
	}
}

func (c *client) sees(lines ...string) {
	c.t.Helper()
	for _, want := range lines {
		if got, ok := c.next(); got != want {
			c.t.Fatalf("%s sees %q (connected: %v), want %q", c.name, got, ok, want)
		}
	}
}

// until returns all lines up to one.
func (c *client) until(last string) (all []string) {
	c.t.Helper()
	for {
		line, ok := c.next()
		if all = append(all, line); line == last {
			return all
		}
		if !ok {
			c.t.Fatalf("%s is disconnected before %q: %q", c.name, last, all)
		}
	}
}

// seesNothing wants nothing on the screen but the answer to one more line.
func (c *client) seesNothing() {
	c.t.Helper()
	c.types("anything-else?")
	c.sees("sorry, I don't understand 'anything-else?'")
}

// ended wants the connection to be closed by the server.
func (c *client) ended() {
	c.t.Helper()
	if line, ok := c.next(); ok {
		c.t.Errorf("%s sees %q, and should be disconnected", c.name, line)
	}
}

// enters connects a client that has a name and is in a room.
func enters(t testing.TB, address, name, room string) *client {
	t.Helper()
	c := dial(t, name, address)
	c.types("set-name " + name)
	c.types("join " + room)
	c.until(fmt.Sprintf("* %s has joined %s", name, room))
	return c
}
