package coordinator_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/ring"
)

func write(r *ring.Ring, n, w int) coordinator.Config {
	return coordinator.Config{Ring: r, Kind: coordinator.Write, Quorum: coordinator.Quorum{N: n, Need: w}}
}

// The largest request there is: ring.MaxN positions, and all of their tries.
func TestLargestRequest(t *testing.T) {
	owners := letters("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
	cfg := write(ringOf(t, owners...), ring.MaxN, 1)
	r, step := begin(t, cfg)
	sends := slices.Clone(step.Sends)
	for n := 0; n < len(sends); n++ {
		_, _, step = r.Reply(sends[n].Target, coordinator.Refused)
		sends = append(sends, step.Sends...)
	}
	if len(sends) != ring.MaxN*coordinator.MaxTries || step.Answer != coordinator.Impossible || !step.Closed {
		t.Errorf("%d sends, then %+v", len(sends), step)
	}
	if err := r.Error(nil); len(err.Causes) != ring.MaxN || err.Outcome != coordinator.Failed {
		t.Errorf("error %v", err)
	}
}

// With all tries used and all answers stale, the repairs still have room.
func TestLargestRepair(t *testing.T) {
	owners := letters("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
	cfg := write(ringOf(t, owners...), ring.MaxN, ring.MaxN)
	cfg.Kind = coordinator.Read
	r, step := begin(t, cfg)
	for range coordinator.MaxTries - 1 {
		var next []coordinator.Send
		for _, s := range step.Sends {
			_, _, more := r.Reply(s.Target, coordinator.Refused)
			next = append(next, more.Sends...)
		}
		step.Sends = next
	}
	for _, s := range step.Sends {
		r.Reply(s.Target, coordinator.Acked)
	}
	if got := r.Repairs(func(int) bool { return false }); !slices.Equal(got, step.Sends) {
		t.Errorf("repairs %s, want %s", targets(got), targets(step.Sends))
	}
}

// A caller that delivers in the same turn calls the request from inside its
// loop over Sends: they must not change under it.
func TestSendsStayWhileRepliesComeIn(t *testing.T) {
	r, step := begin(t, write(ringOf(t, letters("abcdefgh")...), 3, 3))
	var sent []coordinator.Send
	var deliver func(coordinator.Step)
	deliver = func(step coordinator.Step) {
		for _, s := range step.Sends {
			sent = append(sent, s)
			outcome := coordinator.Acked
			if !s.Fallback {
				outcome = coordinator.Refused
			}
			_, _, next := r.Reply(s.Target, outcome)
			deliver(next)
		}
	}
	deliver(step)
	if got, want := targets(sent), "0@a 0@d* 1@b 1@e* 2@c 2@f*"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
}

// A request from a pool is as good as a new one, whatever it was before.
func TestInitMakesANewRequest(t *testing.T) {
	cfg := write(ringOf(t, letters("abcdef")...), 6, 6)
	r, _ := begin(t, cfg)
	r.NodeDown("a")
	r.Reply(ring.Target{Partition: 1, Node: "b"}, coordinator.Shed)
	cfg.Quorum = coordinator.Quorum{N: 3, Need: 2}
	if err := r.Init(cfg); err != nil {
		t.Fatal(err)
	}
	if got := targets(r.Start().Sends); got != "0@a 1@b 2@c" {
		t.Errorf("sends %s", got)
	}
	r.Reply(ring.Target{Partition: 0, Node: "a"}, coordinator.Acked)
	if got, want := r.String(), "write 1/2 waiting: 0@a acked, 1@b unknown, 2@c unknown"; got != want {
		t.Errorf("request is %q, want %q", got, want)
	}
	if err := r.Error(nil); err != nil {
		t.Errorf("error %v of a request that waits", err)
	}
}

// A refused Init leaves nothing to start, and events before their time do nothing.
func TestEventsOutOfOrder(t *testing.T) {
	from := ring.Target{Node: "a"}
	quiet := func(name string, r *coordinator.Request, step coordinator.Step) {
		t.Helper()
		i, counted, reply := r.Reply(from, coordinator.Acked)
		for _, s := range []coordinator.Step{step, reply, r.NodeDown("a")} {
			if i != -1 || counted || len(s.Sends) > 0 || s.Answer != coordinator.None || s.Closed {
				t.Errorf("%s: %d %v %+v", name, i, counted, s)
			}
		}
	}
	var r coordinator.Request
	quiet("zero, start", &r, r.Start())
	quiet("zero, expire", &r, r.Expire())
	cfg := write(ringOf(t, "a", "b"), 3, 2)
	if err := r.Init(cfg); !errors.Is(err, coordinator.ErrQuorum) {
		t.Errorf("Init with N above the ring size: %v", err)
	}
	quiet("refused", &r, r.Start())
	if err := r.Init(coordinator.Config{Quorum: cfg.Quorum}); err == nil {
		t.Error("Init without a ring succeeds")
	}
	cfg.Quorum = coordinator.Quorum{N: 1, Need: 1}
	if err := r.Init(cfg); err != nil {
		t.Fatal(err)
	}
	quiet("before the start", &r, coordinator.Step{})
	if step := r.Expire(); step.Answer != coordinator.Expired || !step.Closed {
		t.Errorf("expired before the start: %+v", step)
	}
	if err := r.Error(nil); err.Outcome != coordinator.Failed || len(err.Causes) != 0 {
		t.Errorf("expired before the start: %v", err)
	}
	quiet("start after the deadline", &r, r.Start())
}

// What no vnode can have said is ignored.
func TestNonsenseReplies(t *testing.T) {
	r, _ := begin(t, write(ringOf(t, letters("abc")...), 3, 1))
	for _, c := range []struct {
		from    ring.Target
		outcome coordinator.Outcome
	}{
		{ring.Target{Node: "a"}, coordinator.Unknown},
		{ring.Target{Node: "a"}, coordinator.Behind + 1},
		{ring.Target{Node: "a"}, 255},
		{ring.Target{Node: ""}, coordinator.Acked},
		{ring.Target{Node: "a", Partition: 1<<32 - 1}, coordinator.Acked},
	} {
		if i, counted, step := r.Reply(c.from, c.outcome); i != -1 || counted || step.Answer != coordinator.None {
			t.Errorf("%v from %v: %d %v %+v", c.outcome, c.from, i, counted, step)
		}
	}
}

// Every word is there, also for numbers that are none.
func TestWords(t *testing.T) {
	for word, got := range map[string]string{
		"lost": coordinator.Lost.String(), "?": coordinator.Outcome(99).String(),
		"expired": coordinator.Expired.String(), "none": coordinator.None.String(),
		"distinct nodes": coordinator.Nodes.String(), "read": coordinator.Read.String(),
		"request before Init": new(coordinator.Request).String(),
	} {
		if got != word {
			t.Errorf("%q, want %q", got, word)
		}
	}
}

// The request stays small enough to be pooled by the thousand.
func TestSize(t *testing.T) {
	if size := unsafe.Sizeof(coordinator.Request{}); size > 4<<10 {
		t.Errorf("a Request is %d bytes", size)
	} else {
		t.Logf("a Request is %d bytes", size)
	}
}

// Partitions that nobody owns yet are not sent to, and are named so.
func TestNobodyOwnsIt(t *testing.T) {
	empty, err := ring.FromState(ring.State{
		ClusterID: "test", Epoch: 1, Hash: ring.HashName, TargetN: 1, Owners: make([]ring.NodeName, 4),
	})
	if err != nil {
		t.Fatal(err)
	}
	r, step := begin(t, write(empty, 1, 1))
	if step.Answer != coordinator.Impossible || len(step.Sends) > 0 {
		t.Errorf("%+v", step)
	}
	if got, want := r.Error(nil).Error(), "write needed 1 of 1, got 0: partition 0 on nobody: unreachable"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

// What a replica said is found through the QuorumError.
func TestQuorumErrorUnwraps(t *testing.T) {
	r, _ := begin(t, write(ringOf(t, letters("abc")...), 3, 2))
	r.Reply(ring.Target{Partition: 0, Node: "a"}, coordinator.Shed)
	r.NodeDown("b")
	r.NodeDown("c")
	r.Expire()
	err := error(r.Error(func(i int) error {
		if i != 0 {
			t.Errorf("asked for the error of position %d, which had no reply", i)
		}
		return io.ErrShortWrite
	}))
	for _, want := range []error{io.ErrShortWrite, coordinator.ErrLost} {
		if !errors.Is(err, want) {
			t.Errorf("%v is not %v", err, want)
		}
	}
	var rich *coordinator.QuorumError
	if !errors.As(err, &rich) || rich.Needed != 2 || rich.Got != 0 || rich.Of != 3 {
		t.Errorf("%+v", rich)
	}
	r, _ = begin(t, write(ringOf(t, letters("abc")...), 3, 2))
	r.Expire()
	if err := r.Error(nil); !errors.Is(err, coordinator.ErrNoReply) || !strings.Contains(err.Error(), "by the deadline") {
		t.Errorf("%v", err)
	}
}
