// Package membershiptest is the contract of membership.Membership as tests.
//
// Every implementation passes [Run]. The tests wait for events with a deadline,
// so they suit stores inside the process and across a network alike.
package membershiptest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/torc-io/torc/membership"
)

// patience is how long a test waits for what must happen. It is no measure of
// anything: a store that works never comes near it.
const patience = 20 * time.Second

// Run checks the contract. Open returns a function that connects one more node
// to a store that is new and empty.
func Run(t *testing.T, open func(t *testing.T) (connect func() membership.Membership)) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, func() membership.Membership){
		"a registered node is seen by all, in order of names": registeredIsSeen,
		"a deregistered node is gone":                         deregisteredIsGone,
		"a name that runs elsewhere is refused":               takenNameIsRefused,
		"a node may register again after deregistering":       registerAgain,
		"an empty store has no document":                      emptyHasNoDocument,
		"one of many that create the document wins":           oneCreates,
		"a swap of an old version changes nothing":            staleSwap,
		"a document watch ends at the newest":                 watchEndsAtNewest,
		"watches close with their context":                    watchesClose,
		"one claimant at a time":                              oneClaimant,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

func node(name string, incarnation uint64) membership.Node {
	return membership.Node{Name: name, Address: "127.0.0.1:1", HTTP: "127.0.0.1:2", Zone: "z", Incarnation: incarnation}
}

func register(t *testing.T, m membership.Membership, n membership.Node) {
	t.Helper()
	if err := m.Register(t.Context(), n); err != nil {
		t.Fatalf("Register(%s): %v", n.Name, err)
	}
}

// waitNodes waits until the watch shows exactly the given names.
func waitNodes(t *testing.T, m membership.Membership, want ...string) []membership.Node {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last []string
	for nodes := range m.WatchNodes(ctx) {
		last = last[:0]
		for _, n := range nodes {
			last = append(last, n.Name)
		}
		if slices.Equal(last, want) {
			return nodes
		}
	}
	t.Fatalf("the watch last showed %q, want %q", last, want)
	return nil
}

func registeredIsSeen(t *testing.T, connect func() membership.Membership) {
	a, b := connect(), connect()
	register(t, b, node("b", 1))
	register(t, a, node("a", 1))
	for _, m := range []membership.Membership{a, b, connect()} {
		nodes := waitNodes(t, m, "a", "b")
		want := node("a", 1)
		want.Healthy = true
		if nodes[0] != want {
			t.Errorf("a is seen as %+v, want %+v", nodes[0], want)
		}
	}
}

func deregisteredIsGone(t *testing.T, connect func() membership.Membership) {
	a, b := connect(), connect()
	if err := a.Deregister(t.Context()); err != nil {
		t.Errorf("Deregister before Register: %v", err)
	}
	register(t, a, node("a", 1))
	register(t, b, node("b", 1))
	if err := a.Deregister(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitNodes(t, b, "b")
}

func takenNameIsRefused(t *testing.T, connect func() membership.Membership) {
	a, impostor := connect(), connect()
	register(t, a, node("a", 1))
	second := node("a", 2)
	second.Address = "127.0.0.1:9"
	if err := impostor.Register(t.Context(), second); !errors.Is(err, membership.ErrNameTaken) {
		t.Errorf("a second node of the name a: %v, want ErrNameTaken", err)
	}
	if err := impostor.Deregister(t.Context()); err != nil {
		t.Errorf("Deregister of a refused node: %v", err)
	}
	waitNodes(t, connect(), "a")
}

func registerAgain(t *testing.T, connect func() membership.Membership) {
	a := connect()
	register(t, a, node("a", 1))
	if err := a.Deregister(t.Context()); err != nil {
		t.Fatal(err)
	}
	register(t, connect(), node("a", 2))
	waitNodes(t, connect(), "a")
}

func emptyHasNoDocument(t *testing.T, connect func() membership.Membership) {
	got, err := connect().Document(t.Context())
	if err != nil || got.Version != 0 || len(got.Data) != 0 {
		t.Errorf("Document of an empty store = %+v, %v", got, err)
	}
}

func oneCreates(t *testing.T, connect func() membership.Membership) {
	const contenders = 8
	var wg sync.WaitGroup
	won := make(chan string, contenders)
	for i := range contenders {
		m, data := connect(), string(rune('a'+i))
		wg.Go(func() {
			_, err := m.Swap(t.Context(), 0, []byte(data))
			switch {
			case err == nil:
				won <- data
			case !errors.Is(err, membership.ErrConflict):
				t.Errorf("Swap: %v, want ErrConflict", err)
			}
		})
	}
	wg.Wait()
	close(won)
	winner := <-won
	if second, more := <-won; more {
		t.Fatalf("%q and %q both created the document", winner, second)
	}
	if got, err := connect().Document(t.Context()); err != nil || string(got.Data) != winner {
		t.Errorf("the document is %q, %v; %q created it", got.Data, err, winner)
	}
}

func staleSwap(t *testing.T, connect func() membership.Membership) {
	m := connect()
	first := swap(t, m, 0, "1")
	second := swap(t, m, first.Version, "2")
	if second.Version <= first.Version {
		t.Errorf("versions %d, %d do not grow", first.Version, second.Version)
	}
	if _, err := m.Swap(t.Context(), first.Version, []byte("3")); !errors.Is(err, membership.ErrConflict) {
		t.Errorf("Swap of an old version: %v, want ErrConflict", err)
	}
	if got, err := m.Document(t.Context()); err != nil || string(got.Data) != "2" || got.Version != second.Version {
		t.Errorf("Document = %+v, %v; want 2 of version %d", got, err, second.Version)
	}
}

func swap(t *testing.T, m membership.Membership, version uint64, data string) membership.Document {
	t.Helper()
	d, err := m.Swap(t.Context(), version, []byte(data))
	if err != nil {
		t.Fatalf("Swap(%d, %q): %v", version, data, err)
	}
	return d
}

func watchEndsAtNewest(t *testing.T, connect func() membership.Membership) {
	writer := connect()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	watch := connect().WatchDocument(ctx)
	var version uint64
	for _, data := range []string{"1", "2", "3", "4", "5"} {
		version = swap(t, writer, version, data).Version
		register(t, writer, node("w", version)) // a change of something else
		if err := writer.Deregister(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var last uint64
	for d := range watch {
		if d.Version < last {
			t.Fatalf("the watch went back from version %d to %d", last, d.Version)
		}
		if last = d.Version; last == version {
			return
		}
	}
	t.Fatalf("the watch ended at version %d, the document has %d", last, version)
}

func watchesClose(t *testing.T, connect func() membership.Membership) {
	m := connect()
	ctx, cancel := context.WithCancel(t.Context())
	nodes, documents := m.WatchNodes(ctx), m.WatchDocument(ctx)
	cancel()
	late := time.AfterFunc(patience, func() { panic("a watch did not close") })
	defer late.Stop()
	for range nodes {
	}
	for range documents {
	}
}

func oneClaimant(t *testing.T, connect func() membership.Membership) {
	a, b := connect(), connect()
	held, release, err := a.LockClaimant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan struct{})
	go func() {
		defer close(got)
		_, release, err := b.LockClaimant(t.Context())
		if err != nil {
			t.Errorf("LockClaimant: %v", err)
			return
		}
		if held.Err() == nil {
			t.Error("a second claimant while the first still held the lock")
		}
		release()
	}()
	release()
	release() // harmless
	select {
	case <-got:
	case <-time.After(patience):
		t.Fatal("the lock was released, and nobody got it")
	}
	if held.Err() == nil {
		t.Error("the context of a released lock has not ended")
	}
}
