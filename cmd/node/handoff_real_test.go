package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/consultest"
	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/ring"
)

const (
	// slowly is a rate per key in bytes per second: so slow that transfers last
	// for seconds, and there is a middle to be in.
	slowly = 4
	// awayFor is how long a killed member is away, and pausedFor a stopped one.
	awayFor, pausedFor = 3 * time.Second, 20 * time.Second
)

// Metrics that are zero when a cluster has settled.
const (
	// recovering counts vnodes that answer no reads yet.
	recovering = "torc_vnodes_recovering"
	// heldItems counts items that a node keeps for others.
	heldItems = "torc_held_items"
)

// scene is a fleet under a workload.
type scene struct {
	*fleet

	load    *workload
	running []string        // of the ring, which run
	spared  map[string]bool // those that clients do not go to, for they were told to stop
	planned bool            // whether the members wait for plans
}

// storedKeys is how many keys a test stores.
func storedKeys() int {
	if testing.Short() || raceEnabled {
		return 5_000
	}
	return 50_000
}

// newScene starts members, stores all keys on need replicas, and begins the load.
func newScene(f *fleet, need int, names ...string) *scene {
	f.t.Helper()
	f.start(names...)
	s := &scene{fleet: f, running: names, spared: map[string]bool{}}
	s.load = newWorkload(f.t, storedKeys(), f.members[names[0]].http())
	s.serve()
	for _, metric := range []string{recovering, heldItems} {
		if _, err := f.members[names[0]].metric(metric); err != nil {
			f.t.Fatalf("nobody could tell when a cluster has settled: %v", err)
		}
	}
	s.settle()
	s.load.fill(need)
	return s
}

// TestHandoff: under a load of reads, writes and deletes, members join, leave,
// are replaced, restarted, killed and stopped, and nothing is lost.
func TestHandoff(t *testing.T) {
	f := newFleet(t, consultest.Start(t), "--bootstrap", "5")
	s := newScene(f, 2, "a", "b", "c", "d", "e")
	s.load.start(writers, readers)
	s.phase("as usual", true, func() { <-time.After(3 * time.Second) })
	s.phase("join of f", true, func() { s.join("f") })
	s.phase("leave of e", true, func() { s.leave("e") })
	if !testing.Short() && !raceEnabled {
		for _, name := range slices.Clone(s.running) { // from now on, partitions move by plans alone
			s.phase("restart of "+name, false, func() { s.restart(name, "--rebalance", "manual") })
		}
		s.flags, s.planned = append(s.flags, "--rebalance", "manual"), true
		s.phase("b is replaced by g", true, func() { s.replace("b", "g") })
	}
	s.phase("sender killed, h joins", false, func() { s.joinBroken("h", sender, s.kill) })
	if s.planned {
		s.phase("receiver killed, h leaves", false, func() { s.leaveBroken("h", receiver, s.kill) })
		s.phase("claimant killed, h joins", false, func() { s.joinBroken("h", s.claimant, s.kill) })
		s.phase("receiver paused, h leaves", false, func() { s.leaveBroken("h", receiver, s.pause) })
	}
	s.load.stop()
	s.settle()
	s.load.prove()
	s.load.verdict()
}

// phase lets something happen under load. If it is planned, nothing may fail;
// else quorums are strict, for members that stand in know less.
func (s *scene) phase(name string, planned bool, do func()) {
	s.t.Helper()
	s.t.Logf("== %s", name)
	s.load.strict.Store(!planned)
	s.load.history.Enter(name, planned)
	do()
	s.load.history.Leave()
}

// serve tells the clients whom to ask.
func (s *scene) serve() {
	var at []string
	for _, name := range s.running {
		if !s.spared[name] {
			at = append(at, s.fleet.members[name].http())
		}
	}
	s.load.use(at...)
}

// spare keeps clients away from a member, or lets them go there again.
func (s *scene) spare(name string, away bool) {
	s.spared[name] = away
	s.serve()
}

// arrive starts a new member.
func (s *scene) arrive(name string) {
	s.t.Helper()
	s.start(name)
	s.running = append(s.running, name)
	s.spare(name, false)
}

// depart waits until a member that leaves has stopped by itself.
func (s *scene) depart(name string) {
	s.t.Helper()
	m := s.fleet.members[name]
	s.wait("the departure of "+name, func() string {
		select {
		case <-m.ended:
			return ""
		default:
			return name + " runs"
		}
	})
	m.ends(exitDone)
	s.running = slices.DeleteFunc(s.running, func(other string) bool { return other == name })
}

// join: a member gets its share, by itself or by a plan.
func (s *scene) join(name string) {
	s.t.Helper()
	s.arrive(name)
	s.plan("--join", name)
	s.settle()
}

// leave: a member hands off all it has.
func (s *scene) leave(name string) {
	s.t.Helper()
	s.spare(name, true)
	if code, out, complaint := execute(s.t, "leave", "--http", s.fleet.members[name].http()); code != exitDone || !strings.Contains(out, name+" has left") {
		s.t.Fatalf("leave: %d %s%s", code, out, complaint)
	}
	s.depart(name)
	s.settle()
}

// replace: a new member takes the place of another.
func (s *scene) replace(old, heir string) {
	s.t.Helper()
	s.arrive(heir)
	s.spare(old, true)
	s.plan("--join", "", "--replace", old+"="+heir)
	s.depart(old)
	s.settle()
}

// restart: a member stops and comes back.
func (s *scene) restart(name string, flags ...string) {
	s.t.Helper()
	s.spare(name, true)
	s.fleet.members[name].signal(syscall.SIGTERM)
	s.fleet.members[name].ends(exitDone)
	s.begin(name, flags...).serves()
	s.spare(name, false)
	s.settle()
}

// plan commits a plan, if members wait for one.
func (s *scene) plan(flags ...string) {
	s.t.Helper()
	if !s.planned {
		return
	}
	at := s.fleet.members[s.running[0]].http()
	s.wait("a plan with "+strings.Join(flags, " "), func() string { // which has to hear of a new member first
		code, out, complaint := execute(s.t, append([]string{"plan", "-o", "json", "--http", at}, flags...)...)
		var plan httpapi.Plan
		if err := json.Unmarshal([]byte(out), &plan); err != nil || code != exitDone {
			return complaint
		}
		if code, _, complaint = execute(s.t, "commit", plan.Token, "--http", at); code != exitDone {
			return complaint
		}
		return ""
	})
}

// victim picks a member by what a transfer in the middle is.
type victim func(httpapi.PendingTransfer) string

func sender(t httpapi.PendingTransfer) string   { return string(t.From) }
func receiver(t httpapi.PendingTransfer) string { return string(t.To) }

// claimant returns who holds the lock in Consul.
func (s *scene) claimant(httpapi.PendingTransfer) (name string) {
	s.wait("a claimant", func() string {
		_, body := curl(s.t, http.MethodGet, "http://"+s.flags[1]+"/v1/kv/torc/"+s.cluster()+"/claimant?raw", "")
		var holder struct {
			Node string `json:"node"`
		}
		if err := json.Unmarshal([]byte(body), &holder); err != nil || s.fleet.members[holder.Node] == nil {
			return "its lock says " + body
		}
		name = holder.Node
		return ""
	})
	return name
}

// joinBroken: a member joins, and in the middle something is done to a victim.
func (s *scene) joinBroken(name string, who victim, do func(string)) {
	s.t.Helper()
	s.arrive(name)
	s.limit(slowly * storedKeys())
	s.plan("--join", name)
	s.interrupt(who, do)
	s.settle()
}

// leaveBroken: the same while a member leaves.
func (s *scene) leaveBroken(name string, who victim, do func(string)) {
	s.t.Helper()
	s.spare(name, true)
	s.limit(slowly * storedKeys())
	s.plan("--join", "", "--leave", name)
	s.interrupt(who, do)
	s.depart(name)
	s.settle()
}

// interrupt does something to a victim in the middle of a transfer, and lets all
// go on at full speed then.
func (s *scene) interrupt(who victim, do func(string)) {
	s.t.Helper()
	t := s.underway()
	name := who(t)
	s.t.Logf("%s is hit while partition %d is copied from %s to %s, %d of %d items", name, t.Partition, t.From, t.To, t.Items, t.TotalItems)
	do(name)
	s.limit(0)
}

// kill kills a member, and starts it again under its name.
func (s *scene) kill(name string) {
	s.t.Helper()
	m, spared := s.fleet.members[name], s.spared[name]
	m.signal(syscall.SIGKILL)
	s.spare(name, true)
	<-m.ended
	<-time.After(awayFor)
	s.begin(name).serves()
	s.spare(name, spared)
}

// pause stops a member without its knowing, and lets it go on.
func (s *scene) pause(name string) {
	s.t.Helper()
	spared := s.spared[name]
	s.fleet.members[name].signal(syscall.SIGSTOP)
	s.spare(name, true)
	<-time.After(pausedFor)
	s.fleet.members[name].signal(syscall.SIGCONT)
	s.spare(name, spared)
}

// limit bounds the rate of handoff on every member, in bytes per second.
func (s *scene) limit(rate int) {
	s.t.Helper()
	for _, name := range s.running {
		if _, err := s.fleet.members[name].ask(http.MethodPost, "/api/transfer-limit", fmt.Sprintf(`{"rate":%d}`, rate)); err != nil {
			s.t.Errorf("limit the transfers of %s: %v", name, err)
		}
	}
}

// underway waits until a transfer is in its middle.
func (s *scene) underway() (found httpapi.PendingTransfer) {
	s.t.Helper()
	s.wait("a transfer in its middle", func() string {
		for _, name := range s.running {
			for _, t := range s.transfers(name) {
				if t.Phase == "copying" {
					found = t
					return ""
				}
			}
		}
		return "none is copying"
	})
	return found
}

// transfers returns what a member tells of its transfers; nothing, if it does not
// answer.
func (s *scene) transfers(name string) []httpapi.PendingTransfer {
	var answer httpapi.Transfers
	_ = s.fleet.members[name].read("/api/transfers", &answer)
	return answer.Transfers
}

// wait waits until nothing is in the way any more, and says what is if it takes
// too long.
func (s *scene) wait(what string, obstacle func() string) {
	s.t.Helper()
	last := ""
	defer func() {
		if last != "" {
			s.t.Logf("%s: what is in the way is %s", what, last)
		}
	}()
	before(s.t, what, func() bool { last = obstacle(); return last == "" })
}

// settle waits until all members agree on the ring, nothing is on its way, every
// vnode answers, and nobody holds what belongs to others.
func (s *scene) settle() {
	s.t.Helper()
	s.wait("everything where it belongs", s.unsettled)
}

func (s *scene) unsettled() string {
	rings := map[string]bool{}
	for _, name := range s.running {
		m := s.fleet.members[name]
		var answer httpapi.Members
		var pending httpapi.Transfers
		if err := m.read("/api/members", &answer); err != nil {
			return err.Error()
		}
		if err := m.read("/api/transfers", &pending); err != nil {
			return err.Error()
		}
		if n := len(pending.Transfers); n > 0 {
			return fmt.Sprintf("%s knows of %d transfers, the first of them is %+v", name, n, pending.Transfers[0])
		}
		if other := s.strangers(answer); other != "" {
			return name + " sees " + other
		}
		rings[fmt.Sprint(answer.ClusterID, answer.Epoch)] = true
	}
	if len(rings) != 1 {
		return fmt.Sprintf("the members have different rings: %v", slices.Collect(maps.Keys(rings)))
	}
	return s.unready()
}

// strangers says which members are not those that should be there, or not valid
// and alive. Where members wait for plans, those that have left stay on the list.
func (s *scene) strangers(answer httpapi.Members) string {
	there := 0
	for _, m := range answer.Members {
		switch expected := slices.Contains(s.running, string(m.Name)); {
		case !expected && m.Status == ring.Exiting && m.Partitions == 0:
		case !expected || m.Status != ring.Valid || m.Liveness != "alive":
			return fmt.Sprintf("%s, which is %v and %s", m.Name, m.Status, m.Liveness)
		default:
			there++
		}
	}
	if there != len(s.running) {
		return fmt.Sprintf("%d members instead of %d", there, len(s.running))
	}
	return ""
}

// unready says which member has vnodes that do not answer reads yet, or items
// that belong to others.
func (s *scene) unready() string {
	for _, name := range s.running {
		for _, metric := range []string{recovering, heldItems} {
			if value, err := s.fleet.members[name].metric(metric); err != nil || value != 0 {
				return fmt.Sprintf("%s has %s %v (%v)", name, metric, value, err)
			}
		}
	}
	return ""
}

// TestKilledMemberIsWholeAgain: one of three members is killed, and comes back
// empty under its name. Reads through the other two find every key at any moment,
// and then it has all of its items again.
func TestKilledMemberIsWholeAgain(t *testing.T) {
	f := newFleet(t, consultest.Start(t), "--bootstrap", "3")
	s := newScene(f, 3, "a", "b", "c")
	s.spare("c", true)
	s.load.start(0, writers+readers)
	s.phase("as usual", true, func() { <-time.After(2 * time.Second) })
	s.load.history.Enter("c is killed", false)
	f.members["c"].signal(syscall.SIGKILL)
	<-f.members["c"].ended
	<-time.After(awayFor)
	s.load.history.Enter("c is empty", false)
	began := time.Now()
	f.begin("c").serves()
	s.wait("c whole again", func() string {
		if value, err := f.members["c"].metric(recovering); err != nil || value != 0 {
			return fmt.Sprintf("%v recovering vnodes (%v)", value, err)
		}
		return ""
	})
	t.Logf("c was whole again %v after its start; the aim is 10 s", time.Since(began).Round(10*time.Millisecond))
	s.phase("c is whole", true, func() { <-time.After(2 * time.Second) })
	s.load.stop()
	s.settle()
	s.load.prove()
	s.load.verdict()
}
