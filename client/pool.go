package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/failure"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
	"github.com/torc-io/torc/proto/torc/v1/torcpbconnect"
	"github.com/torc-io/torc/ring"
)

const (
	// resolveEvery is how old the addresses may be that Resolve has found. Nodes
	// come and go more slowly than that, and the ones that remain lead to all.
	resolveEvery = 10 * time.Second

	// resolveTimeout bounds Resolve, so that the call it runs in can go on with
	// the addresses of before.
	resolveTimeout = time.Second

	// minAbsence and maxAbsence bound how long a node that failed is left alone:
	// long enough for others to notice its absence too, and short enough for a
	// node that was restarted to have its share of the load soon.
	minAbsence = time.Second
	maxAbsence = 30 * time.Second

	// probeTimeout bounds the question whether a node is there again.
	probeTimeout = time.Second

	// maxAnswerBytes bounds an answer: each replica's reply, if all are asked for,
	// and as much again for the fields around them.
	maxAnswerBytes = (ring.MaxN + 1) * torc.MaxMessageBytes
)

// pool is the nodes that a client knows.
type pool struct {
	config *Config
	turn   atomic.Uint64
	nodes  atomic.Pointer[[]*node]

	resolving sync.Mutex // held by who asks Resolve
	resolved  time.Time  // guarded by resolving
	stale     atomic.Bool

	life   context.Context // of the probes
	cancel context.CancelFunc
}

func newPool(config *Config) *pool {
	p := &pool{config: config}
	p.life, p.cancel = context.WithCancel(context.Background())
	p.stale.Store(true)
	return p
}

// close ends the probes that are under way, and lets no others begin.
func (p *pool) close() { p.cancel() }

// order returns the nodes in the order in which a call tries them: those that
// are well in turn, then the others, the one that comes back first at the front.
func (p *pool) order(ctx context.Context) ([]*node, error) {
	err := p.refresh(ctx)
	known := *p.nodes.Load()
	if len(known) == 0 {
		return nil, fmt.Errorf("client: %w: no address is known: %w", torc.ErrUnreachable, cmp.Or(err, errNoAddress))
	}
	turn, now := int(p.turn.Add(1)%uint64(len(known))), time.Now()
	well, absent := make([]*node, 0, len(known)), []*node(nil)
	for i := range known {
		n := known[(turn+i)%len(known)]
		if n.isWell() {
			well = append(well, n)
			continue
		}
		absent = append(absent, n)
		p.probe(n, now)
	}
	slices.SortStableFunc(absent, func(a, b *node) int { return cmp.Compare(a.until.Load(), b.until.Load()) })
	return append(well, absent...), nil
}

var errNoAddress = errors.New("resolving found none")

// doubt makes the next call ask Resolve: no node that is known has answered.
func (p *pool) doubt() { p.stale.Store(true) }

// refresh asks Resolve if it is time to. One call does it, and others wait only
// while there is no node to go to.
func (p *pool) refresh(ctx context.Context) error {
	if p.config.Resolve == nil {
		return nil
	}
	if len(*p.nodes.Load()) == 0 {
		p.resolving.Lock()
	} else if !p.resolving.TryLock() {
		return nil
	}
	defer p.resolving.Unlock()
	if !p.stale.Load() && time.Since(p.resolved) < resolveEvery {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addresses, err := p.config.Resolve(ctx)
	p.resolved = time.Now()
	p.stale.Store(err != nil && len(*p.nodes.Load()) == 0)
	if err != nil {
		return err
	}
	return p.set(addresses)
}

// set makes the nodes those of the configuration and the given ones. A node that
// was known before keeps what is known of it.
func (p *pool) set(addresses []string) error {
	var before []*node
	if known := p.nodes.Load(); known != nil {
		before = *known
	}
	var nodes []*node
	for _, address := range slices.Concat(p.config.Addresses, addresses) {
		base, err := baseURL(address)
		if err != nil {
			return err
		}
		has := func(n *node) bool { return n.base == base }
		if slices.ContainsFunc(nodes, has) {
			continue
		}
		if i := slices.IndexFunc(before, has); i >= 0 {
			nodes = append(nodes, before[i])
			continue
		}
		nodes = append(nodes, p.newNode(address, base))
	}
	p.nodes.Store(&nodes)
	return nil
}

// baseURL returns the URL of an address.
func baseURL(address string) (string, error) {
	text := address
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("client: address %q: want host:port, or a URL with http or https", address)
	}
	return strings.TrimSuffix(text, "/"), nil
}

// node is one node as this client knows it.
type node struct {
	address, base string
	service       torcpbconnect.CommandServiceClient

	strikes atomic.Int32 // failures in a row; 0 is well
	until   atomic.Int64 // when a probe may go there again, in Unix nanoseconds
}

func (p *pool) newNode(address, base string) *node {
	return &node{address: address, base: base, service: torcpbconnect.NewCommandServiceClient(
		p.config.HTTPClient, base,
		connect.WithReadMaxBytes(maxAnswerBytes),
		connect.WithAcceptCompression("gzip", nil, nil), // it costs more than it saves, near the nodes
	)}
}

func (n *node) isWell() bool { return n.strikes.Load() == 0 }

// appear notes that the node has answered.
func (n *node) appear() { n.strikes.Store(0) }

// vanish notes that it has not.
func (n *node) vanish() {
	strikes := min(n.strikes.Add(1), 16)
	absence := min(minAbsence<<(strikes-1), maxAbsence)
	n.until.Store(time.Now().Add(absence).UnixNano())
}

// probe asks whether a node is there again, if it has been left alone for long
// enough. No request of anybody is put at risk for finding out.
func (p *pool) probe(n *node, now time.Time) {
	until := n.until.Load()
	if now.UnixNano() < until || !n.until.CompareAndSwap(until, now.Add(maxAbsence).UnixNano()) || p.life.Err() != nil {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(p.life, probeTimeout)
		defer cancel()
		// An empty request is refused by a node, and only by a node in this way.
		_, err := n.service.Execute(ctx, &torcpb.ExecuteRequest{})
		if said, _ := failure.Decode(err); said != nil && !errors.Is(said, torc.ErrStopping) {
			n.appear()
			return
		}
		n.vanish()
	}()
}
