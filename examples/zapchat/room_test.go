package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/actors/vnodetest"
	chatpb "github.com/torc-io/torc/proto/torc/examples/zapchat/v1"
)

// fact is a number turned into a fact of some kind about a room, the same one each
// time, as the replicas of a room are told it.
func fact(i int) *chatpb.Room {
	at, id, user := int64(i/7), uint64(i), fmt.Sprint("user", i%5)
	game := &chatpb.Game{Time: at / 10, Id: 1, User: user, Number: 9}
	switch i % 7 {
	case 0, 1, 2:
		return &chatpb.Room{Lines: []*chatpb.Line{{Time: at, Id: id, User: user, Text: "hi"}}}
	case 3:
		return &chatpb.Room{Members: []*chatpb.Member{{Time: at / 2, Id: id / 14, User: "user", Inbox: "n1/x"}}}
	case 4:
		return &chatpb.Room{Members: []*chatpb.Member{{Time: at / 2, Id: id / 14, User: "user", Inbox: "n1/x", Left: at + 1}}}
	case 5:
		return &chatpb.Room{Marks: []*chatpb.Mark{{User: user, Time: at, Recent: []uint64{id}}}}
	default:
		game.User = "owner"
		game.Attempts = []*chatpb.Attempt{{Time: at, Id: id, User: user, Number: uint32(i % 20)}}
		return &chatpb.Room{Games: []*chatpb.Game{game}}
	}
}

func roomOf(facts []int) *chatpb.Room {
	room := &chatpb.Room{}
	for _, i := range facts {
		room = merge(room, fact(i))
	}
	return room
}

// TestMergeIsAUnion: replicas that were told the same facts, in whatever order,
// however often, and on whatever ways, are the same, and none was changed by it.
func TestMergeIsAUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(rapid.IntRange(0, 200), 1, 60).Draw(t, "facts")
		want := roomOf(facts)
		parts := make([]*chatpb.Room, 3)
		for p := range parts {
			parts[p] = roomOf(only(facts, func(i int) bool { return i%3 == p || i%4 == p }))
		}
		before := proto.CloneOf(parts[0])
		shuffled := rapid.Permutation(append(slices.Clone(facts), facts[0])).Draw(t, "order")
		for how, got := range map[string]*chatpb.Room{
			"shuffled":            roomOf(shuffled),
			"merged, (0 1) 2":     merge(merge(parts[0], parts[1]), parts[2]),
			"merged, 2 (1 0)":     merge(parts[2], merge(parts[1], parts[0])),
			"merged with a part":  merge(want, parts[1]),
			"merged with nothing": merge(nil, merge(want, nil)),
		} {
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Fatalf("%s: %s", how, diff)
			}
			if digest(want) != digest(got) {
				t.Fatalf("%s: the digests differ", how)
			}
		}
		if !proto.Equal(before, parts[0]) {
			t.Fatal("a merge changed what it merged")
		}
	})
}

// TestBounds: what is kept is the latest of all, in whatever order it came.
func TestBounds(t *testing.T) {
	forward, backward := &chatpb.Room{}, &chatpb.Room{}
	count := maxMarks + 10
	all := make([]*chatpb.Room, count)
	for i := range all {
		at, id := int64(i), uint64(i)
		all[i] = &chatpb.Room{
			Lines:   []*chatpb.Line{{Time: at, Id: id}},
			Members: []*chatpb.Member{{Time: at, Id: id, Left: at + 1}},
			Marks:   []*chatpb.Mark{{User: fmt.Sprint(i), Time: at}},
			Games: []*chatpb.Game{
				{Time: at, Id: id},
				{Time: int64(count), Id: 1, Attempts: []*chatpb.Attempt{{Time: at, Id: id}}},
			},
		}
	}
	for i := range all {
		forward, backward = merge(forward, all[i]), merge(all[count-1-i], backward)
	}
	if diff := cmp.Diff(forward, backward, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	sizes := []int{len(forward.Lines), len(forward.Members), len(forward.Marks), len(forward.Games), len(forward.Games[maxGames-1].Attempts)}
	if want := []int{maxLines, maxGone, maxMarks, maxGames, maxAttempts}; !slices.Equal(sizes, want) {
		t.Errorf("kept %v, want %v", sizes, want)
	}
	if forward.Lines[0].GetId() != uint64(count-maxLines) || forward.Games[maxGames-1].Attempts[0].GetId() != 0 {
		t.Error("kept others than the last lines and the first attempts")
	}
}

// TestNewsComeOnce: whatever a view learns in whatever pieces, each fact is shown
// once, and a full room shows nothing that it has forgotten.
func TestNewsComeOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		facts := rapid.SliceOfN(rapid.IntRange(0, 400), 1, 200).Draw(t, "facts")
		room, shown := &chatpb.Room{}, []string(nil)
		learn := func(r *chatpb.Room) {
			next := merge(room, r)
			shown = append(shown, news("room", room, next)...)
			room = next
		}
		for len(facts) > 0 {
			n := rapid.IntRange(1, len(facts)).Draw(t, "n")
			learn(roomOf(facts[:n]))
			learn(fact(facts[0]))
			facts = facts[n:]
		}
		left := len(room.GetMembers()) - len(present(room))
		if want := len(room.GetLines()) + len(room.GetMembers()) + left; len(shown) != want {
			t.Fatalf("%d facts were shown as %d lines: %q", want, len(shown), shown)
		}
	})
	full := &chatpb.Room{}
	for i := range maxLines {
		full.Lines = append(full.Lines, &chatpb.Line{Time: int64(i + 5), Id: 1})
	}
	old := &chatpb.Room{Lines: []*chatpb.Line{{Time: 3}}}
	if got := news("room", full, merge(full, old)); len(got) != 0 {
		t.Errorf("shown again: %q", got)
	}
}

// TestUnread: nothing is missed and nothing comes twice, even if a line from before
// the mark arrives after it.
func TestUnread(t *testing.T) {
	second := int64(time.Second)
	line := func(id uint64, at int64, act bool) *chatpb.Line {
		return &chatpb.Line{Time: at, Id: id, User: "u", Text: fmt.Sprint(id), Act: act}
	}
	seen := &chatpb.Room{Lines: []*chatpb.Line{line(1, 10*second, false), line(2, 99*second, false)}}
	m := mark(seen, "Jane", 100*second)
	late := &chatpb.Room{Lines: []*chatpb.Line{line(3, 98*second, false), line(4, 101*second, false), line(5, 102*second, true)}}
	room := merge(merge(seen, late), &chatpb.Room{Marks: []*chatpb.Mark{{User: "Adam"}, m, {User: "Zoe"}}})
	var got []string
	for _, l := range unread(room, markOf(room, "Jane")) {
		got = append(got, l.GetText())
	}
	if want := "3 4"; strings.Join(got, " ") != want {
		t.Errorf("unread are %q, want %q", got, want)
	}
	if got := unread(room, markOf(room, "Eve")); len(got) != 0 {
		t.Errorf("who was never here has missed %v", got)
	}
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
			// No fact comes twice, so each changes the room.
			f := fact(i)
			f.Lines = append(f.Lines, &chatpb.Line{Time: int64(i), Id: uint64(i) << 32})
			_, err := v.Mend(t.Context(), &chatpb.Mend{Key: key, Room: merge(nil, f)})
			return err
		},
	})
}
