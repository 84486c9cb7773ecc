package consul

import (
	"context"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/torc-io/torc/membership"
)

func TestWhoYieldsAName(t *testing.T) {
	const here, elsewhere = "127.0.0.1:7001", "127.0.0.1:7002"
	critical := func(incarnation uint64) []instance {
		return []instance{{membership.Node{Incarnation: incarnation}, api.HealthCritical}}
	}
	warning := []instance{{membership.Node{Incarnation: 1}, api.HealthWarning}}
	for _, test := range []struct {
		what     string
		held     holder
		rivals   []instance
		starting bool
		want     bool
	}{
		{"an older one at this address, to a start", holder{Address: here, Incarnation: 1}, nil, true, true},
		{"a newer one at this address, to a start: the clock was set back", holder{Address: here, Incarnation: 9}, nil, true, true},
		{"an older one at this address, to one that had the name", holder{Address: here, Incarnation: 1}, nil, false, true},
		{"a newer one at this address, to one that had the name", holder{Address: here, Incarnation: 9}, nil, false, false},
		{"itself, in a session it forgot", holder{Address: elsewhere, Incarnation: 5}, nil, false, true},
		{"a live one elsewhere", holder{Address: elsewhere, Incarnation: 1}, nil, true, false},
		{"one elsewhere that starts", holder{Address: elsewhere, Incarnation: 1}, warning, true, false},
		{"a dead one elsewhere", holder{Address: elsewhere, Incarnation: 1}, critical(1), true, true},
		{"a live one whose predecessor is dead", holder{Address: elsewhere, Incarnation: 2}, critical(1), true, false},
		{"a stranger", holder{session: "s"}, nil, true, false},
	} {
		self := membership.Node{Name: "a", Address: here, Incarnation: 5}
		if got := yields(self, test.held, test.rivals, test.starting); got != test.want {
			t.Errorf("%s: yields %t, want %t", test.what, got, test.want)
		}
	}
}

func TestNextIndex(t *testing.T) {
	for _, test := range []struct{ asked, got, want uint64 }{
		{0, 0, 1},
		{0, 1, 1},
		{0, 7, 7},
		{1, 0, 1},
		{7, 7, 7},
		{7, 8, 8},
		{7, 6, 0},
		{7, 0, 0},
		{math.MaxUint64, 1, 0},
		{1, math.MaxUint64, math.MaxUint64},
	} {
		if got := nextIndex(test.asked, test.got); got != test.want {
			t.Errorf("after a query from %d with answer %d comes %d, want %d", test.asked, test.got, got, test.want)
		}
	}
}

func TestBackoffDoublesToItsBound(t *testing.T) {
	b := backoff{first: 200 * time.Millisecond, most: 5 * time.Second}
	for _, ms := range []int{200, 400, 800, 1600, 3200, 5000, 5000} {
		want := time.Duration(ms) * time.Millisecond
		if got := b.next(); got < want/2 || got > want {
			t.Errorf("a pause of %s, want %s to %s", got, want/2, want)
		}
	}
	b.reset()
	if got := b.next(); got > b.first {
		t.Errorf("a pause of %s after a success, want at most %s", got, b.first)
	}
}

// TestAnswersWithoutEndCostLittle: an agent that never blocks is asked twice a
// second, after a short burst.
func TestAnswersWithoutEndCostLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const minutes = 10
		asked := 0
		s := &Store{config: Config{Logger: slog.New(slog.DiscardHandler)}, timing: newTiming(defaultTTL)}
		f := newFeed(s, "test", func(*api.QueryOptions) (int, *api.QueryMeta, error) {
			asked++
			return asked, &api.QueryMeta{LastIndex: uint64(asked)}, nil
		}, func(a, b int) bool { return a == b })
		watch := f.watch(t.Context())
		time.Sleep(minutes * time.Minute)
		synctest.Wait()
		if want := bucketSize + minutes*120; asked < want-2 || asked > want+2 {
			t.Errorf("%d queries in %d minutes, want %d", asked, minutes, want)
		}
		if got := <-watch; got != asked {
			t.Errorf("a slow watcher got answer %d, want the last, %d", got, asked)
		}
	})
}

func TestFeedForgetsWhenNobodyWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state, running := 0, 0
		s := &Store{config: Config{Logger: slog.New(slog.DiscardHandler)}, timing: newTiming(defaultTTL)}
		f := newFeed(s, "test", func(q *api.QueryOptions) (int, *api.QueryMeta, error) {
			running++
			defer func() { running-- }()
			if q.WaitIndex > 0 {
				<-q.Context().Done()
			}
			return state, &api.QueryMeta{LastIndex: 1}, q.Context().Err()
		}, func(a, b int) bool { return a == b })
		for state = 1; state <= 3; state++ {
			ctx, cancel := context.WithCancel(t.Context())
			if got := <-f.watch(ctx); got != state {
				t.Errorf("a new watch began with %d, want %d", got, state)
			}
			cancel()
			synctest.Wait()
			if running != 0 {
				t.Errorf("%d queries run for nobody", running)
			}
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	for want, config := range map[string]Config{
		"name of the cluster": {Cluster: "a/b"},
		"TTL":                 {Cluster: "a", TTL: time.Second},
		"deregister":          {Cluster: "a", DeregisterAfter: time.Minute},
		"ACL token":           {Cluster: "a", TokenFile: "testdata/none"},
		"protocol":            {Cluster: "a", Agent: "gopher://localhost"},
	} {
		if _, err := Open(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%+v): %v, want an error about the %s", config, err, want)
		}
	}
}

func TestEnvironmentNamesTheAgent(t *testing.T) {
	t.Setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
	for want, config := range map[string]Config{
		"127.0.0.1:1": {Cluster: "a"},
		"127.0.0.1:2": {Cluster: "a", Agent: "127.0.0.1:2"},
	} {
		s, err := Open(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Connect().Document(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without an agent, Document returned %v, want an error about %s", err, want)
		}
	}
}
