package bench

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"testing"

	torc "github.com/torc-io/torc"

	"pgregory.net/rapid"

	"github.com/torc-io/torc/ring"
)

// TestFrames: what is sent is what arrives.
func TestFrames(t *testing.T) {
	objects := rapid.Custom(func(t *rapid.T) *object {
		if rapid.Bool().Draw(t, "absent") {
			return nil
		}
		return &object{
			value: rapid.SliceOf(rapid.Byte()).Draw(t, "value"), wall: rapid.Int64().Draw(t, "wall"),
			writer: rapid.SampledFrom([]string{"", "twin", "other"}).Draw(t, "writer"),
		}
	})
	same := func(a, b *object) bool {
		return (a == nil) == (b == nil) && (a == nil || bytes.Equal(a.value, b.value) && a.wall == b.wall && a.writer == b.writer)
	}
	rapid.Check(t, func(t *rapid.T) {
		p := ring.Partition(rapid.IntRange(0, ring.DefaultSize-1).Draw(t, "partition"))
		r := request{key: rapid.String().Draw(t, "key"), object: objects.Draw(t, "object")}
		number, back, err := decodeRequest(appendRequest(nil, p, &r))
		if err != nil || number != p || back.key != r.key || !same(back.object, r.object) {
			t.Fatalf("request %+v of %d comes back as %+v of %d, %v", r, p, back, number, err)
		}
		a := ack{partition: p, object: r.object}
		frame := appendAck(nil, a)
		if got, err := decodeAck(frame); err != nil || got.partition != p || !same(got.object, a.object) {
			t.Fatalf("ack %+v comes back as %+v, %v", a, got, err)
		}
		if _, err := decodeAck(frame[:rapid.IntRange(0, len(frame)-1).Draw(t, "cut")]); err == nil {
			t.Fatal("a frame that is cut short is taken")
		}
	})
}

// TestFarTwinStoresOnAll proves that a twin of several processes does the work it
// is compared by: after a store, each process holds the version.
func TestFarTwinStoresOnAll(t *testing.T) {
	for name, connect := range map[string]func(*farTwin, string) (asker, error){"tcp": connectTCP, "grpc": connectStream} {
		s, err := openFar(name, connect, (*twin).store)(t.Context(), 20)
		if err != nil {
			t.Fatal(err)
		}
		f := s.(*farSystem)
		if err := f.store(f.everywhere, f.keys[3]); err != nil {
			t.Fatal(err)
		}
		for _, p := range f.list(f.keys[3]) {
			acks := make(chan ack, 1)
			r := request{key: string(f.keys[3]), acks: acks}
			if other := f.peers[int(p.number)%clusterSize]; other != nil {
				other.ask(p, r)
			} else {
				p.inbox <- r
			}
			if a := <-acks; a.object == nil || a.object.wall != f.clock.last || a.partition != p.number {
				t.Errorf("%s: partition %d holds %+v, want version %d", name, p.number, a.object, f.clock.last)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestBrokenTwinIsNoticed: a process that is gone does not look like a fast one.
func TestBrokenTwinIsNoticed(t *testing.T) {
	for name, connect := range map[string]func(*farTwin, string) (asker, error){"tcp": connectTCP, "grpc": connectUnary} {
		s, err := openFar(name, connect, (*twin).store)(t.Context(), 20)
		if err != nil {
			t.Fatal(err)
		}
		f, op := s.(*farSystem), s.Client(0)
		if err := op(); err != nil {
			t.Error(err)
		}
		if err := f.others[1].close(); err != nil {
			t.Error(err)
		}
		f.others = f.others[:1]
		for err == nil && t.Context().Err() == nil {
			err = op()
		}
		_ = s.Close() // one of its connections is broken
	}
}

// TestClusterSpreads: each of three processes holds a replica of a key.
func TestClusterSpreads(t *testing.T) {
	s, err := openCluster(torc.TransportTCP, (*kvSystem).store)(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	r := s.(*torcCluster).node.Ring()
	on := make(map[ring.NodeName]bool)
	for _, replica := range r.PreferenceList(r.Partition([]byte("key-00000001")), replicas) {
		on[replica.Node] = true
	}
	if len(on) != clusterSize {
		t.Errorf("a key is on %v", on)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestWebServersAreAlike: both answer the client that measures them, and with what
// was stored.
func TestWebServersAreAlike(t *testing.T) {
	for name, open := range map[string]func(string) func(context.Context, int) (System, error){"torc": openWeb, "bare": openBareWeb} {
		for _, method := range []string{http.MethodPut, http.MethodGet} {
			s, err := open(method)(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			op := s.Client(0)
			for range 30 {
				if err := op(); err != nil {
					t.Fatalf("%s %s: %v", name, method, err)
				}
			}
			response, err := http.Get("http://" + s.(*webSystem).address + storePath + "key-00000003")
			if err != nil {
				t.Fatal(err)
			}
			if got := response.Header.Get("Content-Length"); response.StatusCode != http.StatusOK || got != strconv.Itoa(valueBytes) {
				t.Errorf("%s %s: %s, %s bytes", name, method, response.Status, got)
			}
			response.Body.Close()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
