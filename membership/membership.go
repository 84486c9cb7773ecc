// Package membership says who is in the cluster, and keeps the ring document.
//
// # Membership is not liveness
//
// Three questions look alike and are answered in three places:
//
//   - Who owns what? The ring document, and only it. It changes by
//     compare-and-set, one epoch at a time.
//   - Which processes exist, and where? [Membership.WatchNodes]. A node that is
//     missing from it, or unhealthy in it, keeps its partitions.
//   - Whom can I reach right now? The [Detector], from heartbeats of our own. It
//     moves requests to fallbacks and never moves a partition.
//
// So a health flap, a restart, or an outage of the store moves nothing.
//
// # Implementations
//
// Package membership/local keeps everything inside one process: the embedded
// default, for development clusters and tests. Package membership/consul keeps
// it in Consul, for clusters of several processes. All implementations pass the
// contract in package membershiptest.
package membership

import (
	"context"
	"errors"
)

// Node is a running process as the membership store knows it.
type Node struct {
	// Name is the operator's: unique in the cluster and stable over restarts.
	Name string
	// Address is where its inter-node transport listens, host:port.
	Address string
	// HTTP is where it answers clients, host:port, or empty.
	HTTP string
	// Zone is its failure domain, or empty.
	Zone string
	// Incarnation differs for every start of the process, and grows. It settles
	// who is the newer one if a store shows two nodes of one name.
	Incarnation uint64
	// Healthy is the store's opinion. It informs people and slow decisions,
	// never the routing of a request.
	Healthy bool
}

// Document is the ring document as stored: opaque bytes, not to be changed, and
// the store's version of them. The zero Version means that there is none.
// Versions grow, but a store that lost its contents begins again: what orders
// rings is the epoch inside of them, and a Version serves [Membership].Swap alone.
type Document struct {
	Data    []byte
	Version uint64
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrConflict says that the document changed since the version given.
	ErrConflict = errors.New("membership: the ring document has changed meanwhile")
	// ErrNameTaken says that a live process at another address has the name. The
	// error that wraps it gives that address.
	ErrNameTaken = errors.New("membership: another running node has this name")
)

// Membership is one node's connection to the membership store. Its methods may
// be called from any goroutine.
type Membership interface {
	// Register makes the node known and keeps it so until Deregister; ctx bounds
	// the call alone. A watch begun after it returned shows the node at once.
	//
	// It returns ErrNameTaken if a live process at another address has the name;
	// of two that start at once, one is refused. One at the same address is
	// this node's own predecessor, since nobody else can listen there: the newer
	// incarnation takes the name over.
	Register(ctx context.Context, self Node) error

	// Deregister makes the node unknown. It is not a leave: the ring keeps it
	// as a member. Deregistering a node that is not registered is no error, and
	// one whose name was taken over leaves its successor alone.
	Deregister(ctx context.Context) error

	// WatchNodes delivers all known nodes, sorted by name: now, and after
	// changes. A slow receiver misses intermediate states, never the last.
	// While the store is away, the last state stands. The channel closes when
	// ctx ends.
	WatchNodes(ctx context.Context) <-chan []Node

	// Document returns the ring document; its Version is 0 if there is none.
	Document(ctx context.Context) (Document, error)

	// Swap stores data if the document still has the given version, where 0
	// means that there must be none, and returns what is stored now. If the
	// version differs it returns ErrConflict and changes nothing. After any other
	// error the outcome is unknown: read the document to learn it. Storing the
	// same bytes again may keep the version.
	Swap(ctx context.Context, version uint64, data []byte) (Document, error)

	// WatchDocument delivers the ring document, or the zero Document while there
	// is none: now, and after changes, with the same guarantee as WatchNodes. A
	// document that vanishes is thus seen, and can be put back.
	WatchDocument(ctx context.Context) <-chan Document

	// LockClaimant waits until this node is the claimant, the one node that may
	// publish plans. The lock is a courtesy that avoids futile work; what makes
	// publishing safe is Swap. The returned context ends when the lock is lost,
	// and context.Cause says why. Release gives the lock up, and so does the end
	// of ctx; to release twice, or what is lost, is harmless.
	LockClaimant(ctx context.Context) (held context.Context, release func(), err error)
}
