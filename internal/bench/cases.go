package bench

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	torc "github.com/torc-io/torc"
)

// The service that is measured, and what is put into it.
const (
	replicas   = 3
	need       = 2 // W and R
	valueBytes = 100
	// DefaultKeys are enough that two clients rarely meet at one, and few
	// enough that the processor's caches are not what is measured.
	DefaultKeys = 10_000
	// DefaultMany keys are more than any cache holds.
	DefaultMany = 1_000_000
)

// clientCounts are how many clients there are: latency undisturbed; enough to
// keep two cores busy; and a crowd.
var clientCounts = []int{1, 64, 512}

// Cases returns all that is measured, in the order of the table. many is how many
// keys the larger of two stores has.
func Cases(many int) []Case {
	return slices.Concat(
		atEach(clientCounts,
			Case{Name: "store", Detail: "N=3 W=2", Contenders: storing()},
			Case{Name: "fetch", Detail: "N=3 R=2", Contenders: fetching()},
			Case{Name: "command", Detail: "N=1", Contenders: commanding()},
			Case{Name: "store-cluster", Detail: "3 processes", Contenders: spreading((*kvSystem).store, (*twin).store)},
			Case{Name: "fetch-cluster", Detail: "3 processes", Contenders: spreading((*kvSystem).fetch, (*twin).fetch)},
		),
		atEach(webCounts,
			Case{Name: "http-put", Contenders: serving(http.MethodPut)},
			Case{Name: "http-get", Contenders: serving(http.MethodGet)},
		),
		growing(many), ringCases())
}

// webCounts are clients over HTTP; a crowd of connections is the kernel's matter.
var webCounts = []int{1, 64}

// atEach repeats cases for numbers of clients.
func atEach(counts []int, cases ...Case) (all []Case) {
	for _, c := range cases {
		for _, c.Clients = range counts {
			all = append(all, c)
		}
	}
	return all
}

// The names of the contenders.
const (
	framework = "torc"
	overGRPC  = "torc-grpc" // the same with the other transport
	floor     = "floor"     // the caller fans out and gathers by itself
	goroutine = "goroutine" // each request has a goroutine of its own
	channel   = "channel"   // one vnode, asked over a channel
	plainTCP  = "tcp"       // other processes over TCP, one writer each
	pipelined = "stream"    // over a gRPC stream each, in the same frames
	unaryGRPC = "unary"     // by a gRPC call for each replica
	bareHTTP  = "bare"      // a handler with a map
)

func storing() []Contender {
	return []Contender{
		{framework, openKV((*kvSystem).store)},
		{floor, openTwin((*twin).store, (*twin).inline)},
		{goroutine, openTwin((*twin).store, (*twin).spawned)},
	}
}

func fetching() []Contender {
	return []Contender{
		{framework, openKV((*kvSystem).fetch)},
		{floor, openTwin((*twin).fetch, (*twin).inline)},
		{goroutine, openTwin((*twin).fetch, (*twin).spawned)},
	}
}

func commanding() []Contender {
	return []Contender{
		{framework, openPing},
		{channel, openPlainPing},
	}
}

func spreading(op func(*kvSystem, context.Context, []byte) error, plain func(*twin, coordination, []byte) error) []Contender {
	return []Contender{
		{framework, openCluster(torc.TransportTCP, op)},
		{plainTCP, openFar("tcp", connectTCP, plain)},
		{pipelined, openFar("grpc", connectStream, plain)},
		{unaryGRPC, openFar("grpc", connectUnary, plain)},
		{overGRPC, openCluster(torc.TransportGRPC, op)},
	}
}

func serving(method string) []Contender {
	return []Contender{{framework, openWeb(method)}, {bareHTTP, openBareWeb(method)}}
}

// What grows. The first of each is the subject.
var (
	growingQs = []int{1024, 60}
	growingNs = []int{7, 5, 3, 2, 1}
)

// fewKeys fit into the processor's caches.
const fewKeys = 1000

// growing compares torc with itself, at more and at less of something.
func growing(many int) []Case {
	store := func(name string, sh shape) Contender {
		return Contender{name, openShape(sh, (*kvSystem).store)}
	}
	q := Case{Name: "grow-q", Detail: "store", Clients: growClients}
	for _, size := range growingQs {
		q.Contenders = append(q.Contenders, store(fmt.Sprintf("Q=%d", size), shape{n: replicas, ringSize: size}))
	}
	keys := Case{Name: "grow-keys", Detail: "store", Clients: growClients}
	for _, count := range []int{many, fewKeys} {
		keys.Contenders = append(keys.Contenders, store(fmt.Sprintf("keys=%d", count), shape{n: replicas, keys: count}))
	}
	n := Case{Name: "grow-n", Detail: "store", Clients: growClients}
	for _, count := range growingNs {
		n.Contenders = append(n.Contenders, store(fmt.Sprintf("N=%d", count), shape{n: count}))
	}
	return []Case{q, keys, n}
}

// growClients keep the processors busy, and are few enough that queues stay short.
const growClients = 64
