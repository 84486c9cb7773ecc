package handoff

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/torc-io/torc/ring"
)

const (
	// RefusedPause is how long a transfer waits that was refused, or ended early: its
	// receiver is at its limit, or has something else to do first. It is about what a
	// small transfer takes.
	RefusedPause = 50 * time.Millisecond
	// BrokenPause is how long one waits that failed for a reason that does not go away
	// by itself, such as an item that cannot be decoded.
	BrokenPause = 10 * time.Second
	// AskAgain is how often a recovering node asks for what it has not got. The
	// request may get lost, or its source may have restarted.
	AskAgain = 2 * time.Second
	// ForgetAsked is how long a request holds that is not made again.
	ForgetAsked = 4 * AskAgain
)

// Local is a vnode of the node that has an [Agenda].
type Local struct {
	Report

	Partition ring.Partition
	Behind    bool // a fallback elsewhere holds writes that the vnode may not have
}

// Outlook is what a node knows when it looks at its agenda.
type Outlook struct {
	Now       time.Time
	Ring      *ring.Ring
	Vnodes    []Local // of all services, in the order of their partitions
	Reachable func(ring.NodeName) bool
}

// of returns the vnodes of a partition.
func (o Outlook) of(p ring.Partition) []Local {
	begin, _ := slices.BinarySearchFunc(o.Vnodes, p, func(v Local, p ring.Partition) int { return cmp.Compare(v.Partition, p) })
	end := begin
	for end < len(o.Vnodes) && o.Vnodes[end].Partition == p {
		end++
	}
	return o.Vnodes[begin:end]
}

// Running is a transfer that the node sends already. One that is stalled, since its
// receiver is not there, takes nobody's place.
type Running struct {
	Transfer

	Stalled bool
}

// Delayed is a transfer that has not begun, why, and since when.
type Delayed struct {
	Transfer

	Reason string
	Since  time.Time
}

// Agenda decides which transfers a node sends, and which it asks others for. It is
// told of how they end; the rest it takes from the ring and from the node's vnodes,
// each time anew.
type Agenda struct {
	me      ring.NodeName
	asked   map[Transfer]time.Time // repairs that others want of this node, and when they last said so
	refused map[Transfer]pause     // transfers that wait for something which nobody will tell of
	waiting map[Transfer]Delayed
	told    map[Transfer]time.Time // repairs that this node wants of others, and when it last said so
	missed  map[Transfer]time.Time // the same, and since when it wants them
}

// pause keeps a transfer from being tried again at once. It waits, off and on, since
// it was first refused for that reason.
type pause struct {
	until  time.Time
	reason string
	since  time.Time
}

// NewAgenda returns the agenda of a node.
func NewAgenda(me ring.NodeName) *Agenda {
	return &Agenda{
		me: me, asked: map[Transfer]time.Time{}, refused: map[Transfer]pause{}, waiting: map[Transfer]Delayed{},
		told: map[Transfer]time.Time{}, missed: map[Transfer]time.Time{},
	}
}

// Begin returns the transfers that begin now; at most limit run at a time. It keeps
// why the others wait: see [Agenda.Waiting].
func (a *Agenda) Begin(o Outlook, running []Running, limit int) []Transfer {
	busy := make([]Transfer, 0, len(running))
	want := a.candidates(o)
	for _, r := range running {
		if !r.Stalled {
			busy = append(busy, r.Transfer)
		}
		want = slices.DeleteFunc(want, func(c Candidate) bool { return c.Transfer == r.Transfer })
	}
	begin, wait := Schedule(a.me, want, busy, limit)
	waiting := make(map[Transfer]Delayed, len(wait))
	for _, c := range wait {
		w := Delayed{Transfer: c.Transfer, Reason: c.Obstacle, Since: o.Now}
		if before, known := a.waiting[c.Transfer]; known && before.Reason == w.Reason {
			w.Since = before.Since
		}
		if p := a.refused[c.Transfer]; p.reason == w.Reason {
			w.Since = p.since
		}
		waiting[c.Transfer] = w
	}
	a.waiting = waiting
	return begin
}

// Waiting returns the transfers that did not begin when Begin was last called, in
// their order.
func (a *Agenda) Waiting() []Delayed { return slices.SortedFunc(maps.Values(a.waiting), byTransfer) }

func byTransfer(a, b Delayed) int { return a.Compare(b.Transfer) }

// Refusal returns why a transfer was refused last, and since when it waits for that;
// false if it was not, or has been done.
func (a *Agenda) Refusal(t Transfer) (Delayed, bool) {
	p, refused := a.refused[t]
	return Delayed{Transfer: t, Reason: p.reason, Since: p.since}, refused
}

// candidates returns all transfers that the node should send, with what keeps them.
func (a *Agenda) candidates(o Outlook) []Candidate {
	var all []Transfer
	for _, t := range o.Ring.Transfers() {
		if t.From == a.me {
			all = append(all, OwnershipOf(t))
		}
	}
	for _, v := range o.Vnodes {
		t := Transfer{Type: Hinted, Partition: v.Partition, Source: v.Partition, From: a.me, To: o.Ring.Owner(v.Partition)}
		if v.Owes && t.To != a.me && t.To != "" {
			all = append(all, t) // once for each service; see Compact
		}
	}
	maps.DeleteFunc(a.asked, func(t Transfer, when time.Time) bool { return o.Now.Sub(when) > ForgetAsked || !t.Wanted(o.Ring) })
	all = slices.AppendSeq(all, maps.Keys(a.asked))
	slices.SortFunc(all, Transfer.Compare)
	all = slices.Compact(all)
	maps.DeleteFunc(a.refused, func(t Transfer, _ pause) bool { return !among(all, t) })
	candidates := make([]Candidate, len(all))
	for i, t := range all {
		candidates[i] = Candidate{Transfer: t, Obstacle: a.obstacle(o, t)}
	}
	return candidates
}

// obstacle says what keeps a transfer from beginning now, or "".
func (a *Agenda) obstacle(o Outlook, t Transfer) string {
	here := func(is func(Local) bool) bool {
		return t.Type == Ownership && slices.ContainsFunc(o.of(t.Partition), is)
	}
	switch p := a.refused[t]; {
	case !o.Reachable(t.To):
		return Unreachable(t.To)
	case here(func(v Local) bool { return len(v.Needs) > 0 }):
		return fmt.Sprintf("%s is recovering partition %d", a.me, t.Partition)
	case here(func(v Local) bool { return v.Behind }):
		return fmt.Sprintf("writes to partition %d are still on their way to %s", t.Partition, a.me)
	case o.Now.Before(p.until):
		return p.reason
	}
	return ""
}

// Unreachable is why a transfer waits for a node.
func Unreachable(node ring.NodeName) string { return fmt.Sprintf("%s cannot be reached", node) }

// Finished notes that a transfer has done what it is for.
func (a *Agenda) Finished(t Transfer) {
	delete(a.asked, t)
	delete(a.refused, t)
}

// Refused notes that a transfer was refused. It returns true if it had been before,
// for the same reason.
func (a *Agenda) Refused(now time.Time, t Transfer, r *Refusal) (again bool) {
	wait := RefusedPause
	if r.Reason == Broken {
		wait = BrokenPause
	}
	if r.Reason == Wrong && t.Type == Repair {
		delete(a.asked, t)
	}
	return a.pause(now.Add(wait), now, t, r.Text)
}

// Ended notes that a transfer has ended before it was done.
func (a *Agenda) Ended(now time.Time, t Transfer, reason string) {
	a.pause(now.Add(RefusedPause), now, t, reason)
}

func (a *Agenda) pause(until, since time.Time, t Transfer, reason string) (again bool) {
	before, known := a.refused[t]
	again = known && before.reason == reason
	if again {
		since = before.since
	}
	a.refused[t] = pause{until, reason, since}
	return again
}

// Asked enters a repair that a recovering node has asked for. One that the ring does
// not bear out is left: the node asks again, when this one has caught up.
func (a *Agenda) Asked(o Outlook, t Transfer) {
	if t.Wanted(o.Ring) && o.Ring.Owner(t.Source) == a.me {
		a.asked[t] = o.Now
	}
}

// Ask returns the repairs to ask other nodes for now, or this one, which may hold a
// neighbour of what it lacks. Those that are arriving need not be asked for.
func (a *Agenda) Ask(o Outlook, arriving func(Transfer) bool) (ask []Transfer) {
	lacks := a.lacks(o)
	over := func(t Transfer, _ time.Time) bool { return !among(lacks, t) }
	maps.DeleteFunc(a.told, over)
	maps.DeleteFunc(a.missed, over)
	for _, t := range lacks {
		if _, known := a.missed[t]; !known {
			a.missed[t] = o.Now
		}
		if told, before := a.told[t]; before && o.Now.Sub(told) < AskAgain || arriving(t) || !o.Reachable(t.From) {
			continue
		}
		a.told[t] = o.Now
		ask = append(ask, t)
	}
	return ask
}

// Lacking returns the repairs that the node needs, and why they have not come.
func (a *Agenda) Lacking(o Outlook) []Delayed {
	lacks := a.lacks(o)
	all := make([]Delayed, len(lacks))
	for i, t := range lacks {
		all[i] = Delayed{Transfer: t, Reason: fmt.Sprintf("asked %s for it", t.From), Since: o.Now}
		if since, known := a.missed[t]; known {
			all[i].Since = since
		}
		if !o.Reachable(t.From) {
			all[i].Reason = Unreachable(t.From)
		}
	}
	return all
}

// lacks returns the transfers that would make the vnodes here whole, in their order.
func (a *Agenda) lacks(o Outlook) (all []Transfer) {
	for _, v := range o.Vnodes {
		for _, source := range v.Needs {
			all = append(all, Transfer{Type: Repair, Partition: v.Partition, Source: source.Partition, From: source.Node, To: a.me})
		}
	}
	slices.SortFunc(all, Transfer.Compare)
	return slices.Compact(all)
}

// among says whether a transfer is one of some that are in their order.
func among(sorted []Transfer, t Transfer) bool {
	_, found := slices.BinarySearchFunc(sorted, t, Transfer.Compare)
	return found
}

// OwnershipOf returns the transfer that carries out what the ring asks for.
func OwnershipOf(t ring.Transfer) Transfer {
	return Transfer{Type: Ownership, Partition: t.Partition, Source: t.Partition, From: t.From, To: t.To}
}

// Wanted says whether a ring asks for the transfer.
func (t Transfer) Wanted(r *ring.Ring) bool {
	if t.Type == Ownership {
		move, pending := r.Transfer(t.Partition)
		return pending && OwnershipOf(move) == t
	}
	return r.Owner(t.Partition) == t.To
}

// CalledOff says whether the transfer is of no use by a ring: it does not ask for it,
// nor has it been carried out.
func (t Transfer) CalledOff(r *ring.Ring) bool { return !t.Wanted(r) && r.Owner(t.Partition) != t.To }

// Compare orders transfers as they are shown: by type, then partition.
func (t Transfer) Compare(u Transfer) int {
	return cmp.Or(
		cmp.Compare(t.Type, u.Type), cmp.Compare(t.Partition, u.Partition), cmp.Compare(t.Source, u.Source),
		cmp.Compare(t.From, u.From), cmp.Compare(t.To, u.To),
	)
}
