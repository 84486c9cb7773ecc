package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/consultest"
	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/membership"
)

// These are the only tests in which several processes form a cluster over a real
// Consul. They wait for events, each with a deadline, and log how long it took.

// fleet is a cluster of processes.
type fleet struct {
	t       *testing.T
	flags   []string // of all members
	members map[string]*memberProcess
}

func newFleet(t *testing.T, agent *consultest.Agent, flags ...string) *fleet {
	t.Helper()
	cluster := strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name()))
	return &fleet{t, append([]string{"--consul", agent.Address(), "--cluster", cluster}, flags...), map[string]*memberProcess{}}
}

func (f *fleet) cluster() string { return f.flags[3] }

// memberProcess is a member in a process of its own.
type memberProcess struct {
	*exec.Cmd

	t        *testing.T
	name     string
	listen   string // kept over restarts
	out, log screen
	ended    chan struct{} // closed when the process has
}

// begin starts a member, and does not wait for it.
func (f *fleet) begin(name string, flags ...string) *memberProcess {
	f.t.Helper()
	m := &memberProcess{t: f.t, name: name, listen: freePort(f.t), ended: make(chan struct{})}
	if old := f.members[name]; old != nil {
		m.listen = old.listen
	}
	args := append([]string{"start", "--name", name, "--listen", m.listen, "--http", "127.0.0.1:0"}, f.flags...)
	m.Cmd = exec.Command("node", append(args, flags...)...)
	m.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	m.Stdout, m.Stderr = &m.out, &m.log
	if err := m.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() { defer close(m.ended); _ = m.Wait() }()
	f.t.Cleanup(func() {
		_ = m.Process.Kill() // it may have ended
		<-m.ended
		if f.t.Failed() {
			f.t.Logf("the log of %s:\n%s", name, &m.log)
		}
	})
	f.members[name] = m
	return m
}

// start starts members together, and returns when all of them serve.
func (f *fleet) start(names ...string) {
	f.t.Helper()
	for _, name := range names {
		f.begin(name)
	}
	for _, name := range names {
		f.members[name].serves()
	}
}

// freePort returns an address of loopback where nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// settles is how long a cluster may take until everything is where it belongs
// again. It takes seconds; the machine may have other things to do.
const settles = 90 * time.Second

// before waits until a condition holds, as long as settles, and logs how long it took.
func before(t *testing.T, what string, holds func() bool) {
	t.Helper()
	began := time.Now()
	over := time.After(settles)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("not within %v: %s", settles, what)
		}
	}
	t.Logf("%s after %v", what, time.Since(began).Round(10*time.Millisecond))
}

// http returns where the member answers, "" as long as it does not say.
func (m *memberProcess) http() string {
	if found := httpAddress.FindStringSubmatch(m.out.String()); found != nil {
		return found[2]
	}
	return ""
}

func (m *memberProcess) serves() {
	m.t.Helper()
	before(m.t, m.name+" serves", func() bool {
		select {
		case <-m.ended:
			m.t.Fatalf("%s ended: %s", m.name, &m.log)
		default:
		}
		return m.http() != ""
	})
}

// ends waits for the end of the process, and wants that exit code.
func (m *memberProcess) ends(code int) {
	m.t.Helper()
	select {
	case <-m.ended:
	case <-time.After(settles):
		m.t.Fatalf("%s does not end", m.name)
	}
	if got := m.ProcessState.ExitCode(); got != code {
		m.t.Errorf("%s ended with %v, want exit code %d: %s", m.name, m.ProcessState, code, &m.log)
	}
}

func (m *memberProcess) signal(s syscall.Signal) {
	m.t.Helper()
	if err := m.Process.Signal(s); err != nil {
		m.t.Fatal(err)
	}
}

// askPatience bounds a question to a member, which may have been killed.
const askPatience = 10 * time.Second

// ask sends a request to a member, with JSON if there is any, and returns what it
// answers.
func (m *memberProcess) ask(method, path, body string) ([]byte, error) {
	request, err := http.NewRequest(method, "http://"+m.http()+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := (&http.Client{Timeout: askPatience}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return answer, err
}

// read asks a member for a JSON value.
func (m *memberProcess) read(path string, into any) error {
	answer, err := m.ask(http.MethodGet, path, "")
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, into)
}

// metric returns the sum of a metric of a member over its labels. One that is not
// there is an error.
func (m *memberProcess) metric(name string) (sum float64, err error) {
	text, err := m.ask(http.MethodGet, "/metrics", "")
	if err != nil {
		return 0, err
	}
	found := false
	for line := range strings.Lines(string(text)) {
		rest, is := strings.CutPrefix(strings.TrimSpace(line), name)
		if !is || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+value, true
	}
	if !found {
		return 0, fmt.Errorf("%s has no metric %s", m.name, name)
	}
	return sum, nil
}

// look returns what a member tells of all members; nothing, if it does not answer.
func (f *fleet) look(on string) (answer httpapi.Members) {
	_, out, _ := execute(f.t, "members", "-o", "json", "--http", f.members[on].http())
	_ = json.Unmarshal([]byte(out), &answer)
	return answer
}

// shares returns status and partitions of each member, as one of them sees it.
func (f *fleet) shares(on string) string {
	answer := f.look(on)
	var words []string
	for _, m := range answer.Members {
		words = append(words, fmt.Sprintf("%s %v %d", m.Name, m.Status, m.Partitions))
	}
	return strings.Join(words, ", ")
}

// seen returns the liveness of a member in the eyes of a.
func (f *fleet) seen(name string) string {
	for _, m := range f.look("a").Members {
		if string(m.Name) == name {
			return m.Liveness
		}
	}
	return "nobody"
}

// agree waits until all members that are given print the same table, with these shares.
func (f *fleet) agree(shares string, on ...string) {
	f.t.Helper()
	before(f.t, shares, func() bool {
		tables := map[string]bool{}
		for _, name := range on {
			_, table, _ := execute(f.t, "members", "--http", f.members[name].http())
			tables[table] = true
			if f.shares(name) != shares {
				return false
			}
		}
		return len(tables) == 1
	})
}

// refused starts a member that must fail, and wants a reason in what it says.
func (f *fleet) refused(name, reason string, flags ...string) {
	f.t.Helper()
	m := f.begin(name, flags...)
	m.ends(exitFailed)
	if !strings.Contains(m.log.String(), reason) {
		f.t.Errorf("%s ended without saying %q: %s", name, reason, &m.log)
	}
}

const thirds = "a valid 40, b valid 40, c valid 40"

func TestRealCluster(t *testing.T) {
	agent := consultest.Start(t)
	t.Run("forms", func(t *testing.T) { formsAtOnce(t, agent) })
	t.Run("lives", func(t *testing.T) { livesAndChanges(t, agent) })
	t.Run("manual", func(t *testing.T) { movesByCommitAlone(t, agent) })
	t.Run("failures", func(t *testing.T) { survives(t, agent) })
	t.Run("two_of_five", func(t *testing.T) { survivesTwo(t, agent) })
	t.Run("agent", func(t *testing.T) { outlivesItsAgent(t, agent) }) // the last: it kills the agent
}

// formsAtOnce: three processes that start at once, with nobody said to be first,
// share the ring.
func formsAtOnce(t *testing.T, agent *consultest.Agent) {
	f := newFleet(t, agent)
	for _, name := range []string{"c", "a", "b"} {
		f.begin(name)
	}
	for _, m := range f.members {
		m.serves()
	}
	f.agree(thirds, "a", "b", "c")

	leaver := f.members["c"]
	if code, out, complaint := execute(t, "leave", "--http", leaver.http()); code != exitDone || !strings.Contains(out, "c has left") {
		t.Errorf("leave: %d %s%s", code, out, complaint)
	}
	leaver.ends(exitDone)
	f.agree("a valid 60, b valid 60", "a", "b")
}

// livesAndChanges follows a cluster: it forms when its third member has come, a
// fourth gets its share, impostors are refused, and restarts move nothing.
func livesAndChanges(t *testing.T, agent *consultest.Agent) {
	f := newFleet(t, agent, "--bootstrap", "3")
	for _, name := range []string{"b", "c"} {
		f.begin(name)
		before(t, name+" waits", func() bool { return strings.Contains(f.members[name].log.String(), "waiting for members") })
	}
	f.begin("a")
	f.members["a"].serves()
	f.agree(thirds, "a", "b", "c")

	first := f.members["a"]
	f.refused("a", `"a" runs at `+first.listen, "--listen", "127.0.0.1:0")
	f.members["a"] = first
	f.refused("x", "wants a ring of 64 partitions, but the cluster's has 120", "--ring-size", "64")
	f.refused("lives-a", "is of cluster testrealcluster-lives", "--cluster", "testrealcluster")
	epoch := f.look("a")
	if f.shares("a") != thirds || epoch.Epoch != 1 {
		t.Errorf("impostors have changed the ring: epoch %d, %s", epoch.Epoch, f.shares("a"))
	}

	f.start("d")
	const quarters = "a valid 30, b valid 30, c valid 30, d valid 30"
	f.agree(quarters, "a", "b", "c", "d")

	f.members["d"].signal(syscall.SIGTERM)
	f.members["d"].ends(exitDone)
	before(t, "a misses d", func() bool { return f.seen("d") != membership.Alive.String() })
	f.begin("d", "--leave-on-stop").serves()
	f.agree(quarters, "a", "b", "c", "d")

	f.members["d"].signal(syscall.SIGTERM)
	f.members["d"].ends(exitDone)
	f.agree(thirds, "a", "b", "c")
}

// movesByCommitAlone: in manual mode a new member waits for a plan.
func movesByCommitAlone(t *testing.T, agent *consultest.Agent) {
	f := newFleet(t, agent, "--bootstrap", "3", "--rebalance", "manual")
	f.start("a", "b", "c")
	f.start("d")
	before(t, "a reaches d", func() bool { return f.seen("d") == membership.Alive.String() })
	at := f.members["a"].http()
	waiting := f.look("a")
	settled := time.After(membership.SettleAfter + 2*time.Second) // auto mode would have moved by then
	<-settled
	if now := f.look("a"); now.Epoch != waiting.Epoch || f.shares("a") != thirds+", d joining 0" {
		t.Errorf("without a commit: epoch %d, %s", now.Epoch, f.shares("a"))
	}
	if code, _, complaint := execute(t, "leave", "--http", at); code != exitFailed || !strings.Contains(complaint, "--leave a") {
		t.Errorf("leave: %d %s", code, complaint)
	}
	code, out, complaint := execute(t, "plan", "-o", "json", "--http", at)
	var plan httpapi.Plan
	if err := json.Unmarshal([]byte(out), &plan); err != nil || code != exitDone || plan.Moves != 30 {
		t.Fatalf("plan: %d %v %s%s", code, err, out, complaint)
	}
	if code, _, complaint := execute(t, "commit", plan.Token, "--http", f.members["b"].http()); code != exitDone {
		t.Fatalf("commit: %d %s", code, complaint)
	}
	if code, _, complaint := execute(t, "commit", plan.Token, "--http", at); code != exitFailed || !strings.Contains(complaint, "plan again") {
		t.Errorf("committed twice: %d %s", code, complaint)
	}
	f.agree("a valid 30, b valid 30, c valid 30, d valid 30", "a", "b", "c", "d")
}

// survives: under a steady load through two members, the third is stopped for
// five seconds, continued, killed, and started again; not one request fails, and
// nothing moves.
func survives(t *testing.T, agent *consultest.Agent) {
	f := newFleet(t, agent, "--bootstrap", "3")
	f.start("a", "b", "c")
	f.agree(thirds, "a", "b", "c")
	calm := f.look("a")
	l := startLoad(t, 3, f.members["a"].http(), f.members["b"].http())
	l.phase("as usual", 2*time.Second)

	victim := f.members["c"]
	victim.signal(syscall.SIGSTOP)
	l.phase("c is stopped", 3*time.Second)
	l.phase("c is still stopped", 2*time.Second)
	before(t, "a notices that c is stopped", func() bool { return f.seen("c") != membership.Alive.String() })
	victim.signal(syscall.SIGCONT)
	before(t, "a reaches c again", func() bool { return f.seen("c") == membership.Alive.String() })
	l.phase("c is back", 2*time.Second)
	if now := f.look("a"); now.Epoch != calm.Epoch {
		t.Errorf("a stopped process has changed the ring: epoch %d, and now %d", calm.Epoch, now.Epoch)
	}

	victim.signal(syscall.SIGKILL)
	l.phase("c is killed", 3*time.Second)
	l.phase("c is still away", 2*time.Second)
	f.begin("c").serves()
	f.agree(thirds, "a", "b", "c")
	l.phase("c is started again", 2*time.Second)
	f.members["c"].signal(syscall.SIGTERM)
	l.phase("c is told to stop", 2*time.Second)
	f.members["c"].ends(exitDone)
	l.stop()
	for _, name := range []string{"a", "b"} {
		f.members[name].signal(syscall.SIGTERM)
	}
	for _, name := range []string{"a", "b"} {
		f.members[name].ends(exitDone)
	}
}

// survivesTwo: with five replicas, of which three must answer, two members may
// be killed at once.
func survivesTwo(t *testing.T, agent *consultest.Agent) {
	f := newFleet(t, agent, "--bootstrap", "5")
	f.start("a", "b", "c", "d", "e")
	l := startLoad(t, 5, f.members["a"].http(), f.members["b"].http(), f.members["c"].http())
	l.phase("as usual", time.Second)
	f.members["d"].signal(syscall.SIGKILL)
	f.members["e"].signal(syscall.SIGKILL)
	l.phase("d and e are killed", 3*time.Second)
	l.phase("d and e are still away", time.Second)
	l.stop()
}

// outlivesItsAgent: an agent that is killed and comes back with nothing in it
// costs no request, knows all members again, and has the same ring again.
func outlivesItsAgent(t *testing.T, agent *consultest.Agent) {
	f := newFleet(t, agent, "--bootstrap", "3")
	f.start("a", "b", "c")
	calm := f.look("a")
	l := startLoad(t, 3, f.members["a"].http(), f.members["b"].http())
	l.phase("as usual", time.Second)
	agent.Kill()
	l.phase("the agent is killed", 2*time.Second)
	if err := agent.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	before(t, "all are registered again", func() bool { return registered(t, agent, f.cluster()) == 3 })
	before(t, "the ring is stored again", func() bool {
		status, _ := curl(t, http.MethodGet, "http://"+agent.Address()+"/v1/kv/torc/"+f.cluster()+"/ring?raw", "")
		return status == http.StatusOK
	})
	l.phase("the agent is back", 2*time.Second)
	l.stop()
	if now := f.look("c"); now.ClusterID != calm.ClusterID || now.Epoch < calm.Epoch || f.shares("c") != thirds {
		t.Errorf("was cluster %s at epoch %d, and is %s at %d with %s", calm.ClusterID, calm.Epoch, now.ClusterID, now.Epoch, f.shares("c"))
	}
	f.start("d") // who finds the ring, and no other one
	if now := f.look("d"); now.ClusterID != calm.ClusterID {
		t.Errorf("d has joined cluster %s, want %s", now.ClusterID, calm.ClusterID)
	}
}

// registered returns how many services of a cluster pass their checks.
func registered(t *testing.T, agent *consultest.Agent, cluster string) int {
	t.Helper()
	status, body := curl(t, http.MethodGet, "http://"+agent.Address()+"/v1/health/service/"+cluster+"?passing", "")
	var services []any
	if status != http.StatusOK || json.Unmarshal([]byte(body), &services) != nil {
		return 0
	}
	return len(services)
}
