package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	torc "github.com/torc-io/torc"
	outside "github.com/torc-io/torc/client"
	"github.com/torc-io/torc/internal/history"
	"github.com/torc-io/torc/kv"
	kvpb "github.com/torc-io/torc/proto/torc/kv/v1"
)

// provers read the replicas of so many keys at a time.
const provers = 32

// proof looks at all replicas of each key, through the commands that any program
// outside of the cluster can send.
type proof struct {
	*workload

	cluster *outside.Client
	fetch   torc.Command[*kvpb.Fetch, *kvpb.Object]

	mu      sync.Mutex
	differs map[history.Key]string // in what
}

// prove wants three equal replicas of each key on three different nodes, and
// takes what they hold as the final read of the key. There is no load any more.
//
// A write that was made while members were away may have missed a replica, which
// the next read repairs. For those keys alone a second look is as good.
func (w *workload) prove() {
	w.t.Helper()
	began := time.Now()
	cluster, err := outside.New(outside.Config{Addresses: *w.at.Load()})
	if err != nil {
		w.t.Fatal(err)
	}
	defer cluster.Close()
	service := torc.NewService[torc.Stateless](kv.ServiceName, torc.Quorum{N: 3}, nil)
	fetch := torc.HandleRead(service, func(torc.Stateless, context.Context, *kvpb.Fetch) (*kvpb.Object, error) {
		return nil, torc.ErrNotFound // it is the name of the command that counts here
	})
	p := &proof{workload: w, cluster: cluster, fetch: fetch, differs: map[history.Key]string{}}
	p.readAll()
	w.t.Logf("%d replicas of each of %d keys compared in %v; %d keys had a replica that differed",
		3, len(w.keys), time.Since(began).Round(time.Millisecond), len(p.differs))
	p.judge()
}

// readAll reads all replicas of every key once.
func (p *proof) readAll() {
	var all sync.WaitGroup
	for prover := range provers {
		all.Go(func() {
			for key := prover; key < len(p.keys); key += provers {
				op := history.Op{Key: history.Key(key), Client: 200, Kind: history.Final, Begin: p.history.Now()}
				newest, unlike, err := p.replicas(op.Key)
				op.End = p.history.Now()
				switch {
				case err != nil:
					op.Outcome = history.Failed
				case newest != nil && !newest.GetDeleted():
					op.Version = versionIn(op.Key, newest.GetValue())
				}
				p.history.Add(op, err)
				p.note(op.Key, unlike)
			}
		})
	}
	all.Wait()
}

func (p *proof) note(key history.Key, unlike string) {
	if unlike == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.differs[key] = unlike
}

// judge wants that only replicas of troubled keys differed, and that a read
// repairs them.
func (p *proof) judge() {
	p.t.Helper()
	const most = 5 // of the errors that are shown
	patience, cancel := context.WithTimeout(context.Background(), repairs)
	defer cancel()
	wrong := 0
	for key, unlike := range p.differs {
		troubled := p.keys[key].troubled
		if troubled && p.repaired(patience, key) {
			continue
		}
		wrong++
		if wrong <= most {
			p.t.Errorf("the replicas of %v differ (written while a member was away: %v):%s", key, troubled, unlike)
		}
	}
	if wrong > 0 {
		p.t.Errorf("the replicas of %d keys differ", wrong)
	}
}

// repairs is how long all read repairs together may take.
const repairs = 30 * time.Second

// repaired reads a key, and says whether its replicas are alike after that, and
// before patience ends.
func (p *proof) repaired(patience context.Context, key history.Key) bool {
	p.request(http.MethodGet, key, "?n=3&r=3", nil)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, unlike, _ := p.replicas(key); unlike == "" {
			return true
		}
		select {
		case <-tick.C:
		case <-patience.Done():
			return false
		}
	}
}

// replicas returns the newest replica of a key, nil if they all say that there is
// none, and how the three are not alike, "" if they are.
func (p *proof) replicas(key history.Key) (newest *kvpb.Object, unlike string, err error) {
	replies, err := p.fetch.All(context.Background(), p.cluster, &kvpb.Fetch{Key: []byte(key.String())}, torc.N(3))
	if err != nil {
		return nil, err.Error(), err
	}
	nodes := map[torc.NodeName]bool{}
	versions := map[string]bool{}
	var failed error
	for _, r := range replies {
		nodes[r.Node] = true
		text := fmt.Sprint(r.Err)
		switch {
		case errors.Is(r.Err, torc.ErrNotFound):
		case r.Err != nil:
			failed = r.Err
		default:
			text = fmt.Sprint(r.Value.GetVersion(), r.Value.GetDeleted(), strings.TrimSpace(string(r.Value.GetValue())))
			if newest == nil || older(newest.GetVersion(), r.Value.GetVersion()) {
				newest = r.Value
			}
		}
		versions[text] = true
		unlike += fmt.Sprintf("\n  partition %d on %s: %s", r.Partition, r.Node, text)
	}
	if len(nodes) == 3 && len(versions) == 1 && newest != nil {
		return newest, "", nil
	}
	if newest == nil {
		err = failed
	}
	return newest, unlike, err
}

// older compares versions as the key/value service does.
func older(a, b *kvpb.Version) bool {
	return cmp.Or(
		cmp.Compare(a.GetWall(), b.GetWall()),
		cmp.Compare(a.GetLogical(), b.GetLogical()),
		cmp.Compare(a.GetWriter(), b.GetWriter()),
	) < 0
}

// verdict ends a workload: it wants that nothing was lost, resurrected, stale or
// invented, and that nothing failed in a planned phase, and shows the phases.
func (w *workload) verdict() {
	w.t.Helper()
	record, err := w.history.Record()
	if err != nil {
		w.t.Fatal(err)
	}
	var found []history.Finding
	for _, check := range []func(*history.Record) []history.Finding{history.Lost, history.Resurrected, history.Stale, history.Invented} {
		findings := check(record)
		for _, f := range findings[:min(len(findings), 5)] {
			w.t.Error(f)
		}
		if len(findings) > 5 {
			w.t.Errorf("%d keys or reads are %s", len(findings), findings[0].What)
		}
		found = append(found, findings...)
	}
	for _, f := range history.Failures(record) {
		if f.Phase.Planned {
			w.t.Error(f)
		} else {
			w.t.Log(f)
		}
	}
	w.t.Logf("the phases:\n%s", history.Table(history.Summarise(record, found...)))
}
