package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"github.com/torc-io/torc/ring"
)

// twin is the replicated store as a plain Go program: a goroutine for each
// partition, channels, and nothing else. See the package comment for what it
// does and what it leaves out.
type twin struct {
	*keyspace
	partitions []*partition // twice around, so that every list of three is a slice
	clock      plainClock
	running    sync.WaitGroup
}

// inboxSize is that of a vnode's mailbox, which the number of clients must not
// fill here or there.
const inboxSize = 1024

// object is a value with its version. It is immutable once sent.
type object struct {
	value  []byte
	wall   int64
	writer string
}

// newer returns the one with the greater version; a if they are equal.
func newer(a, b *object) *object {
	switch {
	case b == nil:
		return a
	case a == nil, b.wall > a.wall, b.wall == a.wall && b.writer > a.writer:
		return b
	}
	return a
}

// plainClock gives versions that grow.
type plainClock struct {
	mu   sync.Mutex
	last int64
}

func (c *plainClock) now() int64 {
	physical := time.Now().UnixNano()
	c.mu.Lock()
	c.last = max(physical, c.last+1)
	version := c.last
	c.mu.Unlock()
	return version
}

// request goes to each partition of a list.
type request struct {
	key    string
	object *object    // to store; nil to fetch
	acks   chan<- ack // nil if nobody waits
	id     uint32     // that the ack shall have; for other processes
	stop   bool
}

// ack is what a partition holds after the request.
type ack struct {
	partition ring.Partition
	id        uint32 // of the request
	object    *object
}

// partition is the state of one partition, which its goroutine owns.
type partition struct {
	number  ring.Partition
	inbox   chan request
	objects map[string]*object
}

func (p *partition) run() {
	for r := range p.inbox {
		if r.stop {
			return
		}
		present := p.objects[r.key]
		kept := newer(present, r.object)
		if kept != present {
			p.objects[r.key] = kept
		}
		if r.acks != nil {
			r.acks <- ack{p.number, r.id, kept}
		}
	}
}

// coordination sends a request to a list of partitions and returns the newest
// of the answers that a quorum gave.
type coordination func(*twin, []*partition, request) *object

func openTwin(op func(*twin, coordination, []byte) error, by coordination) func(context.Context, int) (System, error) {
	return func(ctx context.Context, keys int) (System, error) {
		t := newTwin(keys)
		s := &twinSystem{t, op, by}
		err := t.fill(ctx, func(key, _ []byte) error { return t.store(by, key) })
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
}

// newTwin starts the partitions.
func newTwin(keys int) *twin {
	t := &twin{keyspace: newKeyspace(keys)}
	for i := range ring.DefaultSize {
		p := &partition{number: ring.Partition(i), inbox: make(chan request, inboxSize), objects: map[string]*object{}}
		t.partitions = append(t.partitions, p)
		t.running.Go(p.run)
	}
	t.partitions = append(t.partitions, t.partitions...)
	return t
}

// twinSystem is the twin with one operation, coordinated in one way.
type twinSystem struct {
	*twin
	op func(*twin, coordination, []byte) error
	by coordination
}

// Client returns the operation of one client.
func (s *twinSystem) Client(number int) Op {
	key := s.draw(number)
	return func() error { return s.op(s.twin, s.by, key()) }
}

// Close ends the partitions.
func (t *twin) Close() error {
	for _, p := range t.partitions[:ring.DefaultSize] {
		p.inbox <- request{stop: true}
	}
	t.running.Wait()
	return nil
}

// list returns the partitions that keep a key.
func (t *twin) list(key []byte) []*partition {
	p := int(ring.HashOf(key).Partition(ring.DefaultSize))
	return t.partitions[p : p+replicas]
}

// maxOvertakes is how often a write is made again that met a newer version.
const maxOvertakes = 8

var errOvertaken = errors.New("other writers were faster each time")

func (t *twin) store(by coordination, key []byte) error {
	list, name := t.list(key), string(key)
	for range maxOvertakes {
		o := &object{value: t.value, wall: t.clock.now(), writer: "twin"}
		if by(t, list, request{key: name, object: o}) == o {
			return nil
		}
	}
	return errOvertaken
}

func (t *twin) fetch(by coordination, key []byte) error {
	found := by(t, t.list(key), request{key: viewOf(key)})
	if found == nil || len(found.value) != valueBytes {
		return fmt.Errorf("fetch %s: %v", key, found)
	}
	return nil
}

// viewOf saves a lookup the copy of its key, as the framework's store does.
func viewOf(key []byte) string {
	return unsafe.String(unsafe.SliceData(key), len(key)) //nolint:gosec // the keys are never changed
}

// inline has the caller fan out and gather. Nobody sees the last ack.
func (t *twin) inline(list []*partition, r request) *object {
	acks := make(chan ack, replicas)
	r.acks = acks
	for _, p := range list {
		p.inbox <- r
	}
	resolved := r.object
	for range need {
		resolved = newer(resolved, (<-acks).object)
	}
	return resolved
}

// spawned gives the request a goroutine of its own, which answers the caller
// after a quorum and goes on to see the last ack.
func (t *twin) spawned(list []*partition, r request) *object {
	answer := make(chan *object, 1)
	go coordinate(list, r, answer)
	return <-answer
}

func coordinate(list []*partition, r request, answer chan<- *object) {
	acks := make(chan ack, replicas)
	r.acks = acks
	for _, p := range list {
		p.inbox <- r
	}
	resolved := r.object
	var got [replicas]ack
	for i := range got {
		got[i] = <-acks
		resolved = newer(resolved, got[i].object)
		if i+1 == need {
			answer <- resolved
		}
	}
	if r.object == nil {
		repair(list, r.key, got[:], resolved)
	}
}

// repair sends the newest object to the partitions that answered with an older
// one.
func repair(list []*partition, key string, got []ack, resolved *object) {
	for _, p := range list {
		for _, a := range got {
			if a.partition == p.number && newer(a.object, resolved) != a.object {
				p.inbox <- request{key: key, object: resolved}
			}
		}
	}
}

// plainPing answers pings over channels: what a single command costs without
// a framework.
type plainPing struct {
	*keyspace
	inboxes []chan plainRequest
	running sync.WaitGroup
}

type plainRequest struct {
	key  []byte
	pong chan<- pong // nil: stop
}

type pong struct {
	partition ring.Partition
	node      string
}

func openPlainPing(_ context.Context, keys int) (System, error) {
	s := &plainPing{keyspace: newKeyspace(keys)}
	for i := range ring.DefaultSize {
		inbox := make(chan plainRequest, inboxSize)
		s.inboxes = append(s.inboxes, inbox)
		s.running.Go(func() {
			for r := range inbox {
				r.pong <- pong{ring.Partition(i), "solo"}
			}
		})
	}
	return s, nil
}

// Client returns the operation of one client.
func (s *plainPing) Client(number int) Op {
	key := s.draw(number)
	return func() error {
		r := plainRequest{key: key()}
		answer := make(chan pong, 1)
		r.pong = answer
		want := ring.HashOf(r.key).Partition(ring.DefaultSize)
		s.inboxes[want] <- r
		if got := <-answer; got.partition != want {
			return fmt.Errorf("partition %d answered for %d", got.partition, want)
		}
		return nil
	}
}

// Close ends the partitions.
func (s *plainPing) Close() error {
	for _, inbox := range s.inboxes {
		close(inbox)
	}
	s.running.Wait()
	return nil
}
