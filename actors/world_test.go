package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/membership/local"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
	"github.com/torc-io/torc/ring"
)

// world is a cluster in virtual time whose nodes run the service of shelf_test.go.
// Everything that a test needs to put between a node and the rest of the world
// is in setup.
type world struct {
	*actors.Network
	setup
	t     testing.TB
	store *local.Store
	*faults

	stalled atomic.Bool // a node has asked a store that does not answer

	mu     sync.Mutex // guards the rest, which clients and the test's own goroutine share
	nodes  map[ring.NodeName]*member
	errors []string // that nodes have logged
	halts  []func() // that end the clients
}

type setup struct {
	quorum    actors.Quorum
	size      int  // of the ring; 0 is 12
	replaces  bool // Merge takes what comes, instead of the newest
	unrepairs bool // reads do not repair
	evict     time.Duration
	rebalance actors.Rebalance
	limits    actors.TransferLimits
	wire      func(ring.NodeName, actors.Transport) actors.Transport
	book      func(ring.NodeName, membership.Membership) membership.Membership
}

// member is one run of a node.
type member struct {
	*actors.Node
	*library
	transport actors.Transport
}

// elapse lets virtual time go by.
func elapse(d time.Duration) { time.Sleep(d) }

// inWorld runs a test against the nodes, which start together.
func inWorld(t *testing.T, s setup, names string, run func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s, strings.Split(names, ""))
		defer w.shutdown()
		run(w)
	})
}

func newWorld(t testing.TB, s setup, names []string) *world {
	if s.size == 0 {
		s.size = 12
	}
	w := &world{
		Network: actors.NewNetwork(), setup: s, t: t, store: local.NewStore(),
		faults: &faults{ran: map[string]int{}}, nodes: map[ring.NodeName]*member{},
	}
	var starting sync.WaitGroup
	for _, name := range names {
		starting.Go(func() { w.start(ring.NodeName(name), len(names)) })
	}
	starting.Wait()
	return w
}

// start runs a node with nothing in it. Bootstrap counts for the first ring.
func (w *world) start(name ring.NodeName, bootstrap int) *member {
	time.Sleep(2 * time.Millisecond) // a later start has a later millisecond
	m := &member{library: newLibrary(w, name), transport: w.Transport(string(name))}
	if w.wire != nil {
		m.transport = w.wire(name, m.transport)
	}
	book := w.store.Connect()
	if w.book != nil {
		book = w.book(name, book)
	}
	node, err := actors.Start(context.Background(), actors.Config{
		Name: string(name), Services: []*actors.Service{m.service}, Membership: book, Transport: m.transport,
		Logger: slog.New(&logbook{w: w}), RingSize: w.size, Bootstrap: bootstrap, Rebalance: w.rebalance,
		EvictAfter: w.evict, Transfers: w.limits, RequestTimeout: 5 * time.Second,
	})
	if err != nil {
		panic(fmt.Sprintf("start %s: %v", name, err)) // nothing else would make sense
	}
	m.Node = node
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[name] = m
	return m
}

// stop ends a node, with all that it holds.
func (w *world) stop(name ring.NodeName) {
	w.mu.Lock()
	m := w.nodes[name]
	delete(w.nodes, name)
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := m.Shutdown(ctx); err != nil {
		w.t.Errorf("shut %s down: %v", name, err)
	}
}

// shutdown ends the world. What Proto.Actor still runs ends within two seconds.
func (w *world) shutdown() {
	for _, halt := range w.halts {
		halt()
	}
	for _, name := range w.names() {
		w.stop(name)
	}
	time.Sleep(2 * time.Second)
}

func (w *world) node(name ring.NodeName) *member {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[name]
}

func (w *world) names() []ring.NodeName {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.nodes))
}

// any returns a running node, the same as long as it runs.
func (w *world) any() *member { return w.node(w.names()[0]) }

// ring returns the newest ring that a node has.
func (w *world) ring() *ring.Ring {
	newest := w.any().Ring()
	for _, name := range w.names() {
		if r := w.node(name).Ring(); r.Epoch() > newest.Epoch() {
			newest = r
		}
	}
	return newest
}

// commit publishes a plan.
func (w *world) commit(changes ...ring.Change) {
	w.t.Helper()
	for {
		plan, err := w.ring().Plan(changes...)
		if err != nil {
			w.t.Fatalf("plan %v: %v", changes, err)
		}
		err = w.any().Commit(context.Background(), plan)
		if errors.Is(err, actors.ErrStalePlan) {
			continue
		}
		if err != nil {
			w.t.Fatalf("commit %v: %v", changes, err)
		}
		return
	}
}

// join starts a node and plans it in at once.
func (w *world) join(name ring.NodeName) {
	w.start(name, 1)
	known, _ := w.ring().Member(name)
	w.commit(ring.Join(known))
}

// isolate makes silent what goes from a node to the others, and back.
func (w *world) isolate(name ring.NodeName) {
	for _, other := range w.names() {
		w.Cut(string(name), string(other))
		w.Cut(string(other), string(name))
	}
}

func (w *world) rejoin(name ring.NodeName) {
	for _, other := range w.names() {
		w.Heal(string(name), string(other))
		w.Heal(string(other), string(name))
	}
}

// eventually waits, in virtual time, until ok returns "", and fails with what it
// said last.
func (w *world) eventually(within time.Duration, ok func() string) {
	w.t.Helper()
	deadline := time.Now().Add(within)
	for said := ok(); said != ""; said = ok() {
		if time.Now().After(deadline) {
			w.t.Fatalf("after %v: %s", within, said)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// settle waits until everything is where it belongs.
func (w *world) settle(within time.Duration) {
	w.t.Helper()
	w.eventually(within, w.unsettled)
}

// unsettled says what is not yet as it should be when nothing goes on: no
// transfer anywhere, and no node holds what is not its own.
func (w *world) unsettled() string {
	r := w.ring()
	for _, name := range w.names() {
		m := w.node(name)
		if m.Ring().Epoch() != r.Epoch() {
			return fmt.Sprintf("%s has the ring of epoch %d, and there is %d", name, m.Ring().Epoch(), r.Epoch())
		}
		for _, s := range m.Transfers() {
			return fmt.Sprintf("%s has the %v, %v, %q since %v", name, s.Transfer, s.Phase, s.Reason, s.Since)
		}
		for p, s := range m.open() {
			if r.Owner(p) != name {
				return fmt.Sprintf("%s holds %d items of partition %d, which is %s's", name, s.Len(), p, r.Owner(p))
			}
		}
	}
	return ""
}

// unequal says how replicas differ, "" if they do not: the vnodes of each key's
// preference list, on as many nodes, have the same under it, and no other has it.
func (w *world) unequal() string {
	r, n := w.ring(), w.quorum.N
	held := map[string]map[ring.Partition]string{} // by key
	for p := range ring.Partition(r.Size()) {
		m := w.node(r.Owner(p))
		if m == nil {
			return fmt.Sprintf("the owner %s of partition %d does not run", r.Owner(p), p)
		}
		for key, e := range m.shelf(p).contents() {
			if held[key] == nil {
				held[key] = map[ring.Partition]string{}
			}
			held[key][p] = e.String()
		}
	}
	for _, key := range slices.Sorted(maps.Keys(held)) {
		nodes := map[ring.NodeName]bool{}
		home := r.Partition([]byte(key))
		for _, target := range r.PreferenceList(home, n) {
			nodes[target.Node] = true
			if held[key][target.Partition] != held[key][home] {
				return fmt.Sprintf("the replicas of %s of partition %d have %v", key, home, held[key])
			}
		}
		if len(nodes) != n || len(held[key]) != n {
			return fmt.Sprintf("%s of partition %d is at %v, on %d nodes", key, home, held[key], len(nodes))
		}
	}
	return ""
}

// act sends a command that writes.
func (w *world) act(on ring.NodeName, cmd *testingpb.Act, call actors.Call) error {
	m := w.node(on)
	if m == nil {
		return actors.ErrStopping
	}
	_, err := m.Execute(context.Background(), m.put, cmd, call)
	return err
}

// put writes a version through a node, and fails the test if that fails.
func (w *world) put(on ring.NodeName, key string, version int) {
	w.t.Helper()
	if err := w.act(on, put(key, version), actors.Call{}); err != nil {
		w.t.Errorf("%s writes version %d of %s: %v", on, version, key, err)
	}
}

// seen reads a key; nil if there is nothing.
func (w *world) seen(on ring.NodeName, key string, call actors.Call) (*testingpb.Seen, error) {
	m := w.node(on)
	if m == nil {
		return nil, actors.ErrStopping
	}
	answer, err := m.Execute(context.Background(), m.look, &testingpb.Look{Key: []byte(key)}, call)
	switch {
	case errors.Is(err, actors.ErrNotFound) && answer.Value == nil && !isShort(err):
		return nil, nil //nolint:nilnil // nothing is there
	case err != nil:
		return nil, err
	}
	return answer.Value.(*testingpb.Seen), nil
}

// isShort says whether too few replicas have answered.
func isShort(err error) bool {
	_, short := errors.AsType[*coordinator.QuorumError](err)
	return short
}

// get reads the version of a key; 0 if it is gone.
func (w *world) get(on ring.NodeName, key string, call actors.Call) (uint64, error) {
	seen, err := w.seen(on, key, call)
	if err != nil || len(seen.GetValue()) == 0 {
		return 0, err
	}
	return seen.GetVersion(), nil
}

// expect reads a key and compares.
func (w *world) expect(on ring.NodeName, key string, version int, call actors.Call) {
	w.t.Helper()
	if got, err := w.get(on, key, call); err != nil || got != uint64(version) {
		w.t.Errorf("%s reads version %d of %s, want %d: %v", on, got, key, version, err)
	}
}

// keyOf returns a key whose own partition is p.
func (w *world) keyOf(p ring.Partition, nth int) string {
	for i := 0; ; i++ {
		key := fmt.Sprintf("key-%d", i)
		if w.ring().Partition([]byte(key)) != p {
			continue
		}
		if nth == 0 {
			return key
		}
		nth--
	}
}

// status returns what a node says of the first transfer of a type to a node, or
// of a partition if that is not negative.
func (m *member) status(match func(actors.TransferStatus) bool) (actors.TransferStatus, bool) {
	for _, s := range m.Transfers() {
		if match(s) {
			return s, true
		}
	}
	return actors.TransferStatus{}, false
}

// logged returns the errors that were logged and contain a text.
func (w *world) logged(text string) (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.errors {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// logbook keeps the errors that nodes log.
type logbook struct {
	w     *world
	attrs []slog.Attr
}

func (l *logbook) Enabled(_ context.Context, level slog.Level) bool { return level >= logLevel }

func (l *logbook) Handle(_ context.Context, r slog.Record) error {
	var line strings.Builder
	fmt.Fprintf(&line, "%v %v", r.Level, r.Message)
	r.Attrs(func(a slog.Attr) bool { fmt.Fprintf(&line, " %s=%v", a.Key, a.Value); return true })
	for _, a := range l.attrs {
		fmt.Fprintf(&line, " %s=%v", a.Key, a.Value)
	}
	if *traced {
		l.w.t.Logf("%s %s", r.Time.Format("05.000000"), line.String())
	}
	if r.Level < slog.LevelError {
		return nil
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.w.errors = append(l.w.errors, line.String())
	return nil
}

func (l *logbook) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logbook{l.w, append(slices.Clone(l.attrs), attrs...)}
}

func (l *logbook) WithGroup(string) slog.Handler { return l }
