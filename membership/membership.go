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
// default, for development clusters and tests. All implementations pass the
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
	// Incarnation differs for every start of the process, and grows.
	Incarnation uint64
	// Healthy is the store's opinion. It informs people and slow decisions,
	// never the routing of a request.
	Healthy bool
}

// Document is the ring document as stored: opaque bytes and the store's version
// of them. The zero Version means that there is none.
type Document struct {
	Data    []byte
	Version uint64
}

// Errors that callers tell apart with errors.Is.
var (
	// ErrConflict says that the document changed since the version given.
	ErrConflict = errors.New("membership: the ring document has changed meanwhile")
	// ErrNameTaken says that a live process of another address has the name.
	ErrNameTaken = errors.New("membership: another running node has this name")
)

// Membership is one node's connection to the membership store. Its methods may
// be called from any goroutine.
type Membership interface {
	// Register makes the node known and keeps it so until Deregister.
	// It returns ErrNameTaken if a live process elsewhere has the name.
	Register(ctx context.Context, self Node) error

	// Deregister makes the node unknown. It is not a leave: the ring keeps it
	// as a member. Deregistering a node that is not registered is no error.
	Deregister(ctx context.Context) error

	// WatchNodes delivers all known nodes, sorted by name: now, and after
	// changes. A slow receiver misses intermediate states, never the last.
	// The channel closes when ctx ends.
	WatchNodes(ctx context.Context) <-chan []Node

	// Document returns the ring document; its Version is 0 if there is none.
	Document(ctx context.Context) (Document, error)

	// Swap stores data if the document still has the given version, where 0
	// means that there must be none, and returns what is stored now. If the
	// version differs it returns ErrConflict and changes nothing.
	Swap(ctx context.Context, version uint64, data []byte) (Document, error)

	// WatchDocument delivers the ring document: now if there is one, and after
	// changes, with the same guarantee as WatchNodes.
	WatchDocument(ctx context.Context) <-chan Document

	// LockClaimant waits until this node is the claimant, the one node that may
	// publish plans. The lock is a courtesy that avoids futile work; what makes
	// publishing safe is Swap. The returned context ends when the lock is lost,
	// and release gives it up.
	LockClaimant(ctx context.Context) (held context.Context, release func(), err error)
}
