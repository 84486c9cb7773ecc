package torc_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/certs"
	"github.com/torc-io/torc/kv"
	"github.com/torc-io/torc/membership/local"
	"github.com/torc-io/torc/ping"
	pingpb "github.com/torc-io/torc/proto/torc/ping/v1"
	"github.com/torc-io/torc/ring"
)

// TestTLS: members with certificates of one CA serve each other's keys, and one
// with a certificate of another CA stays outside, whatever the store says.
func TestTLS(t *testing.T) {
	for _, over := range []torc.Transport{torc.TransportTCP, torc.TransportGRPC} {
		t.Run(string(over), func(t *testing.T) { testTLS(t, over) })
	}
}

func testTLS(t *testing.T, over torc.Transport) {
	store, own, foreign := local.NewStore(), certs.Directory(t.TempDir()), certs.Directory(t.TempDir())
	start := func(name string, d certs.Directory) (*torc.Node, *ping.Service) {
		if _, err := d.Issue([]string{name}, nil, false); err != nil {
			t.Error(err)
		}
		files, pings := torc.TLS(d.Node(name)), ping.New()
		n, err := torc.Start(t.Context(), torc.Config{
			Name: name, Membership: store.Connect(), Transport: over, TLS: &files, Bootstrap: 2, RingSize: 16,
		}, pings)
		if err != nil {
			t.Error(err)
			return nil, nil
		}
		t.Cleanup(func() { shutdown(t, n) })
		return n, pings
	}
	if _, err := own.Issue([]string{"first"}, nil, false); err != nil { // and the CA
		t.Fatal(err)
	}
	var a, b *torc.Node
	var pings *ping.Service
	var both sync.WaitGroup
	both.Go(func() { a, pings = start("a", own) })
	both.Go(func() { b, _ = start("b", own) })
	both.Wait()
	if a == nil || b == nil {
		t.FailNow()
	}
	c, _ := start("c", foreign)
	if !a.Reachable("b") || !b.Reachable("a") {
		t.Error("a and b do not reach each other")
	}
	if a.Reachable("c") || b.Reachable("c") || c.Reachable("a") {
		t.Error("c is reached, or reaches somebody")
	}
	answered := map[string]bool{}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, key := range someKeys(50) {
		pong, err := pings.Ping.Do(ctx, a, &pingpb.Ping{Key: []byte(key)})
		if err != nil {
			t.Fatal(err)
		}
		answered[pong.GetNode()] = true
	}
	if !answered["a"] || !answered["b"] || answered["c"] {
		t.Errorf("answered by %v", answered)
	}
}

// TestUnknownTransport is refused with those that there are.
func TestUnknownTransport(t *testing.T) {
	_, err := torc.Start(t.Context(), torc.Config{Name: "a", Transport: "udp"})
	if err == nil || !strings.Contains(err.Error(), `"udp": use "tcp", the default, or "grpc"`) {
		t.Errorf("got %v", err)
	}
}

// TestHandoffOverTLS: items move to a member that joins, and come back to one that
// was started again with nothing, between members with certificates.
func TestHandoffOverTLS(t *testing.T) {
	store, own := local.NewStore(), certs.Directory(t.TempDir())
	service := kv.New(torc.Quorum{N: 2})
	if _, err := own.Issue([]string{"a", "b"}, nil, false); err != nil {
		t.Fatal(err)
	}
	start := func(name string) *torc.Node {
		files := torc.TLS(own.Node(name))
		n, err := torc.Start(t.Context(), torc.Config{
			Name: name, Membership: store.Connect(), TLS: &files, RingSize: 8, Rebalance: torc.RebalanceManual,
		}, service)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { shutdown(t, n) })
		return n
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	readable := func(on *torc.Node) {
		t.Helper()
		for _, key := range someKeys(50) {
			object, err := service.On(on).Fetch(ctx, []byte(key), torc.R(2))
			// With pauses: a read that fails at once leaves the other replica with work.
			for tick := time.Tick(10 * time.Millisecond); errors.Is(err, torc.ErrRecovering) || errors.Is(err, torc.ErrUnreachable); <-tick {
				object, err = service.On(on).Fetch(ctx, []byte(key), torc.R(2))
			}
			if err != nil || string(object.GetValue()) != key {
				t.Fatalf("%s reads %q: %v", on.Name(), object.GetValue(), err)
			}
		}
	}
	a := start("a")
	for _, key := range someKeys(50) {
		if _, err := service.On(a).Store(ctx, []byte(key), kv.Value{Bytes: []byte(key)}, torc.W(2)); err != nil {
			t.Fatal(err)
		}
	}
	b := start("b")
	known, _ := a.Ring().Member("b")
	plan, err := a.Plan(ring.Join(known))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Commit(ctx, plan); err != nil {
		t.Fatal(err)
	}
	for tick := time.Tick(10 * time.Millisecond); len(a.Ring().Transfers()) > 0; {
		select {
		case <-tick:
		case <-ctx.Done():
			t.Fatalf("not moved: %v", a.Transfers())
		}
	}
	if owned := len(slices.Collect(a.Ring().Owned("b"))); owned != 4 {
		t.Errorf("b owns %d partitions", owned)
	}
	readable(b)
	shutdown(t, b)
	readable(start("b"))
}

// TestPlaintextOffLoopback is refused, and the error says what there is instead.
func TestPlaintextOffLoopback(t *testing.T) {
	_, err := torc.Start(t.Context(), torc.Config{
		Name: "a", Membership: local.NewStore().Connect(), Listen: "0.0.0.0:0",
	}, ping.New())
	if err == nil || !strings.Contains(err.Error(), "--tls-ca") || !strings.Contains(err.Error(), "--insecure") {
		t.Errorf("got %v", err)
	}
	n, err := torc.Start(t.Context(), torc.Config{
		Name: "a", Membership: local.NewStore().Connect(), Listen: "0.0.0.0:0", Insecure: true,
	}, ping.New())
	if err != nil {
		t.Fatal(err)
	}
	shutdown(t, n)
}
