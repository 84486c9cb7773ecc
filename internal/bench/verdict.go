package bench

import "fmt"

// Verdict is a target, and what became of it: the first table of a report.
type Verdict struct {
	Work string `json:"work"`
	Want string `json:"target"`
	Got  string `json:"now"`
	Met  bool   `json:"met"`
}

var verdictColumns = []column[Verdict]{
	{"work", true, func(v *Verdict) string { return v.Work }},
	{"target", true, func(v *Verdict) string { return v.Want }},
	{"now", false, func(v *Verdict) string { return v.Got }},
	{"", true, func(v *Verdict) string { return map[bool]string{true: "met", false: "MISSED"}[v.Met] }},
}

// What riak_core_lite does on two cores, on a machine like those that the tables
// of docs/performance.md are from, by clients: operations a second.
var (
	riakStore        = map[int]float64{64: 34_300, 512: 19_400}
	riakClusterStore = map[int]float64{64: 8_200, 512: 9_300}
	riakClusterFetch = map[int]float64{64: 9_600, 512: 9_000}
)

// The targets.
const (
	timesTwin      = 3  // the time of the floor, at most
	timesRiak      = 10 // its rate, at least
	mostAllocs     = 14 // of a store
	timesChannel   = 2  // the time of a command over a channel
	timesTCP       = 2  // the time of the twin over TCP
	timesTCPMedian = 2  // its median at C=1
	timesRiakFar   = 5  // its rate with three processes
	timesBareHTTP  = 2  // the time of the bare handler
	timesMedian    = 10 // p99 by p50 at half of the highest rate
	timesStream    = 2  // the time of a gRPC stream
	moreResident   = 30 // MB beyond an idle Proto.Actor node
	mostVnode      = 2 << 10
	timesManyQ     = 1.1
	timesManyKeys  = 1.3
	timesLinear    = 1.2 // what a replica more costs at many of them, to what it costs at few
)

// judge holds what was measured against the targets. What was not measured is
// not in it.
func (r *Report) judge() (all []Verdict) {
	j := judge{report: r}
	j.local()
	j.spread()
	j.web()
	j.others()
	j.growth()
	return j.verdicts
}

// judge collects verdicts.
type judge struct {
	report   *Report
	verdicts []Verdict
}

// find returns a row; nil if it was not measured.
func (j *judge) find(name string, clients int, contender string) *Result {
	for i := range j.report.Results {
		if row := &j.report.Results[i]; row.Case == name && row.Clients == clients && row.Contender == contender {
			return row
		}
	}
	return nil
}

// most wants a number to be at most another.
func (j *judge) most(work, want string, got, most float64, format string) {
	j.verdicts = append(j.verdicts, Verdict{work, want, fmt.Sprintf(format, got), got <= most})
}

// ratio wants a row's ratio to be at most that. A row alone has none.
func (j *judge) ratio(name string, clients int, contender string, most float64) {
	if row := j.find(name, clients, contender); row != nil && row.Ratio > 0 {
		j.most(fmt.Sprintf("%s, C=%d", name, clients), fmt.Sprintf("≤ %.1f × the time of %s", most, contender), row.Ratio, most, "%.2f×")
	}
}

// rate wants torc to be some times as fast as riak_core_lite.
func (j *judge) rate(name string, clients int, riak map[int]float64, times float64) {
	if row := j.find(name, clients, framework); row != nil {
		got := row.OpsPerSecond / riak[clients]
		j.verdicts = append(j.verdicts, Verdict{
			fmt.Sprintf("%s, C=%d", name, clients), fmt.Sprintf("≥ %.0f × riak_core_lite's %s/s", times, thousands(riak[clients])),
			fmt.Sprintf("%.1f×", got), got >= times,
		})
	}
}

// local is work within one process.
func (j *judge) local() {
	for _, clients := range []int{64, 512} {
		j.ratio("store", clients, floor, timesTwin)
		j.rate("store", clients, riakStore, timesRiak)
		if row := j.find("store", clients, framework); row != nil {
			j.most(fmt.Sprintf("store, C=%d", clients), fmt.Sprintf("≤ %d allocations", mostAllocs), row.AllocsPerOp, mostAllocs+.5, "%.1f")
		}
	}
	j.ratio("command", 64, channel, timesChannel)
}

// spread is work over three processes.
func (j *judge) spread() {
	for _, work := range []struct {
		name string
		riak map[int]float64
	}{{"store-cluster", riakClusterStore}, {"fetch-cluster", riakClusterFetch}} {
		torc, twin := j.find(work.name, 1, framework), j.find(work.name, 1, plainTCP)
		if torc != nil && twin != nil {
			j.most(work.name+", C=1", fmt.Sprintf("p50 ≤ %d × that of tcp", timesTCPMedian), torc.P50Nanos/twin.P50Nanos, timesTCPMedian, "%.2f×")
		}
		for _, clients := range []int{64, 512} {
			j.ratio(work.name, clients, plainTCP, timesTCP)
			j.rate(work.name, clients, work.riak, timesRiakFar)
		}
	}
}

// web is work over HTTP.
func (j *judge) web() {
	for _, name := range []string{"http-put", "http-get"} {
		j.ratio(name, 64, bareHTTP, timesBareHTTP)
	}
}

// others are latency at half of the highest rate, handoff, and idle nodes.
func (j *judge) others() {
	for _, p := range j.report.Paced {
		if p.Part == .5 {
			j.most(p.Work+" at half of the highest rate", fmt.Sprintf("p99 ≤ %d × p50", timesMedian), p.P99Nanos/p.P50Nanos, timesMedian, "%.1f×")
		}
	}
	if j.report.Handoff != nil {
		for _, m := range j.report.Handoff.Moves {
			if m.Contender == itemsTwin {
				j.most("handoff of "+m.Value, fmt.Sprintf("≤ %d × the time of a gRPC stream", timesStream), m.Ratio, timesStream, "%.2f×")
			}
		}
	}
	node, bare := findIdle(j.report.Idle, idleName(idleQs[0])), findIdle(j.report.Idle, idleBare)
	if node != nil && bare != nil {
		j.most("idle node, Q=120", "≤ 30 MB more than Proto.Actor's", (node.Resident-bare.Resident)/1e6, moreResident, "%+.1f MB")
	}
	if each := vnodeBytes(j.report.Idle); each > 0 {
		j.most("idle vnode", "≤ 2048 B", each, mostVnode, "%.0f B")
	}
}

// growth is what more of something costs.
func (j *judge) growth() {
	j.ratio("grow-q", growClients, fmt.Sprintf("Q=%d", growingQs[1]), timesManyQ)
	j.ratio("grow-keys", growClients, fmt.Sprintf("keys=%d", fewKeys), timesManyKeys)
	cost := func(n int) float64 {
		if row := j.find("grow-n", growClients, fmt.Sprintf("N=%d", n)); row != nil {
			return row.CPUNanos // it is the cost, and hardly changes with what else runs
		}
		return 0
	}
	if one, three, seven := cost(1), cost(3), cost(7); one*three*seven > 0 {
		few, many := (three-one)/2, (seven-three)/4
		j.most("grow-n", fmt.Sprintf("a replica costs ≤ %.1f × as much from 3 to 7 as from 1 to 3", timesLinear), many/few, timesLinear, "%.2f×")
	}
}
