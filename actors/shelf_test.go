package actors_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/handoff"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
	"github.com/torc-io/torc/ring"
)

// The service of these tests: a vnode is a shelf with a map. The writer chooses
// the versions, in the value, "17" or "17 and more". Its verbs:
//
//	put     keeps the version, unless there is a newer one
//	del     keeps that the key is gone as of the version: a tombstone
//	add     adds one to the version, whatever there is
//	remove  leaves nothing at all
//
// The executions of add and remove are counted by their values.

// faults are what the vnodes of all nodes do wrong when told to.
type faults struct {
	mu    sync.Mutex
	ran   map[string]int // executions by their values
	mute  atomic.Pointer[func(call string, at actors.Host, key []byte) error]
	heard []string // what observers were told
}

// fault makes the vnodes ask before each Item, Merge, Snapshot, Len and Drop, and
// before the calls of the observer, whether to fail or panic. Nil is never.
func (f *faults) fault(ask func(call string, at actors.Host, key []byte) error) { f.mute.Store(&ask) }

func (f *faults) ask(call string, at actors.Host, key []byte) error {
	if ask := f.mute.Load(); ask != nil && *ask != nil {
		return (*ask)(call, at, key)
	}
	return nil
}

func (f *faults) executed(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ran[id]++
}

// library has the shelves of one run of a node.
type library struct {
	world   *world
	service *actors.Service
	put     *actors.Method
	look    *actors.Method

	mu      sync.Mutex
	shelves map[ring.Partition]*shelf // that are open
}

func newLibrary(w *world, _ ring.NodeName) *library {
	l := &library{world: w, shelves: map[ring.Partition]*shelf{}}
	l.service = &actors.Service{Name: "shelf", Quorum: w.quorum, Open: l.openShelf}
	l.put = &actors.Method{
		Name: "Act", Kind: coordinator.Write,
		Handle: func(v handoff.Stateful, _ context.Context, cmd proto.Message) (proto.Message, error) {
			return v.(*shelf).act(cmd.(*testingpb.Act))
		},
		NewCommand: func() proto.Message { return &testingpb.Act{} },
		NewReply:   func() proto.Message { return &testingpb.Seen{} },
	}
	l.look = &actors.Method{
		Name: "Look", Kind: coordinator.Read,
		Handle: func(v handoff.Stateful, _ context.Context, cmd proto.Message) (proto.Message, error) {
			return v.(*shelf).look(cmd.(*testingpb.Look))
		},
		NewCommand: func() proto.Message { return &testingpb.Look{} },
		NewReply:   func() proto.Message { return &testingpb.Seen{} },
		Resolve:    newest,
	}
	if !w.unrepairs {
		l.look.Same = proto.Equal
		l.look.Repair = l.repair
	}
	for _, m := range []*actors.Method{l.put, l.look} {
		if err := l.service.Add(m); err != nil {
			w.t.Error(err)
		}
	}
	return l
}

func newest(a, b proto.Message) proto.Message {
	if a.(*testingpb.Seen).GetVersion() < b.(*testingpb.Seen).GetVersion() {
		return b
	}
	return a
}

func (l *library) repair(key []byte, winner proto.Message) (*actors.Method, proto.Message) {
	seen := winner.(*testingpb.Seen)
	if len(seen.GetValue()) == 0 {
		return l.put, &testingpb.Act{Key: key, Verb: "del", Value: strconv.AppendUint(nil, seen.GetVersion(), 10)}
	}
	return l.put, &testingpb.Act{Key: key, Verb: "put", Value: seen.GetValue()}
}

func (l *library) openShelf(_ context.Context, host actors.Host) (handoff.Stateful, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &shelf{library: l, host: host, items: map[string]entry{}}
	l.shelves[host.Partition] = s
	return s, nil
}

// open returns the shelves that are open.
func (l *library) open() map[ring.Partition]*shelf {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.shelves)
}

// shelf returns the shelf of a partition, or nil.
func (l *library) shelf(p ring.Partition) *shelf {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shelves[p]
}

// entry is what is under a key.
type entry struct {
	version uint64
	value   []byte // nil for a tombstone
}

func (e entry) String() string {
	if e.value == nil {
		return fmt.Sprintf("gone at %d", e.version)
	}
	return fmt.Sprintf("%d", e.version)
}

// item encodes the entry.
func (e entry) item(key string) handoff.Item {
	value := binary.BigEndian.AppendUint64(nil, e.version)
	return handoff.Item{Key: []byte(key), Value: append(value, e.value...)}
}

func entryOf(item handoff.Item) (entry, error) {
	if len(item.Value) < 8 {
		return entry{}, fmt.Errorf("item %q is cut short", item.Key)
	}
	e := entry{version: binary.BigEndian.Uint64(item.Value)}
	if len(item.Value) > 8 {
		e.value = item.Value[8:]
	}
	return e, nil
}

// shelf is the vnode of one partition. A mutex guards the map since tests look
// into it from outside.
type shelf struct {
	*library
	host actors.Host

	mu    sync.Mutex
	items map[string]entry
}

var (
	_ handoff.Stateful = (*shelf)(nil)
	_ handoff.Observer = (*shelf)(nil)
)

// contents returns a copy of the map; that of nil is empty.
func (s *shelf) contents() map[string]entry {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.items)
}

func put(key string, version int) *testingpb.Act {
	return &testingpb.Act{Key: []byte(key), Verb: "put", Value: []byte(valueOf(key, version))}
}

func del(key string, version int) *testingpb.Act {
	return &testingpb.Act{Key: []byte(key), Verb: "del", Value: []byte(valueOf(key, version))}
}

func valueOf(key string, version int) string { return fmt.Sprintf("%d of %s", version, key) }

func (s *shelf) act(cmd *testingpb.Act) (*testingpb.Seen, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, now := string(cmd.GetKey()), entry{value: cmd.GetValue()}
	before := s.items[key]
	switch cmd.GetVerb() {
	case "remove":
		s.world.executed(string(cmd.GetValue()))
		delete(s.items, key)
		return &testingpb.Seen{Version: before.version}, nil
	case "add":
		s.world.executed(string(cmd.GetValue()))
		now.version = before.version + 1
		s.items[key] = now
		return &testingpb.Seen{Version: now.version}, nil
	}
	version, err := strconv.ParseUint(strings.Fields(string(cmd.GetValue()))[0], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", actors.ErrInvalid, err)
	}
	now.version = version
	if cmd.GetVerb() == "del" {
		now.value = nil
	}
	if before.version <= version {
		s.items[key] = now
	}
	return &testingpb.Seen{Version: s.items[key].version}, nil
}

func (s *shelf) look(cmd *testingpb.Look) (*testingpb.Seen, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, there := s.items[string(cmd.GetKey())]
	if !there {
		return nil, actors.ErrNotFound
	}
	return &testingpb.Seen{Value: e.value, Version: e.version}, nil
}

// Item implements [handoff.Stateful].
func (s *shelf) Item(key []byte) (handoff.Item, bool) {
	if err := s.world.ask("Item", s.host, key); err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, there := s.items[string(key)]
	return e.item(string(key)), there
}

// Snapshot implements [handoff.Stateful].
func (s *shelf) Snapshot() iter.Seq2[handoff.Item, error] {
	items := s.contents()
	return func(yield func(handoff.Item, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(items)) {
			err := s.world.ask("Snapshot", s.host, []byte(key))
			if !yield(items[key].item(key), err) || err != nil {
				return
			}
		}
	}
}

// Merge implements [handoff.Stateful].
func (s *shelf) Merge(item handoff.Item) error {
	if err := s.world.ask("Merge", s.host, item.Key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if item.Deleted {
		delete(s.items, string(item.Key))
		return nil
	}
	e, err := entryOf(item)
	if err != nil {
		return err
	}
	if s.world.replaces || s.items[string(item.Key)].version <= e.version {
		s.items[string(item.Key)] = entry{e.version, bytes.Clone(e.value)}
	}
	return nil
}

// Len implements [handoff.Stateful].
func (s *shelf) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.items)
}

// Drop implements [handoff.Stateful].
func (s *shelf) Drop() error {
	if err := s.world.ask("Drop", s.host, nil); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = map[string]entry{}
	return nil
}

// HandoffStarting implements [handoff.Observer].
func (s *shelf) HandoffStarting(h handoff.Handoff) { s.told("starting", h, nil) }

// HandoffFinished implements [handoff.Observer].
func (s *shelf) HandoffFinished(h handoff.Handoff, err error) { s.told("finished", h, err) }

func (s *shelf) told(what string, h handoff.Handoff, err error) {
	side := map[bool]string{true: "sends", false: "receives"}[h.Sending]
	s.world.faults.mu.Lock()
	s.world.heard = append(s.world.heard, fmt.Sprintf("%s %s %s %v: %v", s.host.Node, side, what, h.Transfer, err))
	s.world.faults.mu.Unlock()
	if err := s.world.ask(what, s.host, nil); err != nil {
		panic(err)
	}
}

// observed returns what observers were told that contains a text.
func (f *faults) observed(text string) (told []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, line := range f.heard {
		if strings.Contains(line, text) {
			told = append(told, line)
		}
	}
	return told
}

// Close takes the shelf out of its library.
func (s *shelf) Close() error {
	s.library.mu.Lock()
	defer s.library.mu.Unlock()
	if s.library.shelves[s.host.Partition] == s {
		delete(s.library.shelves, s.host.Partition)
	}
	return nil
}

var errAsTold = errors.New("as told")
