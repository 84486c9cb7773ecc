package membership

import (
	"slices"
	"time"
)

// Liveness is the detector's opinion of a peer.
type Liveness uint8

// The opinions. Only an Alive peer is sent requests.
const (
	// Unproven: no contact yet since it became a peer.
	Unproven Liveness = iota
	// Alive: answered within SuspectAfter.
	Alive
	// Suspect: its connection broke, or it has been silent for SuspectAfter.
	Suspect
	// Down: silent for DownAfter.
	Down
)

// String returns the word that status pages use.
func (l Liveness) String() string {
	return [...]string{"unproven", "alive", "suspect", "down"}[l]
}

// The timing of failure detection. A stopped process keeps its TCP connections
// open, so silence on the real path is the only symptom that all failures share.
const (
	// HeartbeatEvery lets four heartbeats fail before a peer is suspected:
	// one lost packet or one long garbage collection is not a failure.
	HeartbeatEvery = 250 * time.Millisecond
	// SuspectAfter moves requests to fallbacks. It is below the default
	// request timeout, so a request caught by a failure still succeeds.
	SuspectAfter = time.Second
	// DownAfter is when a suspicion is worth showing to an operator.
	DownAfter = 2 * time.Second
)

// Change is a peer whose liveness changed.
type Change struct {
	Peer     string
	From, To Liveness
}

// Detector decides which peers are reachable from heartbeats and broken
// connections. It is a plain value with time passed in: not safe for concurrent
// use, and without timers of its own. A suspicion is cleared by contact alone,
// never by time.
type Detector struct {
	peers map[string]*contact
}

type contact struct {
	last  time.Time
	state Liveness
}

// SetPeers makes names the set of watched peers. New ones start Unproven, as
// if last heard of at now; those not named are forgotten.
func (d *Detector) SetPeers(now time.Time, names []string) {
	next := make(map[string]*contact, len(names))
	for _, name := range names {
		if c, known := d.peers[name]; known {
			next[name] = c
			continue
		}
		next[name] = &contact{last: now}
	}
	d.peers = next
}

// Contact records an answered heartbeat.
func (d *Detector) Contact(now time.Time, peer string) (Change, bool) {
	c, known := d.peers[peer]
	if !known {
		return Change{}, false
	}
	c.last = now
	return c.move(peer, Alive)
}

// Broken records that the connection to peer broke: reason enough to suspect
// it at once, without waiting for its silence.
func (d *Detector) Broken(peer string) (Change, bool) {
	c, known := d.peers[peer]
	if !known || c.state != Alive {
		return Change{}, false
	}
	return c.move(peer, Suspect)
}

// Resume tells that the observer itself was stopped until now: what it did not
// hear meanwhile says nothing about its peers.
func (d *Detector) Resume(now time.Time) {
	for _, c := range d.peers {
		c.last = now
	}
}

// Tick judges silence and returns what changed, sorted by peer.
func (d *Detector) Tick(now time.Time) []Change {
	var changes []Change
	for peer, c := range d.peers {
		if change, changed := c.move(peer, c.judge(now)); changed {
			changes = append(changes, change)
		}
	}
	slices.SortFunc(changes, func(a, b Change) int {
		if a.Peer < b.Peer {
			return -1
		}
		return 1
	})
	return changes
}

// Liveness returns the opinion of peer; a stranger is Down.
func (d *Detector) Liveness(peer string) Liveness {
	if c, known := d.peers[peer]; known {
		return c.state
	}
	return Down
}

// judge returns the state that silence alone leads to. It never improves one.
func (c *contact) judge(now time.Time) Liveness {
	switch silence := now.Sub(c.last); {
	case silence >= DownAfter:
		return Down
	case silence >= SuspectAfter:
		return max(c.state, Suspect)
	default:
		return c.state
	}
}

func (c *contact) move(peer string, to Liveness) (Change, bool) {
	from := c.state
	c.state = to
	return Change{Peer: peer, From: from, To: to}, from != to
}
