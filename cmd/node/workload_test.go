package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/history"
	"github.com/torc-io/torc/internal/httpapi"
)

const (
	// writers and readers go on one request at a time, with a pause: some thousand
	// requests a second, which two cores carry beside six members.
	writers, readers = 8, 8
	workEvery        = 10 * time.Millisecond
	// fillers store the keys at first, without a pause.
	fillers = 32
	// deleteOneOf says how many writes come to a delete.
	deleteOneOf = 8
	// valueBytes is how long a value is.
	valueBytes = 100
	// clientPatience is above the deadline of a request at its node.
	clientPatience = 8 * time.Second
)

// workload are clients that write, delete and read at random, and keep a history.
// Each key has one writer, which is how its versions are ordered.
type workload struct {
	t       *testing.T
	history *history.History
	client  http.Client
	at      atomic.Pointer[[]string] // HTTP addresses of the members that take requests
	strict  atomic.Bool              // quorums of primaries alone
	halt    context.CancelFunc
	ended   sync.WaitGroup

	keys []keyState // each its writer's own while that runs
	hot  [writers]atomic.Uint32
}

// keyState is what the writer of a key knows about it.
type keyState struct {
	version history.Version
	// retired keys are not written any more: nobody knows how a write ended, and it
	// must not come between later ones.
	retired bool
	// troubled keys were written while members were away, so that a replica may
	// have missed it until a read has repaired that.
	troubled bool
}

func newWorkload(t *testing.T, keys int, at ...string) *workload {
	w := &workload{t: t, history: history.New(), keys: make([]keyState, keys), halt: func() {}}
	w.client = http.Client{Timeout: clientPatience, Transport: &http.Transport{MaxIdleConnsPerHost: writers + readers + fillers}}
	w.use(at...)
	t.Cleanup(func() { w.stop(); w.client.CloseIdleConnections() })
	return w
}

// use sends the requests that follow to these members.
func (w *workload) use(at ...string) { w.at.Store(&at) }

// fill stores a first version of every key on need replicas.
func (w *workload) fill(need int) {
	w.history.Enter("load", true)
	var all sync.WaitGroup
	for filler := range fillers {
		all.Go(func() {
			for key := filler; key < len(w.keys); key += fillers {
				w.write(filler, history.Key(key), history.Write, need)
			}
		})
	}
	all.Wait()
	w.history.Leave()
}

// start lets clients go on until stop.
func (w *workload) start(writers, readers int) {
	ctx, cancel := context.WithCancel(context.Background())
	w.halt = cancel
	for i := range writers {
		w.ended.Go(func() { w.loop(ctx, func(r *rand.Rand) { w.change(r, i) }) })
	}
	for i := range readers {
		w.ended.Go(func() { w.loop(ctx, func(r *rand.Rand) { w.look(r, 100+i) }) })
	}
}

// stop ends the clients; what is in flight is finished.
func (w *workload) stop() {
	w.halt()
	w.ended.Wait()
}

func (w *workload) loop(ctx context.Context, once func(*rand.Rand)) {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	tick := time.NewTicker(workEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			once(random)
		}
	}
}

// change writes or deletes one of the keys of a writer.
func (w *workload) change(random *rand.Rand, writer int) {
	key := random.IntN(len(w.keys)/writers)*writers + writer
	if w.keys[key].retired {
		return
	}
	kind := history.Write
	if random.IntN(deleteOneOf) == 0 {
		kind = history.Delete
	}
	w.write(writer, history.Key(key), kind, 2)
	w.hot[writer].Store(uint32(key))
}

// look reads a key, every other time one that was written a moment ago.
func (w *workload) look(random *rand.Rand, reader int) {
	key := history.Key(random.IntN(len(w.keys)))
	if random.IntN(2) == 0 {
		key = history.Key(w.hot[random.IntN(writers)].Load())
	}
	op := history.Op{Key: key, Client: uint16(reader), Kind: history.Read, Begin: w.history.Now()}
	answer := w.request(http.MethodGet, key, w.query("r", 2), nil)
	op.End = w.history.Now()
	op.Outcome, op.Version = answer.outcome, answer.version
	if op.Outcome != history.OK {
		op.Outcome = history.Failed // it has changed nothing
	}
	w.history.Add(op, answer.err)
}

// write writes the next version of a key.
func (w *workload) write(client int, key history.Key, kind history.Kind, need int) {
	state := &w.keys[key]
	state.version++
	state.troubled = state.troubled || w.strict.Load()
	method, body := http.MethodPut, valueOf(key, state.version)
	if kind == history.Delete {
		method, body = http.MethodDelete, nil
	}
	op := history.Op{Key: key, Version: state.version, Client: uint16(client), Kind: kind, Begin: w.history.Now()}
	answer := w.request(method, key, w.query("w", need), body)
	op.End, op.Outcome = w.history.Now(), answer.outcome
	w.history.Add(op, answer.err)
	state.retired = state.retired || op.Outcome == history.Unknown
	state.troubled = state.troubled || op.Outcome != history.OK || w.strict.Load()
}

// query asks for a quorum, and if the workload is strict, for one of primaries.
func (w *workload) query(parameter string, need int) string {
	query := fmt.Sprintf("?n=3&%s=%d", parameter, need)
	if w.strict.Load() {
		query += fmt.Sprintf("&p%s=%d", parameter, need)
	}
	return query
}

// told is what a client knows after a request.
type told struct {
	outcome history.Outcome
	version history.Version // read
	err     error           // unless it is OK
}

// request sends one to some member, and judges the answer.
func (w *workload) request(method string, key history.Key, query string, body []byte) told {
	at := *w.at.Load()
	target := "http://" + at[rand.IntN(len(at))] + "/api/store/" + key.String() + query
	request, err := http.NewRequest(method, target, bytes.NewReader(body))
	if err != nil {
		return told{outcome: history.Failed, err: err}
	}
	response, err := w.client.Do(request)
	if err != nil {
		return told{outcome: unanswered(err), err: brief(err)}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return told{outcome: history.Unknown, err: brief(err)}
	case response.StatusCode != http.StatusOK:
		return refused(response.Status, text)
	case method == http.MethodGet:
		return told{version: versionIn(key, text)}
	}
	return told{}
}

// unanswered is the outcome of a request without an answer: certain only if there
// was no connection.
func unanswered(err error) history.Outcome {
	var failed *net.OpError
	if errors.As(err, &failed) && failed.Op == "dial" {
		return history.Failed
	}
	return history.Unknown
}

// brief leaves out the URL and the addresses, so that alike reasons are one.
func brief(err error) error {
	var failed *net.OpError
	var asked *url.Error
	switch {
	case errors.As(err, &failed):
		return fmt.Errorf("%s: %w", failed.Op, failed.Err)
	case errors.As(err, &asked):
		return asked.Err
	}
	return err
}

// refused judges an answer that is an error. Nothing was executed only if the
// node says so, or was not ready to execute anything.
func refused(status string, body []byte) told {
	var problem httpapi.Problem
	if err := json.Unmarshal(body, &problem); err != nil {
		return told{outcome: history.Unknown, err: fmt.Errorf("%s: %s", status, body)}
	}
	if problem.Type == "urn:torc:not-found" {
		return told{version: history.Nothing}
	}
	outcome := history.Unknown
	if problem.Outcome == "failed" || problem.Outcome == "" && problem.Type == "urn:torc:not-ready" {
		outcome = history.Failed
	}
	return told{outcome: outcome, err: fmt.Errorf("%s: %s", status, problem.Detail)}
}

// valueOf makes the value that is written as a version of a key.
func valueOf(key history.Key, v history.Version) []byte {
	return fmt.Appendf(make([]byte, 0, valueBytes), "%-*s", valueBytes, fmt.Sprintf("%v v%d", key, v))
}

// versionIn reads the version out of a value.
func versionIn(key history.Key, value []byte) (v history.Version) {
	if n, err := fmt.Sscanf(string(value), key.String()+" v%d", &v); n != 1 || err != nil || len(value) != valueBytes {
		return history.Foreign
	}
	return v
}
