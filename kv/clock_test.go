package kv

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	kvpb "github.com/torc-io/torc/proto/torc/kv/v1"
)

// epoch is when the physical clocks of these tests start.
var epoch = time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)

// hand is a physical clock that is set by hand.
type hand struct{ at time.Time }

func (h *hand) now() time.Time { return h.at }

// version returns a version by its distance from the epoch.
func version(after time.Duration, logical uint32, writer string) *kvpb.Version {
	return &kvpb.Version{Wall: epoch.Add(after).UnixNano(), Logical: logical, Writer: writer}
}

// near draws durations that are often equal, and often just at the limit.
func near() *rapid.Generator[time.Duration] {
	return rapid.OneOf(
		rapid.Map(rapid.IntRange(-3, 3), func(n int) time.Duration { return time.Duration(n) }),
		rapid.Map(rapid.IntRange(-3, 3), func(n int) time.Duration { return MaxDrift + time.Duration(n) }),
		rapid.Map(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)), func(n int64) time.Duration { return time.Duration(n) }),
	)
}

var logicals = rapid.OneOf(rapid.Uint32Range(0, 3), rapid.Uint32Range(math.MaxUint32-2, math.MaxUint32))

// TestNowIsAboveAllItGaveOrSaw holds whatever the physical clock does.
func TestNowIsAboveAllItGaveOrSaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		physical := &hand{epoch}
		c := newClock("b", physical.now)
		var newest *kvpb.Version
		t.Repeat(map[string]func(*rapid.T){
			"jump": func(t *rapid.T) { physical.at = epoch.Add(near().Draw(t, "to")) },
			"now": func(t *rapid.T) {
				v := c.Now()
				if compare(v, newest) <= 0 {
					t.Fatalf("Now() = %v is not above %v", v, newest)
				}
				if v.Writer != "b" || v.Wall < physical.at.UnixNano() {
					t.Fatalf("Now() = %v at %v", v, physical.at.UnixNano())
				}
				newest = v
			},
			"observe": func(t *rapid.T) {
				v := version(near().Draw(t, "wall"), logicals.Draw(t, "logical"), rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "writer"))
				err := c.Observe(v)
				if ahead := v.Wall - physical.at.UnixNano(); (ahead > int64(MaxDrift)) != errors.Is(err, errDrift) {
					t.Fatalf("Observe of a version that is %v ahead: %v", time.Duration(ahead), err)
				}
				if err == nil && compare(v, newest) > 0 {
					newest = v
				}
			},
		})
	})
}

func TestNowFollowsThePhysicalTime(t *testing.T) {
	physical := &hand{epoch}
	c := newClock("a", physical.now)
	for _, step := range []struct {
		at   time.Duration
		want *kvpb.Version
	}{
		{0, version(0, 0, "a")},
		{0, version(0, 1, "a")},
		{5, version(5, 0, "a")},
		{-time.Hour, version(5, 1, "a")},
		{6, version(6, 0, "a")},
	} {
		physical.at = epoch.Add(step.at)
		if got := c.Now(); !proto.Equal(got, step.want) {
			t.Errorf("at %v: %v, want %v", step.at, got, step.want)
		}
	}
}

func TestNowCarriesOverAFullLogicalPart(t *testing.T) {
	physical := &hand{epoch}
	c := newClock("a", physical.now)
	if err := c.Observe(version(9, math.MaxUint32, "b")); err != nil {
		t.Fatal(err)
	}
	if got, want := c.Now(), version(10, 0, "a"); !proto.Equal(got, want) {
		t.Errorf("Now() = %v, want %v", got, want)
	}
}

func TestObserveRefusesAClockThatIsAhead(t *testing.T) {
	physical := &hand{epoch}
	c := newClock("a", physical.now)
	err := c.Observe(version(time.Hour, 0, "broken"))
	if !errors.Is(err, errDrift) || !strings.Contains(err.Error(), `"broken" by 1h0m0s, allowed are 1m0s`) {
		t.Errorf("Observe of a version from the future: %v", err)
	}
	if err := c.Observe(&kvpb.Version{Wall: math.MaxInt64}); !errors.Is(err, errDrift) {
		t.Errorf("Observe of the last version there is: %v", err)
	}
	for _, v := range []*kvpb.Version{nil, {}, {Wall: math.MinInt64}, version(-time.Hour, 9, "slow"), version(MaxDrift, 0, "b")} {
		if err := c.Observe(v); err != nil {
			t.Errorf("Observe(%v): %v", v, err)
		}
	}
	if got, want := c.Now(), version(MaxDrift, 1, "a"); !proto.Equal(got, want) {
		t.Errorf("Now() = %v, want %v: only what was accepted counts", got, want)
	}
}

func TestClockGivesNoVersionTwice(t *testing.T) {
	const writers, each = 8, 500
	c := newClock("a", func() time.Time { return epoch })
	given := make([][]*kvpb.Version, writers)
	var all sync.WaitGroup
	for w := range given {
		all.Go(func() {
			for range each {
				v := c.Now()
				if err := c.Observe(v); err != nil {
					t.Error(err)
				}
				given[w] = append(given[w], v)
			}
		})
	}
	all.Wait()
	for w, versions := range given {
		if !slices.IsSortedFunc(versions, compare) {
			t.Errorf("the versions that goroutine %d got do not grow", w)
		}
	}
	sorted := slices.SortedFunc(slices.Values(slices.Concat(given...)), compare)
	if distinct := len(slices.CompactFunc(sorted, func(a, b *kvpb.Version) bool { return compare(a, b) == 0 })); distinct != writers*each {
		t.Errorf("%d distinct versions, want %d", distinct, writers*each)
	}
}

func BenchmarkClock(b *testing.B) {
	c := newClock("a", time.Now)
	v := c.Now()
	b.Run("Now", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.Now()
		}
	})
	b.Run("Now/parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				c.Now()
			}
		})
	})
	b.Run("Observe", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := c.Observe(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
