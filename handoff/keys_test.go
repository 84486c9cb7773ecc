package handoff

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A keySet behaves like a list in which each key is once.
func TestKeySet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var set keySet
		var twin []string
		for range rapid.IntRange(0, 60).Draw(rt, "events") {
			key := rapid.SampledFrom([]string{"", "a", "b", "c", "d"}).Draw(rt, "key")
			switch rapid.SampledFrom([]string{"add", "add", "remove", "pop", "clear"}).Draw(rt, "event") {
			case "add":
				set.add([]byte(key))
				if !slices.Contains(twin, key) {
					twin = append(twin, key)
				}
			case "remove":
				set.remove([]byte(key))
				twin = slices.DeleteFunc(twin, func(k string) bool { return k == key })
			case "pop":
				twin = popBoth(rt, &set, twin)
			case "clear":
				set.clear()
				twin = nil
			}
			if got := keysOf(&set); !slices.Equal(got, twin) || set.len() != len(twin) || set.contains([]byte(key)) != slices.Contains(twin, key) {
				rt.Fatalf("the set is %q, len %d; the twin %q", got, set.len(), twin)
			}
		}
	})
}

func popBoth(rt *rapid.T, set *keySet, twin []string) []string {
	key, ok := set.pop()
	if ok != (len(twin) > 0) || ok && string(key) != twin[0] {
		rt.Fatalf("popped %q, %v; the twin is %q", key, ok, twin)
	}
	return twin[min(1, len(twin)):]
}

func keysOf(set *keySet) (keys []string) {
	for _, key := range set.all() {
		keys = append(keys, string(key))
	}
	return keys
}

// What is added and removed over and over takes no memory.
func TestKeySetForgets(t *testing.T) {
	var set keySet
	for range 1000 {
		set.add([]byte("a"))
		set.remove([]byte("a"))
		set.add([]byte("b"))
		set.pop()
	}
	if set.order != nil {
		t.Errorf("an empty set keeps %d keys", len(set.order))
	}
}
