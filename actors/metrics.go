package actors

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/torc-io/torc/ring"
)

// metrics are one node's, in Prometheus's terms. There is no label for the
// partition: Q of them would be too many series for what they tell.
type metrics struct {
	overloads *prometheus.CounterVec
	panics    *prometheus.CounterVec
	repairs   *prometheus.CounterVec
	rejected  *prometheus.CounterVec
	doubtful  *prometheus.CounterVec

	transfers                    *prometheus.CounterVec
	sentItems, sentBytes         prometheus.Counter
	receivedItems, receivedBytes prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		overloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "torc_overloads_total", Help: "Commands refused because a vnode's mailbox was full.",
		}, []string{"service"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "torc_panics_total", Help: "Handlers that panicked.",
		}, []string{"service", "command"}),
		repairs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "torc_read_repairs_total", Help: "Writes to replicas that a read found stale.",
		}, []string{"service"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "torc_transport_rejected_total", Help: "Frames from peers that the transport refused.",
		}, []string{"reason"}),
		doubtful: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "torc_doubtful_reads_total", Help: "Reads that were answered, for want of others, by replicas that were catching up.",
		}, []string{"service"}),
		transfers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "torc_transfers_total", Help: "Transfers that this node sent, by type and by how they ended.",
		}, []string{"type", "end"}),
		sentItems:     counter("torc_handoff_sent_items_total", "Items that transfers from this node brought over."),
		sentBytes:     counter("torc_handoff_sent_bytes_total", "Bytes of these items."),
		receivedItems: counter("torc_handoff_received_items_total", "Items that transfers to this node brought."),
		receivedBytes: counter("torc_handoff_received_bytes_total", "Bytes of these items."),
	}
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// collectors are all that is registered.
func (m *metrics) collectors(n *Node) []prometheus.Collector {
	return []prometheus.Collector{
		m.overloads, m.panics, m.repairs, m.rejected, m.doubtful,
		m.transfers, m.sentItems, m.sentBytes, m.receivedItems, m.receivedBytes, &meters{n}, &gauges{n},
	}
}

// register makes the metrics scrapable.
func (m *metrics) register(n *Node, registry prometheus.Registerer) error {
	for _, c := range m.collectors(n) {
		if err := registry.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	return nil
}

// gauges reports what is known at the time of a scrape.
type gauges struct{ node *Node }

var (
	descInFlight   = prometheus.NewDesc("torc_requests_in_flight", "Requests whose coordinator has not ended.", nil, nil)
	descEpoch      = prometheus.NewDesc("torc_ring_epoch", "Epoch of the ring in use.", nil, nil)
	descPeers      = prometheus.NewDesc("torc_peers_reachable", "Other members that can be reached.", nil, nil)
	descPending    = prometheus.NewDesc("torc_peer_pending", "Unanswered commands to a peer.", []string{"peer"}, nil)
	descVnodes     = prometheus.NewDesc("torc_vnodes", "Running vnodes.", []string{"service"}, nil)
	descDepth      = prometheus.NewDesc("torc_mailbox_commands", "Commands that wait in vnodes' mailboxes, summed.", []string{"service"}, nil)
	descTransfers  = prometheus.NewDesc("torc_transfers_running", "Transfers that run now, from this node and to it.", []string{"direction"}, nil)
	descHeld       = prometheus.NewDesc("torc_held_items", "Items on vnodes whose partition this node does not own: held for the owner, left over, or on their way here.", nil, nil)
	descRecovering = prometheus.NewDesc("torc_vnodes_recovering", "Vnodes that answer no reads yet.", nil, nil)
	descDeepest    = prometheus.NewDesc("torc_mailbox_commands_max", "Commands that wait in the fullest mailbox.", []string{"service"}, nil)
)

// Describe names the gauges.
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descInFlight, descEpoch, descPeers, descPending, descVnodes, descDepth, descDeepest, descTransfers, descHeld, descRecovering} {
		ch <- d
	}
}

// Collect reads them.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	gauge(descInFlight, g.node.table.inFlight())
	gauge(descEpoch, int(g.node.epoch()))
	g.collectPeers(gauge)
	g.collectHandoff(gauge)
	for _, s := range g.node.mailboxes() {
		gauge(descVnodes, s.vnodes, s.service)
		gauge(descDepth, s.waiting, s.service)
		gauge(descDeepest, s.deepest, s.service)
	}
}

func (g *gauges) collectHandoff(gauge func(*prometheus.Desc, int, ...string)) {
	h := g.node.holdings()
	gauge(descHeld, int(h.items))
	gauge(descRecovering, h.recovering)
	out, in := g.node.mover.counts()
	gauge(descTransfers, out, "out")
	gauge(descTransfers, in, "in")
}

func (g *gauges) collectPeers(gauge func(*prometheus.Desc, int, ...string)) {
	v := g.node.view.Load()
	if v == nil {
		return
	}
	reachable := 0
	for name, p := range v.peers {
		if p.alive.Load() {
			reachable++
		}
		gauge(descPending, int(p.pending.Load()), string(name))
	}
	gauge(descPeers, reachable)
}

// mailboxSummary is the state of a service's mailboxes.
type mailboxSummary struct {
	service                  string
	vnodes, waiting, deepest int
}

// mailboxes sums up the mailboxes of each service.
func (n *Node) mailboxes() []mailboxSummary {
	var all []mailboxSummary
	for name, proxies := range n.proxies {
		s := mailboxSummary{service: name}
		for p := range proxies {
			if h := proxies[p].current(); h != nil {
				s.vnodes++
				waiting := h.mailbox.UserMessageCount()
				s.waiting += waiting
				s.deepest = max(s.deepest, waiting)
			}
		}
		all = append(all, s)
	}
	return all
}

// keyHash is how a key appears in logs: by its place on the ring, not by name.
func keyHash(message any) uint64 {
	keyed, ok := message.(interface{ GetKey() []byte })
	if !ok {
		return 0
	}
	return uint64(ring.HashOf(keyed.GetKey()))
}
