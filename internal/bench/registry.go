package bench

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/membership/local"
)

// registry keeps the membership of a cluster whose members are processes, and is
// here for as long as they are: a local.Store that they reach over loopback, so
// that nothing has to be installed for a measurement.
//
// A connection is one call. It begins with an ask, and answers follow: one, or
// those of a watch until one side closes. The claimant's lock is held for as long
// as its connection is open.
type registry struct {
	store    *local.Store
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	members map[string]membership.Membership // by name
}

// ask is a call of a member.
type ask struct {
	Member  string
	Call    string
	Node    membership.Node
	Version uint64
	Data    []byte
}

// told is an answer.
type told struct {
	Nodes    []membership.Node
	Document membership.Document
	Error    string
	Sentinel int // the error's place in sentinels, from 1; 0 is none of them
}

// sentinels are the errors that members decide by.
var sentinels = []error{membership.ErrConflict, membership.ErrNameTaken}

// toldError is an error from the other side.
type toldError struct {
	text string
	is   error
}

func (e *toldError) Error() string { return e.text }
func (e *toldError) Unwrap() error { return e.is }

func (t *told) fail(err error) {
	if err == nil {
		return
	}
	t.Error = err.Error()
	for i, s := range sentinels {
		if errors.Is(err, s) {
			t.Sentinel = i + 1
		}
	}
}

func (t *told) err() error {
	switch {
	case t.Error == "":
		return nil
	case t.Sentinel > 0 && t.Sentinel <= len(sentinels):
		return &toldError{t.Error, sentinels[t.Sentinel-1]}
	}
	return errors.New(t.Error)
}

func openRegistry(ctx context.Context, store *local.Store) (*registry, error) {
	listener, err := listenLoopback(ctx)
	if err != nil {
		return nil, err
	}
	r := &registry{store: store, listener: listener, members: make(map[string]membership.Membership)}
	r.running.Go(r.accept)
	return r, nil
}

func listenLoopback(ctx context.Context) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
}

func (r *registry) address() string { return r.listener.Addr().String() }

// close ends the registry, after its members have ended.
func (r *registry) close() error {
	err := r.listener.Close()
	r.running.Wait()
	return err
}

func (r *registry) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.running.Go(func() { r.serve(conn) })
	}
}

// member returns the connection of a member to the store.
func (r *registry) member(name string) membership.Membership {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members[name] == nil {
		r.members[name] = r.store.Connect()
	}
	return r.members[name]
}

// serve answers one call.
func (r *registry) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }() // the other side notices
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var a ask
	reader, encoder := gob.NewDecoder(conn), gob.NewEncoder(conn)
	if reader.Decode(&a) != nil {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, conn) // nothing comes but the end
		cancel()
	}()
	m := r.member(a.Member)
	switch a.Call {
	case "watch nodes":
		for nodes := range m.WatchNodes(ctx) {
			if encoder.Encode(told{Nodes: nodes}) != nil {
				return
			}
		}
	case "watch document":
		for document := range m.WatchDocument(ctx) {
			if encoder.Encode(told{Document: document}) != nil {
				return
			}
		}
	case "lock":
		held, release, err := m.LockClaimant(ctx)
		if err != nil {
			return
		}
		defer release()
		if encoder.Encode(told{}) == nil {
			<-held.Done()
		}
	default:
		_ = encoder.Encode(once(ctx, m, a)) // who has gone needs no answer
	}
}

// once executes a call that has one answer.
func once(ctx context.Context, m membership.Membership, a ask) (t told) {
	var err error
	switch a.Call {
	case "register":
		err = m.Register(ctx, a.Node)
	case "deregister":
		err = m.Deregister(ctx)
	case "document":
		t.Document, err = m.Document(ctx)
	case "swap":
		t.Document, err = m.Swap(ctx, a.Version, a.Data)
	default:
		err = fmt.Errorf("no call is called %q", a.Call)
	}
	t.fail(err)
	return t
}
