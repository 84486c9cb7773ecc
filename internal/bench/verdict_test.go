package bench

import (
	"bytes"
	"strings"
	"testing"
)

// TestTargets: those that were measured come first, with their numbers.
func TestTargets(t *testing.T) {
	report := &Report{
		Results: []Result{
			{Case: "store", Clients: 64, Contender: framework, OpsPerSecond: 343_000, AllocsPerOp: 17.3},
			{Case: "store", Clients: 64, Contender: floor, Ratio: 2.9},
			{Case: "store-cluster", Clients: 1, Contender: framework, P50Nanos: 300},
			{Case: "store-cluster", Clients: 1, Contender: plainTCP, P50Nanos: 100, Ratio: 9},
			{Case: "grow-n", Clients: 64, Contender: "N=7", CPUNanos: 130},
			{Case: "grow-n", Clients: 64, Contender: "N=3", CPUNanos: 70},
			{Case: "grow-n", Clients: 64, Contender: "N=1", CPUNanos: 50},
		},
		Paced: []Paced{{Work: "store", Part: .5, P50Nanos: 10, P99Nanos: 99}, {Work: "store", Part: .8, P50Nanos: 10, P99Nanos: 999}},
		Idle: []Idle{
			{Contender: idleName(120), Resident: 25e6, Heap: 1e6},
			{Contender: idleName(1024), Resident: 30e6, Heap: 1e6 + 904*2000},
			{Contender: idleBare, Resident: 22e6},
		},
	}
	const want = `
work                               target                                                          now
store, C=64                        ≤ 3.0 × the time of floor                                     2.90×  met
store, C=64                        ≥ 10 × riak_core_lite's 34,300/s                              10.0×  met
store, C=64                        ≤ 14 allocations                                               17.3  MISSED
store-cluster, C=1                 p50 ≤ 2 × that of tcp                                         3.00×  MISSED
store at half of the highest rate  p99 ≤ 10 × p50                                                 9.9×  met
idle node, Q=120                   ≤ 30 MB more than Proto.Actor's                             +3.0 MB  met
idle vnode                         ≤ 2048 B                                                     2000 B  met
grow-n                             a replica costs ≤ 1.2 × as much from 3 to 7 as from 1 to 3    1.50×  MISSED

`
	const wantApart = `
open loop  of highest  p99/p50  ops/s      p50      p99  p99.9  max  unsent
store             50%     9.9×      0  10.0 ns  99.0 ns      –    –       0
store             80%    99.9×      0  10.0 ns   999 ns      –    –       0

idle         resident    heap  process start  node start  spread
torc Q=120    25.0 MB  1.0 MB              –           –      0%
torc Q=1024   30.0 MB  2.8 MB              –           –      0%
protoactor    22.0 MB       –              –           –      0%
each idle vnode: 2,000 B of heap
`
	report.Targets = report.judge()
	var table bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(table.String(), "this row's\n")
	if !strings.HasPrefix(text, want) || !strings.HasSuffix(text, wantApart) {
		t.Errorf("got:%s\nwant:%s…%s", text, want, wantApart)
	}
}

// TestApart keeps what is no case from rotting. No time is asserted.
func TestApart(t *testing.T) {
	config := short
	config.Apart = true
	report, err := Run(t.Context(), nil, config)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Paced) != 2*len(pacedParts) || len(report.Idle) != len(idleQs)+2 {
		t.Fatalf("%d and %d rows", len(report.Paced), len(report.Idle))
	}
	for _, p := range report.Paced {
		if p.P50Nanos <= 0 || p.P99Nanos < p.P50Nanos || p.MaxNanos < p.P999Nanos {
			t.Errorf("impossible: %+v", p)
		}
	}
	for _, i := range report.Idle {
		if i.Heap <= 0 || i.Start < i.Ready {
			t.Errorf("impossible: %+v", i)
		}
	}
	if each := vnodeBytes(report.Idle); each < 100 || each > 20_000 {
		t.Errorf("a vnode of %v B", each)
	}
}
