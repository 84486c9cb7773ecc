package main

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/actors/vnodetest"
	sessionspb "github.com/torc-io/torc/proto/torc/examples/sessions/v1"
)

// fact is a number turned into a change of a session, the same one each time.
func fact(i int) *sessionspb.Session {
	if i%3 == 0 {
		return &sessionspb.Session{Name: &sessionspb.Name{Text: fmt.Sprint("name ", i%2), Time: int64(i / 6)}}
	}
	tab := &sessionspb.Tab{Id: fmt.Sprint(i % 7), Inbox: "n1/x", Clicks: int64(i), Closed: i%11 == 0}
	return &sessionspb.Session{Tabs: []*sessionspb.Tab{tab}}
}

func sessionOf(facts []int) (s *sessionspb.Session) {
	s = &sessionspb.Session{}
	for _, i := range facts {
		s = merge(s, fact(i))
	}
	return s
}

// TestMerge: the order, repetition and way of what happened do not matter.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(rapid.IntRange(0, 60), 2, 30).Draw(t, "facts")
		half := len(facts) / 2
		want := sessionOf(facts)
		for how, got := range map[string]*sessionspb.Session{
			"in another order": sessionOf(rapid.Permutation(facts).Draw(t, "order")),
			"in two parts":     merge(sessionOf(facts[half:]), sessionOf(facts[:half])),
			"twice":            merge(want, sessionOf(facts[half:])),
		} {
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Fatalf("%s: %s", how, diff)
			}
		}
	})
}

func TestVnode(t *testing.T) {
	vnodetest.Run(t, vnodetest.Config[*vnode]{
		Open: func(t testing.TB) *vnode {
			v, err := open(t.Context(), torc.Host{})
			if err != nil {
				t.Fatal(err)
			}
			return v
		},
		Write: func(v *vnode, key []byte, i int) error {
			_, err := v.Rename(t.Context(), &sessionspb.Rename{Key: key, Name: &sessionspb.Name{Text: fmt.Sprint(i), Time: int64(i)}})
			return err
		},
	})
}
