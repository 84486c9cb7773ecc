package bench

import (
	"context"
	"encoding/gob"
	"net"

	"github.com/torc-io/torc/membership"
)

// member is one process's connection to a [registry].
type member struct{ name, address string }

var _ membership.Membership = (*member)(nil)

// begin sends a call, and returns what reads its answers until ctx ends or the
// returned function is called.
func (m *member) begin(ctx context.Context, a ask) (*gob.Decoder, func(), error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.address)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	end := func() {
		stop()
		_ = conn.Close() // twice does no harm
	}
	a.Member = m.name
	if err := gob.NewEncoder(conn).Encode(a); err != nil {
		end()
		return nil, nil, err
	}
	return gob.NewDecoder(conn), end, nil
}

// call has one answer.
func (m *member) call(ctx context.Context, a ask) (told, error) {
	answers, end, err := m.begin(ctx, a)
	if err != nil {
		return told{}, err
	}
	defer end()
	var t told
	if err := answers.Decode(&t); err != nil {
		return told{}, err
	}
	return t, t.err()
}

// Register implements [membership.Membership], as all of these methods do.
func (m *member) Register(ctx context.Context, self membership.Node) error {
	_, err := m.call(ctx, ask{Call: "register", Node: self})
	return err
}

// Deregister makes the node unknown.
func (m *member) Deregister(ctx context.Context) error {
	_, err := m.call(ctx, ask{Call: "deregister"})
	return err
}

// Document returns the ring document.
func (m *member) Document(ctx context.Context) (membership.Document, error) {
	t, err := m.call(ctx, ask{Call: "document"})
	return t.Document, err
}

// Swap stores the ring document.
func (m *member) Swap(ctx context.Context, version uint64, data []byte) (membership.Document, error) {
	t, err := m.call(ctx, ask{Call: "swap", Version: version, Data: data})
	return t.Document, err
}

// WatchNodes delivers the nodes.
func (m *member) WatchNodes(ctx context.Context) <-chan []membership.Node {
	return follow(ctx, m, "watch nodes", func(t told) []membership.Node { return t.Nodes })
}

// WatchDocument delivers the ring document.
func (m *member) WatchDocument(ctx context.Context) <-chan membership.Document {
	return follow(ctx, m, "watch document", func(t told) membership.Document { return t.Document })
}

// follow delivers the answers of a watch until ctx ends. A registry that is gone
// says nothing new any more, and will not come back.
func follow[T any](ctx context.Context, m *member, call string, of func(told) T) <-chan T {
	out := make(chan T)
	go func() {
		defer close(out)
		answers, end, err := m.begin(ctx, ask{Call: call})
		if err == nil {
			defer end()
		}
		for err == nil {
			var t told
			if err = answers.Decode(&t); err != nil {
				break
			}
			select {
			case out <- of(t):
			case <-ctx.Done():
				return
			}
		}
		<-ctx.Done()
	}()
	return out
}

// LockClaimant waits for the claimant's lock.
func (m *member) LockClaimant(ctx context.Context) (context.Context, func(), error) {
	answers, end, err := m.begin(ctx, ask{Call: "lock"})
	if err != nil {
		return nil, nil, err
	}
	if err := answers.Decode(new(told)); err != nil {
		end()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, nil, err
	}
	held, cancel := context.WithCancel(ctx)
	context.AfterFunc(held, end)
	go func() {
		_ = answers.Decode(new(told)) // the end is all that comes
		cancel()
	}()
	return held, cancel, nil
}
