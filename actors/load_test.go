package actors_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/internal/history"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
	"github.com/torc-io/torc/ring"
)

// load is clients that read and write all the time, and the history of what they
// did. Each key has one writer.
type load struct {
	w    *world
	h    *history.History
	call actors.Call
	via  func(*rand.Rand) ring.NodeName
	stop context.CancelFunc
	wg   sync.WaitGroup
	keys int

	versions []history.Version // the last of each key that was written; each is its writer's
}

const (
	loadWriters = 4
	loadReaders = 4
)

// begin starts the clients. Their pauses come from the seed.
func (w *world) begin(keys int, seed uint64, call actors.Call, via func(*rand.Rand) ring.NodeName) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{w: w, h: history.New(), call: call, via: via, stop: stop, keys: keys, versions: make([]history.Version, keys)}
	w.halts = append(w.halts, l.halt)
	for client := range loadWriters + loadReaders {
		dice := rand.New(rand.NewPCG(seed, uint64(client)))
		l.wg.Go(func() {
			for ctx.Err() == nil {
				if client < loadWriters {
					key := client + loadWriters*dice.IntN(keys/loadWriters)
					l.write(client, history.Key(key), l.via(dice), dice.IntN(5) == 0)
				} else {
					l.read(client, history.Read, history.Key(dice.IntN(keys)), l.via(dice), l.call)
				}
				elapse(time.Duration(1+dice.IntN(30)) * time.Millisecond)
			}
		})
	}
	return l
}

// roam has clients use any node that runs.
func (w *world) roam(dice *rand.Rand) ring.NodeName {
	names := w.names()
	return names[dice.IntN(len(names))]
}

func (l *load) write(client int, key history.Key, via ring.NodeName, gone bool) {
	l.versions[key]++
	op := history.Op{Begin: l.h.Now(), Key: key, Version: l.versions[key], Client: uint16(client), Kind: history.Write}
	cmd := put(key.String(), int(op.Version))
	if gone {
		op.Kind, cmd = history.Delete, del(key.String(), int(op.Version))
	}
	err := l.w.act(via, cmd, l.call)
	op.End, op.Outcome = l.h.Now(), outcome(err)
	l.h.Add(op, err)
}

// outcome says what a client knows of a write.
func outcome(err error) history.Outcome {
	short, isShort := errors.AsType[*coordinator.QuorumError](err)
	switch {
	case err == nil:
		return history.OK
	case isShort && short.Outcome == coordinator.Failed, errors.Is(err, actors.ErrStopping) && !isShort:
		return history.Failed
	}
	return history.Unknown
}

func (l *load) read(client int, kind history.Kind, key history.Key, via ring.NodeName, call actors.Call) {
	op := history.Op{Begin: l.h.Now(), Key: key, Client: uint16(client), Kind: kind}
	seen, err := l.w.seen(via, key.String(), call)
	op.End, op.Version = l.h.Now(), versionIn(key, seen)
	if err != nil {
		op.Outcome = history.Failed
	}
	l.h.Add(op, err)
}

// versionIn returns the version that a reply shows of a key.
func versionIn(key history.Key, seen *testingpb.Seen) history.Version {
	if len(seen.GetValue()) == 0 {
		return history.Nothing
	}
	version := history.Version(seen.GetVersion())
	if string(seen.GetValue()) != valueOf(key.String(), int(version)) {
		return history.Foreign
	}
	return version
}

// halt ends the clients.
func (l *load) halt() {
	l.stop()
	l.wg.Wait()
}

// conclude reads everything once more. It repairs what a read finds.
func (l *load) conclude(call actors.Call) {
	for key := range l.keys {
		l.read(0, history.Final, history.Key(key), l.w.names()[key%len(l.w.names())], call)
	}
}

// findings returns what the checkers find.
func (l *load) findings() (found []history.Finding) {
	record, err := l.h.Record()
	if err != nil {
		l.w.t.Fatal(err)
	}
	for _, check := range []func(*history.Record) []history.Finding{history.Stale, history.Lost, history.Resurrected, history.Invented} {
		found = append(found, check(record)...)
	}
	return found
}

// check fails the test for what the checkers find.
func (l *load) check(t testing.TB) {
	t.Helper()
	for i, f := range l.findings() {
		if i == 5 {
			t.Errorf("and more")
			break
		}
		t.Error(f)
	}
}

// failures returns what did not end well.
func (l *load) failures() (all []history.Failure) {
	record, err := l.h.Record()
	if err != nil {
		l.w.t.Fatal(err)
	}
	return history.Failures(record)
}

// size says how much there was.
func (l *load) size() string {
	total := 0
	for _, v := range l.versions {
		total += int(v)
	}
	return fmt.Sprintf("%d writes", total)
}
