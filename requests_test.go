package torc_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/puppet"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
)

// startSolo starts a cluster of one and stops it with the test.
func startSolo(t testing.TB, config torc.Config, services ...torc.Registration) *torc.Node {
	t.Helper()
	config.Name = "solo"
	node, err := torc.Start(context.Background(), config, services...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shutdown(t, node) })
	return node
}

func shutdown(t testing.TB, node *torc.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := node.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func act(verb string) *testingpb.Act {
	return &testingpb.Act{Key: []byte("key"), Verb: verb, Value: []byte("value")}
}

func TestWrongRequestsAreRefusedBeforeAnythingIsSent(t *testing.T) {
	p := puppet.NewRepairing(torc.Quorum{N: 3})
	node := startSolo(t, torc.Config{}, p)
	for name, c := range map[string]struct {
		command *testingpb.Act
		opts    []torc.CallOption
		want    error
		says    string
	}{
		"an empty key":            {&testingpb.Act{Verb: "x"}, nil, torc.ErrInvalid, "the key is empty"},
		"W above N":               {act(""), []torc.CallOption{torc.W(4)}, torc.ErrInvalid, "w=4 is outside 1…3"},
		"W zero":                  {act(""), []torc.CallOption{torc.W(0)}, torc.ErrInvalid, "w=0 is outside 1…3"},
		"W negative":              {act(""), []torc.CallOption{torc.W(-1)}, torc.ErrInvalid, "w=-1 is outside 1…3"},
		"N zero":                  {act(""), []torc.CallOption{torc.N(0), torc.W(1)}, torc.ErrInvalid, "n=0 is outside"},
		"N above the bound":       {act(""), []torc.CallOption{torc.N(17)}, torc.ErrInvalid, "n=17 is outside 1…16"},
		"more primaries than N":   {act(""), []torc.CallOption{torc.Primaries(4)}, torc.ErrInvalid, "pw=4"},
		"more nodes than N":       {act(""), []torc.CallOption{torc.Nodes(4)}, torc.ErrInvalid, "nodes=4"},
		"a command over the size": {&testingpb.Act{Key: []byte("k"), Value: make([]byte, torc.MaxMessageBytes)}, nil, torc.ErrTooLarge, "the most is 524288"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.Act.Do(t.Context(), node, c.command, c.opts...)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v; want %v and %q", err, c.want, c.says)
			}
		})
	}
	if n := p.Executed.Load(); n != 0 {
		t.Errorf("%d commands were executed", n)
	}
}

func TestServiceThatIsNotThere(t *testing.T) {
	p, stranger := puppet.NewRepairing(torc.Quorum{N: 1}), puppet.NewRepairing(torc.Quorum{N: 1})
	node := startSolo(t, torc.Config{}, p)
	if _, err := stranger.Act.Do(t.Context(), node, act("")); !errors.Is(err, torc.ErrUnknownService) {
		t.Errorf("got %v, want ErrUnknownService", err)
	}
}

// TestFailuresOfHandlers: each is told to the client, and none spreads.
func TestFailuresOfHandlers(t *testing.T) {
	p := puppet.NewRepairing(torc.Quorum{N: 3})
	node := startSolo(t, torc.Config{}, p)
	for verb, c := range map[string]struct {
		want error
		says string
	}{
		"fail":    {torc.ErrFailed, "as told"},
		"invalid": {torc.ErrInvalid, "invalid command"},
		"panic":   {torc.ErrPanic, "handler panicked: as told"},
	} {
		t.Run(verb, func(t *testing.T) {
			_, err := p.Act.Do(t.Context(), node, act(verb))
			var short *torc.QuorumError
			if !errors.Is(err, c.want) || !errors.As(err, &short) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v; want a QuorumError with %v and %q", err, c.want, c.says)
			}
			if short.Outcome != torc.OutcomeUnknown {
				t.Errorf("the outcome of a write that handlers took up is %v", short.Outcome)
			}
			if _, err := p.Act.Do(t.Context(), node, act("store")); err != nil {
				t.Errorf("the next command: %v", err)
			}
		})
	}
	if n := p.Opened.Load(); n > 120 {
		t.Errorf("%d vnodes were opened for 120 partitions: a panic must not cost a vnode its state", n)
	}
}

func TestHandlerSlowerThanTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := puppet.NewRepairing(torc.Quorum{N: 3})
		p.Pause = time.Hour
		node := startSolo(t, torc.Config{RequestTimeout: time.Second}, p)
		for verb, end := range map[string]time.Duration{"slow": time.Second, "hang": time.Second} {
			began := time.Now()
			_, err := p.Act.Do(t.Context(), node, act(verb))
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, torc.ErrNoReply) {
				t.Errorf("%s: got %v, want a deadline error", verb, err)
			}
			if took := time.Since(began); took < end || took > end+50*time.Millisecond {
				t.Errorf("%s: answered after %v, want %v", verb, took, end)
			}
			time.Sleep(2 * time.Hour) // the slow handlers end
		}
		if _, err := p.Act.Do(t.Context(), node, act("store")); err != nil {
			t.Errorf("the next command: %v", err)
		}
	})
}

// TestCommandsThatWaitedTooLongAreNotExecuted: a vnode that catches up must not
// spend its time on what nobody waits for any more.
func TestCommandsThatWaitedTooLongAreNotExecuted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := puppet.NewRepairing(torc.Quorum{N: 1})
		p.Pause = 3 * time.Second
		node := startSolo(t, torc.Config{RequestTimeout: time.Second}, p)
		for range 10 {
			go p.Act.Do(context.Background(), node, act("slow"))
		}
		time.Sleep(time.Minute)
		if n := p.Executed.Load(); n != 1 {
			t.Errorf("%d of 10 commands were executed; all but the first had expired", n)
		}
	})
}

func TestCancelledClientIsAnsweredAtOnceAndItsWriteGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := puppet.NewRepairing(torc.Quorum{N: 1})
		node := startSolo(t, torc.Config{RequestTimeout: time.Minute}, p)
		p.Pause = 10 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		_, err := p.Act.Do(ctx, node, act("slow"))
		if !errors.Is(err, context.Canceled) || time.Since(began) != time.Second {
			t.Errorf("answered %v after %v", err, time.Since(began))
		}
		seen, err := p.Look.Do(t.Context(), node, &testingpb.Look{Key: []byte("key")})
		if err != nil || string(seen.GetValue()) != "value" {
			t.Errorf("after a cancelled write the key has %v, %v", seen, err)
		}
	})
}

func TestVnodeThatCannotOpenIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := puppet.NewRepairing(torc.Quorum{N: 1})
		p.FailOpen.Store(true)
		node := startSolo(t, torc.Config{}, p)
		if _, err := p.Act.Do(t.Context(), node, act("")); !errors.Is(err, torc.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		p.FailOpen.Store(false)
		time.Sleep(time.Second)
		if _, err := p.Act.Do(t.Context(), node, act("")); err != nil {
			t.Errorf("a second later: %v", err)
		}
	})
}

// TestOverload sends ten times what the vnodes can do, for ten seconds of
// virtual time. Every request is answered, what waits stays bounded, and
// afterwards the first request finds an idle vnode.
func TestOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := puppet.NewRepairing(torc.Quorum{N: 1})
		p.Pause = time.Millisecond
		const bound = 64
		node := startSolo(t, torc.Config{RequestTimeout: time.Second, MailboxCommands: bound}, p)
		var answered, ok, overloaded atomic.Int64
		var wg sync.WaitGroup
		const perMillisecond, milliseconds = 10, 10_000
		for range milliseconds {
			for range perMillisecond {
				wg.Go(func() {
					_, err := p.Act.Do(t.Context(), node, act("slow"))
					answered.Add(1)
					switch {
					case err == nil:
						ok.Add(1)
					case errors.Is(err, torc.ErrOverloaded):
						overloaded.Add(1)
					default:
						t.Errorf("neither executed nor overloaded: %v", err)
					}
				})
			}
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		if n := answered.Load(); n != perMillisecond*milliseconds {
			t.Errorf("%d of %d requests were answered", n, perMillisecond*milliseconds)
		}
		if ok.Load() < milliseconds-bound || overloaded.Load() < 8*milliseconds {
			t.Errorf("%d executed, %d overloaded: the vnode must go on at full rate and refuse the rest", ok.Load(), overloaded.Load())
		}
		began := time.Now()
		if _, err := p.Act.Do(t.Context(), node, act("slow")); err != nil || time.Since(began) > 2*time.Millisecond {
			t.Errorf("after the overload: %v in %v", err, time.Since(began))
		}
	})
}

// TestAMillionRequestsLeaveNothing: a third of them fail, in assorted ways, and
// afterwards goroutines and heap are where they were.
func TestAMillionRequestsLeaveNothing(t *testing.T) {
	requests := 1_000_000
	if testing.Short() || raceEnabled {
		requests = 50_000
	}
	p := puppet.NewRepairing(torc.Quorum{N: 3})
	node := startSolo(t, torc.Config{RequestTimeout: 20 * time.Millisecond}, p)
	// Reach the steady state first: the actor registry alone has 32,768 maps that
	// take their memory when they are first used.
	assorted(t, p, node, 200_000)
	before := footprint()
	assorted(t, p, node, requests)
	after := footprint()
	if after.goroutines > before.goroutines+maxParkedWorkers {
		t.Errorf("%d goroutines, %d before", after.goroutines, before.goroutines)
	}
	if after.heap > before.heap+4<<20 {
		t.Errorf("%d KiB of heap, %d KiB before", after.heap>>10, before.heap>>10)
	}
}

// maxParkedWorkers is how many idle goroutines a node's pool may keep.
const maxParkedWorkers = 64

type usage struct {
	goroutines int
	heap       uint64
}

// footprint measures once everything that was on its way has ended.
func footprint() usage {
	var stats runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return usage{runtime.NumGoroutine(), stats.HeapAlloc}
}

// assorted sends requests from 64 clients: two thirds succeed, the others fail
// by each of the ways there are.
func assorted(t *testing.T, p *puppet.Service, node *torc.Node, requests int) {
	t.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(requests); i = next.Add(1) {
				if err := assortedOne(p, node, int(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func assortedOne(p *puppet.Service, node *torc.Node, i int) error {
	key := []byte{byte(i % 251), byte(i % 3)} // few, so that the stored items stay as many
	do := func(verb string, opts ...torc.CallOption) error {
		_, err := p.Act.Do(context.Background(), node, &testingpb.Act{Key: key, Verb: verb}, opts...)
		return err
	}
	kinds := []func() (got, want error){
		func() (error, error) { return do("fail"), torc.ErrFailed },
		func() (error, error) { return do("invalid"), torc.ErrInvalid },
		func() (error, error) { return do("store", torc.W(9)), torc.ErrInvalid },
		func() (error, error) {
			_, err := p.Look.Do(context.Background(), node, &testingpb.Look{Key: append(key, 'x')})
			return err, torc.ErrNotFound
		},
		func() (error, error) {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_, err := p.Act.Do(ctx, node, &testingpb.Act{Key: key})
			return errors.Join(err, context.Canceled), context.Canceled // it may have been faster
		},
	}
	var got, want error
	switch {
	case i%30_000 == 0:
		got, want = do("hang"), context.DeadlineExceeded
	case i%9_999 == 0:
		got, want = do("panic"), torc.ErrPanic
	case i%3 == 0:
		got, want = kinds[i/3%len(kinds)]()
	default:
		got = do("store")
	}
	// A hanging handler holds its partition up for a timeout: anything may expire.
	if errors.Is(got, want) || errors.Is(got, context.DeadlineExceeded) {
		return nil
	}
	return fmt.Errorf("request %d ended with %w, want %w", i, got, want)
}

// TestShutdownDoesNotWaitForAHandlerForEver: its context ends, and says so.
func TestShutdownDoesNotWaitForAHandlerForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := puppet.NewRepairing(torc.Quorum{N: 1})
		p.Pause = time.Hour
		node, err := torc.Start(t.Context(), torc.Config{Name: "solo", RequestTimeout: time.Second}, p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Act.Do(t.Context(), node, act("slow")); !errors.Is(err, torc.ErrNoReply) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		err = node.Shutdown(ctx)
		if err == nil || !strings.Contains(err.Error(), "1 vnodes had not closed") || time.Since(began) > 11*time.Second {
			t.Errorf("shut down after %v: %v", time.Since(began), err)
		}
		time.Sleep(2 * time.Hour) // the handler ends
	})
}
