package actors

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// replyTableID is the address of the reply table on every node.
const replyTableID = "reply"

const (
	// replyShards spreads the table's locks. It is far above the number of
	// cores, so that two of them rarely meet.
	replyShards = 64
	// replyBlock is how many ids a stripe takes at a time. They are in one shard, so
	// that the stripe has it nearly to itself while it gives them out.
	replyBlock = 1024
	// sweepEvery is how exactly deadlines are kept.
	sweepEvery = 10 * time.Millisecond
)

// replyTable is where all replies to a node arrive: one permanent process that
// finds the waiting coordinator by the request id of the address. A late reply
// finds nobody and is dropped, where Proto.Actor would log and publish a dead
// letter for one reply of nearly every request. The table also is the one place
// that knows all requests in flight: it ends them at their deadline, and tells
// them when a node goes down.
type replyTable struct {
	blocks atomic.Uint32 // the last that was given out
	armed  atomic.Bool   // the sweep timer is running
	closed atomic.Bool
	shards [replyShards]replyShard
}

// replyShard is one lock's share of the table.
type replyShard struct {
	mu       sync.Mutex
	waiting  map[uint32]*coordinatorActor
	earliest time.Time // no waiting request ends before; zero when unknown

	_ [24]byte // keeps neighbours' locks off one cache line
}

var _ permanent = (*replyTable)(nil)

func newReplyTable() *replyTable {
	t := &replyTable{}
	// A restarted node must not take replies to its former self for its own.
	t.blocks.Store(rand.Uint32())
	for i := range t.shards {
		t.shards[i].waiting = make(map[uint32]*coordinatorActor)
	}
	return t
}

// block returns the first of replyBlock ids that nobody else gives out, until all
// others have been. None of them is 0.
func (t *replyTable) block() uint32 {
	for {
		if first := t.blocks.Add(1) * replyBlock; first != 0 {
			return first
		}
	}
}

// add enters a request under an id, or returns false if one that old is still there.
func (t *replyTable) add(id uint32, c *coordinatorActor) bool {
	if !t.shard(id).add(id, c) {
		return false
	}
	t.arm()
	return true
}

// add enters c under id unless a request that old is still there. The request has
// the id before anybody finds it.
func (s *replyShard) add(id uint32, c *coordinatorActor) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.waiting[id]; taken {
		return false
	}
	c.enter(id)
	s.waiting[id] = c
	if s.earliest.IsZero() || c.deadline.Before(s.earliest) {
		s.earliest = c.deadline
	}
	return true
}

// remove ends a request's stay.
func (t *replyTable) remove(id uint32) {
	s := t.shard(id)
	s.mu.Lock()
	delete(s.waiting, id)
	s.mu.Unlock()
}

// deliver hands a reply to the coordinator that waits for it, if one does.
func (t *replyTable) deliver(id uint32, r *Reply) {
	s := t.shard(id)
	s.mu.Lock()
	c := s.waiting[id]
	s.mu.Unlock()
	if c != nil {
		c.mailbox.reply(id, r)
	}
}

// nodeDown tells all waiting coordinators that a node will not answer.
func (t *replyTable) nodeDown(node ring.NodeName) {
	for i := range t.shards {
		for id, c := range t.shards[i].all() {
			c.mailbox.tell(id, &nodeDown{node})
		}
	}
}

func (s *replyShard) all() map[uint32]*coordinatorActor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.waiting)
}

// arm starts the sweep, unless it is running already: an idle node has no timer.
func (t *replyTable) arm() {
	if !t.armed.Load() && t.armed.CompareAndSwap(false, true) {
		time.AfterFunc(sweepEvery, t.sweep)
	}
}

// sweep ends the requests whose deadline has passed, and goes on while there
// are any requests at all. A shard is searched only when its earliest deadline
// has come: with most requests answered early, that is about once a timeout.
func (t *replyTable) sweep() {
	now := time.Now()
	for i := range t.shards {
		for id, c := range t.shards[i].due(now) {
			c.mailbox.tell(id, expired{})
		}
	}
	t.armed.Store(false)
	if t.inFlight() > 0 && !t.closed.Load() {
		t.arm()
	}
}

// due returns the requests whose deadline has passed.
func (s *replyShard) due(now time.Time) map[uint32]*coordinatorActor {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.earliest.IsZero() || now.Before(s.earliest) {
		return nil
	}
	due := make(map[uint32]*coordinatorActor)
	s.earliest = time.Time{}
	for id, c := range s.waiting {
		switch {
		case !now.Before(c.deadline):
			due[id] = c
		case s.earliest.IsZero() || c.deadline.Before(s.earliest):
			s.earliest = c.deadline
		}
	}
	return due
}

func (t *replyTable) shard(id uint32) *replyShard { return &t.shards[id/replyBlock%replyShards] }

// inFlight returns the number of requests that have not ended.
func (t *replyTable) inFlight() (count int) {
	for i := range t.shards {
		count += t.shards[i].length()
	}
	return count
}

func (s *replyShard) length() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}

// close stops the sweep for good.
func (t *replyTable) close() { t.closed.Store(true) }

// SendUserMessage takes a reply from another node.
func (t *replyTable) SendUserMessage(pid *actor.PID, message any) {
	_, inner, _ := actor.UnwrapEnvelope(message)
	if w, ok := inner.(*transportpb.Reply); ok {
		r := replyFromWire(w)
		t.deliver(pid.GetRequestId(), &r)
	}
}

// takeFromPeer takes a reply as it came over the wire.
func (t *replyTable) takeFromPeer(request uint32, _ *actor.PID, msg proto.Message) {
	if w, ok := msg.(*transportpb.Reply); ok {
		r := replyFromWire(w)
		r.payload = bytes.Clone(r.payload) // the message is not ours to keep
		t.deliver(request, &r)
	}
}

// SendSystemMessage ignores everything: the table is never watched or stopped.
func (t *replyTable) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing: the table lives as long as its node.
func (t *replyTable) Stop(*actor.PID) {}
