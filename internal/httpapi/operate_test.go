package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/membership/local"
	"github.com/torc-io/torc/ring"
)

// team is some nodes that may be joined by more.
type team struct {
	t         *testing.T
	network   *torc.Network
	store     *local.Store
	rebalance torc.Rebalance
	sites     map[string]*site
}

// startTeam starts the nodes a, b and c.
func startTeam(t *testing.T, mode torc.Rebalance) *team {
	all := &team{t: t, network: torc.NewNetwork(), store: local.NewStore(), rebalance: mode, sites: map[string]*site{}}
	sites := startThree(t, all.network, func(c *torc.Config) {
		c.Rebalance, c.Membership, c.HTTP = mode, all.store.Connect(), c.Name+":80"
	})
	for _, s := range sites {
		all.sites[string(s.node.Name())] = s
	}
	return all
}

// join starts one more node, which waits to be planned in.
func (all *team) join(name string) {
	all.sites[name] = startSite(all.t, torc.Config{
		Name: name, Membership: all.store.Connect(), Network: all.network, Rebalance: all.rebalance,
	})
	synctest.Wait() // until all have adopted the ring that knows it
}

// post sends a request to one of the nodes and reads its answer.
func post[A any](all *team, on, path, body string) A {
	all.t.Helper()
	var answer A
	text := wantStatus(all.t, http.StatusOK, all.sites[on].ask(http.MethodPost, path, body))
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		all.t.Fatalf("%v: %s", err, text)
	}
	return answer
}

// refused wants a problem of a kind, and returns it.
func (all *team) refused(w *httptest.ResponseRecorder, kind string) Problem {
	all.t.Helper()
	p := problemIn(all.t, w)
	if p.Type != "urn:torc:"+kind {
		all.t.Errorf("refused with %s, want %s: %s", p.Type, kind, p.Detail)
	}
	return p
}

// shares returns how many partitions each member owns.
func (all *team) shares(on string) string {
	var words []string
	r := all.sites[on].node.Ring()
	now, _ := shares(r)
	for _, m := range r.Members() {
		words = append(words, fmt.Sprintf("%s %v %d", m.Name, m.Status, now[m.Name]))
	}
	return strings.Join(words, ", ")
}

// TestPlanAndCommit: the plan that an operator has looked at is what happens, on
// whatever node it is committed, and only once.
func TestPlanAndCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := startTeam(t, torc.RebalanceManual)
		all.join("d")
		time.Sleep(time.Minute)
		plan := post[Plan](all, "a", "/api/plan", "")
		if plan.Moves != 30 || plan.LowerBound != 30 || plan.Violations != 0 || len(plan.Transfers) != 30 || !slices.Equal(plan.Changes, []string{"join d"}) {
			t.Errorf("planned %+v", plan)
		}
		if !strings.Contains(plan.Token, ":join=d") || !strings.Contains(plan.Text, "moves 30, lower bound 30") {
			t.Errorf("token %s of\n%s", plan.Token, plan.Text)
		}
		if got := all.shares("b"); got != "a valid 40, b valid 40, c valid 40, d joining 0" {
			t.Errorf("a plan has moved something: %s", got)
		}
		commit := fmt.Sprintf(`{"token":%q}`, plan.Token)
		if done := post[Plan](all, "b", "/api/commit", commit); !slices.Equal(done.Transfers, plan.Transfers) {
			t.Errorf("planned %v, committed %v", plan.Transfers, done.Transfers)
		}
		all.refused(all.sites["c"].ask(http.MethodPost, "/api/commit", commit), "stale-plan")
		time.Sleep(2 * time.Second)
		for name := range all.sites {
			if got := all.shares(name); got != "a valid 30, b valid 30, c valid 30, d valid 30" {
				t.Errorf("after the commit %s sees %s", name, got)
			}
		}
	})
}

// TestPlanNamesWhoJoins: by default those who are there, and never a stranger.
func TestPlanNamesWhoJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := startTeam(t, torc.RebalanceManual)
		all.join("d")
		all.join("e")
		time.Sleep(time.Second)
		for body, want := range map[string]string{
			``:                                    "join d, join e",
			`{"join":null}`:                       "join d, join e",
			`{"join":[]}`:                         "",
			`{"join":["d"]}`:                      "join d",
			`{"join":["e"],"down":["d"]}`:         "down d, join e",
			`{"replace":{"b":"d"},"leave":["a"]}`: "join e, leave a, replace b by d",
		} {
			plan := post[Plan](all, "a", "/api/plan", body)
			if got := strings.Join(plan.Changes, ", "); got != want {
				t.Errorf("%s plans %q, want %q", body, got, want)
			}
		}
		cutOff(all.network, "d")
		time.Sleep(membership.DownAfter + time.Second)
		if plan := post[Plan](all, "a", "/api/plan", ""); !slices.Equal(plan.Changes, []string{"join e"}) {
			t.Errorf("d cannot be reached, and the plan is %v", plan.Changes)
		}
		all.refused(all.sites["a"].ask(http.MethodPost, "/api/plan", `{"leave":["x"]}`), "no-such-member")
		all.refused(all.sites["a"].ask(http.MethodPost, "/api/plan", `{"leave":["d"]}`), "conflict")
	})
}

// TestLeave: in auto mode at once, and twice is once.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := startTeam(t, torc.RebalanceAuto)
		all.join("d")
		time.Sleep(10 * time.Second)
		if left := post[Leaving](all, "d", "/api/leave", ""); left.Node != "d" || left.Partitions != 30 {
			t.Errorf("left with %+v", left)
		}
		post[Leaving](all, "d", "/api/leave", "")
		time.Sleep(2 * time.Second)
		if got := all.shares("d"); got != "a valid 40, b valid 40, c valid 40, d exiting 0" {
			t.Errorf("after the leave: %s", got)
		}
	})
}

// TestLeaveBeforeJoining: a node that owns nothing yet is gone at once.
func TestLeaveBeforeJoining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := startTeam(t, torc.RebalanceManual)
		all.join("d")
		post[Leaving](all, "d", "/api/leave", "")
		if got := all.shares("d"); got != "a valid 40, b valid 40, c valid 40" {
			t.Errorf("after the leave: %s", got)
		}
	})
}

// TestLeaveInManualMode tells what to do instead.
func TestLeaveInManualMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := startTeam(t, torc.RebalanceManual)
		p := all.refused(all.sites["b"].ask(http.MethodPost, "/api/leave", ""), "conflict")
		if !strings.Contains(p.Detail, "--leave b") {
			t.Errorf("told %q", p.Detail)
		}
		if got := all.shares("a"); got != "a valid 40, b valid 40, c valid 40" {
			t.Errorf("yet %s", got)
		}
	})
}

// TestDown: not while it can be reached, unless forced.
func TestDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := startTeam(t, torc.RebalanceManual)
		all.join("d")
		all.refused(all.sites["a"].ask(http.MethodPost, "/api/down/b", ""), "conflict")
		cutOff(all.network, "b")
		time.Sleep(membership.DownAfter + time.Second)
		if plan := post[Plan](all, "a", "/api/down/b", ""); len(plan.Rebuilt) != 40 || plan.Token != "" {
			t.Errorf("gave b up with %+v", plan)
		}
		post[Plan](all, "a", "/api/down/d?force=1", "")
		time.Sleep(time.Second) // the others may have something to move, too
		if got := all.shares("a"); got != "a valid 60, b down 0, c valid 60, d down 0" {
			t.Errorf("after both: %s", got)
		}
	})
}

// TestTransfersSayWhyTheyWait: on the node that gives the partition, and since when.
func TestTransfersSayWhyTheyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := startTeam(t, torc.RebalanceManual)
		for i := range 300 { // enough for every partition
			wantStatus(t, http.StatusOK, all.sites["a"].ask(http.MethodPut, fmt.Sprintf("/api/store/%d?w=all", i), "x"))
		}
		all.join("d")
		for _, giver := range []string{"a", "b", "c"} {
			if now := post[NodeLimits](all, giver, "/api/transfer-limit", `{"out":0}`); now.Out != 0 || now.In == 0 {
				t.Errorf("limits of %+v", now)
			}
		}
		plan := post[Plan](all, "a", "/api/plan", `{"join":["d"]}`)
		post[Plan](all, "a", "/api/commit", fmt.Sprintf(`{"token":%q}`, plan.Token))
		began := time.Now()
		time.Sleep(5 * time.Second)
		var pending Transfers
		text := wantStatus(t, http.StatusOK, all.sites["a"].ask(http.MethodGet, "/api/transfers", ""))
		if err := json.Unmarshal([]byte(text), &pending); err != nil {
			t.Fatal(err)
		}
		if len(pending.Transfers) == 0 || pending.Via != "a" {
			t.Errorf("nothing pending: %s", text)
		}
		for _, p := range pending.Transfers {
			ours := p.From == "a"
			if ours != (p.Reason != "") || ours != (p.Since.Sub(began) < time.Second && !p.Since.IsZero()) {
				t.Errorf("transfer of %d from %s waits because %q since %v", p.Partition, p.From, p.Reason, p.Since)
			}
		}
	})
}

// TestMembersTellWhereTheyAnswer: as long as their processes run.
func TestMembersTellWhereTheyAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := startTeam(t, torc.RebalanceAuto)
		text := wantStatus(t, http.StatusOK, all.sites["b"].ask(http.MethodGet, "/api/members", ""))
		if !strings.Contains(text, `"http":"a:80"`) || !strings.Contains(text, `"http":"c:80"`) {
			t.Errorf("members: %s", text)
		}
	})
}

// TestToken: what is written is read again, whatever names are like.
func TestToken(t *testing.T) {
	odd := []ring.NodeName{"a", "b.c", "x=y", "p,q", "50%", "ü", "a:b", "@", "+"}
	asked := PlanRequest{Down: odd[:2], Join: odd[2:5], Leave: odd[5:8], Replace: map[ring.NodeName]ring.NodeName{"+": "=", "r": "s"}}
	for _, want := range []token{
		{"ABC@EFGH", 1 << 60, 0xdeadbeef, asked},
		{"A", 1, 0, PlanRequest{}},
	} {
		read, err := parseToken(want.String())
		if err != nil || read.String() != want.String() || read.cluster != want.cluster || len(read.asked.Leave) != len(want.asked.Leave) {
			t.Errorf("%s is read as %s: %v", want, read, err)
		}
	}
}

func FuzzToken(f *testing.F) {
	for _, seed := range []string{
		"Q4T2KDBX@12-3f2a91bc:down=e,join=d,leave=b,replace=a=f", "@1-00000000:rebalance", "A@99999999999999999999-00000000:join=a",
		"A@1-00000000:join", "A@1-00000000:join=%zz", "A@1-00000000:replace=a", "A@1-00000000:join=a=b", "%@1-00000000:x=y", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := parseToken(text)
		if err != nil {
			return
		}
		again, err := parseToken(read.String())
		if err != nil || again.String() != read.String() {
			t.Errorf("%q is %s, which is read as %s: %v", text, read, again, err)
		}
	})
}
