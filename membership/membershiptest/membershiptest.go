// Package membershiptest is the contract of membership.Membership as tests.
//
// Every implementation passes [Run]. The tests wait for events with a deadline,
// so they suit stores inside the process and across a network alike.
package membershiptest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/torc-io/torc/membership"
)

// patience is how long a test waits for what must happen. It is no measure of
// anything: a store that works never comes near it.
const patience = 20 * time.Second

// Store is a membership store under test.
type Store interface {
	// Connect connects one more node.
	Connect() membership.Membership
	// RemoveDocument takes the ring document away behind the nodes' backs, as an
	// operator can, or the loss of the store's contents.
	RemoveDocument()
}

// Run checks the contract. Each call of open returns a store that is new and empty.
func Run(t *testing.T, open func(t *testing.T) Store) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, Store){
		"a registered node is seen by all, in order of names":   registeredIsSeen,
		"a node that has registered sees itself":                registeredSeesItself,
		"a deregistered node is gone":                           deregisteredIsGone,
		"a name that runs elsewhere is refused":                 takenNameIsRefused,
		"one of many that start under one name wins":            oneOfAName,
		"a restart at the same address takes its name over":     restartTakesOver,
		"a node may register again after deregistering":         registerAgain,
		"an empty store has no document":                        emptyHasNoDocument,
		"one of many that create the document wins":             oneCreates,
		"a swap of an old version changes nothing":              staleSwap,
		"any bytes and a large document come back as they were": documentIsOpaque,
		"a document watch ends at the newest":                   watchEndsAtNewest,
		"a document watch tells that there is none":             watchTellsAbsence,
		"watches close with their context":                      watchesClose,
		"one claimant at a time":                                oneClaimant,
		"a claimant whose context ends gives the lock up":       claimantContextEnds,
		"who waits for the lock can give up":                    waitingClaimantGivesUp,
	} {
		t.Run(name, func(t *testing.T) { check(t, open(t)) })
	}
}

func node(name string, incarnation uint64) membership.Node {
	return membership.Node{Name: name, Address: "127.0.0.1:1", HTTP: "127.0.0.1:2", Zone: "z", Incarnation: incarnation}
}

// register registers a node until the test ends.
func register(t *testing.T, m membership.Membership, n membership.Node) {
	t.Helper()
	if err := m.Register(t.Context(), n); err != nil {
		t.Fatalf("Register(%s): %v", n.Name, err)
	}
	t.Cleanup(func() { deregister(t, m) })
}

// deregister works at the end of a test too, when its context has ended.
func deregister(t *testing.T, m membership.Membership) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	if err := m.Deregister(ctx); err != nil {
		t.Errorf("Deregister: %v", err)
	}
}

// waitNodes waits until the watch shows exactly the given names.
func waitNodes(t *testing.T, m membership.Membership, want ...string) []membership.Node {
	t.Helper()
	var last []string
	nodes, ok := waitFor(t, m, func(nodes []membership.Node) bool {
		last = last[:0]
		for _, n := range nodes {
			last = append(last, n.Name)
		}
		return slices.Equal(last, want)
	})
	if !ok {
		t.Fatalf("the watch last showed %q, want %q", last, want)
	}
	return nodes
}

// waitFor returns the first nodes of a new watch that are right, if any are.
func waitFor(t *testing.T, m membership.Membership, right func([]membership.Node) bool) ([]membership.Node, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for nodes := range m.WatchNodes(ctx) {
		if right(nodes) {
			return nodes, true
		}
	}
	return nil, false
}

func registeredIsSeen(t *testing.T, s Store) {
	a, b := s.Connect(), s.Connect()
	register(t, b, node("b", 1))
	register(t, a, node("a", 1))
	want := []membership.Node{node("a", 1), node("b", 1)}
	want[0].Healthy, want[1].Healthy = true, true
	for _, m := range []membership.Membership{a, b, s.Connect()} {
		var last []membership.Node
		asWanted := func(nodes []membership.Node) bool { last = nodes; return slices.Equal(nodes, want) }
		if _, ok := waitFor(t, m, asWanted); !ok {
			t.Errorf("the watch last showed %+v, want %+v", last, want)
		}
	}
}

func registeredSeesItself(t *testing.T, s Store) {
	a := s.Connect()
	register(t, a, node("a", 1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if nodes := <-a.WatchNodes(ctx); len(nodes) != 1 || nodes[0].Name != "a" {
		t.Errorf("the first look after Register showed %+v", nodes)
	}
}

func deregisteredIsGone(t *testing.T, s Store) {
	a, b := s.Connect(), s.Connect()
	deregister(t, a) // before it has registered
	register(t, a, node("a", 1))
	register(t, b, node("b", 1))
	deregister(t, a)
	deregister(t, a) // once more
	waitNodes(t, b, "b")
}

func takenNameIsRefused(t *testing.T, s Store) {
	a, impostor := s.Connect(), s.Connect()
	register(t, a, node("a", 1))
	err := impostor.Register(t.Context(), elsewhere(node("a", 2)))
	if !errors.Is(err, membership.ErrNameTaken) || !strings.Contains(err.Error(), node("a", 1).Address) {
		t.Errorf("a second node of the name a: %v, want ErrNameTaken with the address of the first", err)
	}
	deregister(t, impostor)
	waitNodes(t, s.Connect(), "a")
}

// elsewhere returns the node at another address.
func elsewhere(n membership.Node) membership.Node {
	n.Address = "127.0.0.1:9"
	return n
}

func oneOfAName(t *testing.T, s Store) {
	const contenders = 4
	var wg sync.WaitGroup
	won := make(chan string, contenders)
	for i := range contenders {
		m, n := s.Connect(), node("a", uint64(i+1))
		n.Address = "127.0.0.1:" + string(rune('1'+i))
		t.Cleanup(func() { deregister(t, m) })
		wg.Go(func() {
			switch err := m.Register(t.Context(), n); {
			case err == nil:
				won <- n.Address
			case !errors.Is(err, membership.ErrNameTaken):
				t.Errorf("Register: %v, want ErrNameTaken", err)
			}
		})
	}
	wg.Wait()
	close(won)
	winner, ok := <-won
	if second, more := <-won; more || !ok {
		t.Fatalf("%q and %q run under one name", winner, second)
	}
	if nodes := waitNodes(t, s.Connect(), "a"); nodes[0].Address != winner {
		t.Errorf("a is seen at %s, but runs at %s", nodes[0].Address, winner)
	}
}

func restartTakesOver(t *testing.T, s Store) {
	old, successor := s.Connect(), s.Connect()
	register(t, old, node("a", 1))
	register(t, successor, node("a", 2))
	deregister(t, old) // of one that was not as dead as it seemed
	isSuccessor := func(nodes []membership.Node) bool { return len(nodes) == 1 && nodes[0].Incarnation == 2 }
	if _, ok := waitFor(t, s.Connect(), isSuccessor); !ok {
		t.Error("the restarted node is not seen")
	}
	deregister(t, successor)
	waitNodes(t, s.Connect())
}

func registerAgain(t *testing.T, s Store) {
	a := s.Connect()
	register(t, a, node("a", 1))
	deregister(t, a)
	register(t, s.Connect(), elsewhere(node("a", 2)))
	waitNodes(t, s.Connect(), "a")
	register(t, a, node("b", 3))
	waitNodes(t, s.Connect(), "a", "b")
}

func emptyHasNoDocument(t *testing.T, s Store) {
	got, err := s.Connect().Document(t.Context())
	if err != nil || got.Version != 0 || len(got.Data) != 0 {
		t.Errorf("Document of an empty store = %+v, %v", got, err)
	}
}

func oneCreates(t *testing.T, s Store) {
	const contenders = 8
	var wg sync.WaitGroup
	won := make(chan string, contenders)
	for i := range contenders {
		m, data := s.Connect(), string(rune('a'+i))
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
	if got, err := s.Connect().Document(t.Context()); err != nil || string(got.Data) != winner {
		t.Errorf("the document is %q, %v; %q created it", got.Data, err, winner)
	}
}

func staleSwap(t *testing.T, s Store) {
	m := s.Connect()
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

// largeDocument is larger than the document of a ring of 1024 partitions and 100
// members, and as large as every store must take.
const largeDocument = 128 << 10

func documentIsOpaque(t *testing.T, s Store) {
	m := s.Connect()
	var version uint64
	for _, data := range []string{"\x00\xff<&\"\n", "", strings.Repeat("torc", largeDocument/4)} {
		stored := swap(t, m, version, data)
		got, err := s.Connect().Document(t.Context())
		if err != nil || string(got.Data) != data || got.Version != stored.Version || string(stored.Data) != data {
			t.Errorf("%d bytes stored as version %d came back as %d bytes of version %d, %v",
				len(data), stored.Version, len(got.Data), got.Version, err)
		}
		version = stored.Version
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

func watchEndsAtNewest(t *testing.T, s Store) {
	writer := s.Connect()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	watch := s.Connect().WatchDocument(ctx)
	var version uint64
	for _, data := range []string{"1", "2", "3", "4", "5"} {
		version = swap(t, writer, version, data).Version
		register(t, writer, node("w", version)) // a change of something else
		deregister(t, writer)
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

func watchTellsAbsence(t *testing.T, s Store) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m := s.Connect()
	watch := m.WatchDocument(ctx)
	await := func(want string, present bool) {
		t.Helper()
		for d := range watch {
			if string(d.Data) == want && (d.Version > 0) == present {
				return
			}
		}
		t.Fatalf("the watch did not show the document %q (present: %t)", want, present)
	}
	await("", false)
	first := swap(t, m, 0, "1")
	await("1", true)
	s.RemoveDocument()
	await("", false)
	if _, err := m.Swap(ctx, first.Version, []byte("2")); !errors.Is(err, membership.ErrConflict) {
		t.Errorf("Swap of a version that vanished: %v, want ErrConflict", err)
	}
	swap(t, m, 0, "2")
	await("2", true)
}

func watchesClose(t *testing.T, s Store) {
	m := s.Connect()
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

func oneClaimant(t *testing.T, s Store) {
	a, b := s.Connect(), s.Connect()
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

func claimantContextEnds(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(t.Context())
	held, release, err := s.Connect().LockClaimant(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	<-held.Done()
	next, stop := context.WithTimeout(t.Context(), patience)
	defer stop()
	_, releaseNext, err := s.Connect().LockClaimant(next)
	if err != nil {
		t.Fatalf("the context of the claimant ended, and nobody got the lock: %v", err)
	}
	releaseNext()
	release() // harmless
}

func waitingClaimantGivesUp(t *testing.T, s Store) {
	_, release, err := s.Connect().LockClaimant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	time.AfterFunc(50*time.Millisecond, func() { cancel(enough) })
	if _, _, err := s.Connect().LockClaimant(ctx); !errors.Is(err, enough) {
		t.Errorf("LockClaimant of a context that ends: %v, want its cause", err)
	}
}
