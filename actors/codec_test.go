package actors

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/torc-io/torc/ring"
)

func exampleRing(t testing.TB) *ring.Ring {
	t.Helper()
	r, err := ring.New("c1", 12, 3,
		ring.Member{Name: "a", Address: "127.0.0.1:1", Zone: "z1", Weight: 2, Incarnation: 9},
		ring.Member{Name: "b", Address: "127.0.0.1:2"}, ring.Member{Name: "c", Address: "127.0.0.1:3"})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := r.Plan(ring.Join(ring.Member{Name: "d", Address: "127.0.0.1:4"}))
	if err != nil {
		t.Fatal(err)
	}
	return plan.Next // has transfers
}

func TestRingDocumentRoundTrip(t *testing.T) {
	r := exampleRing(t)
	data, err := encodeRing(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRing(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.State(), r.State()) {
		t.Errorf("came back as %+v\nwant %+v", got.State(), r.State())
	}
	again, err := encodeRing(got)
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("the same ring has two encodings (%v)", err)
	}
}

// FuzzDecodeRing: the document comes from a store that others can write to.
// Whatever is in it, it is refused, or it is a ring that keeps the invariants.
func FuzzDecodeRing(f *testing.F) {
	data, err := encodeRing(exampleRing(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{})
	f.Add([]byte{0x32, 0x01, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeRing(data)
		if err != nil {
			return
		}
		if _, err := encodeRing(r); err != nil {
			t.Errorf("a ring that was decoded cannot be encoded: %v", err)
		}
	})
}
