package bench

// The service that is measured, and what is put into it.
const (
	replicas   = 3
	need       = 2 // W and R
	valueBytes = 100
	// DefaultKeys are enough that two clients rarely meet at one, and few
	// enough that the processor's caches are not what is measured.
	DefaultKeys = 10_000
)

// clientCounts are how many clients there are: latency undisturbed; enough to
// keep two cores busy; and a crowd.
var clientCounts = []int{1, 64, 512}

// Cases returns all that is measured, in the order of the table.
func Cases() []Case {
	var cases []Case
	for _, work := range []Case{
		{Name: "store", Detail: "N=3 W=2", Contenders: storing()},
		{Name: "fetch", Detail: "N=3 R=2", Contenders: fetching()},
		{Name: "command", Detail: "N=1", Contenders: commanding()},
	} {
		for _, work.Clients = range clientCounts {
			cases = append(cases, work)
		}
	}
	return append(cases, ringCases()...)
}

// The names of the contenders.
const (
	framework = "torc"
	floor     = "floor"     // the caller fans out and gathers by itself
	goroutine = "goroutine" // each request has a goroutine of its own
	channel   = "channel"   // one vnode, asked over a channel
)

func storing() []Contender {
	return []Contender{
		{framework, openKV((*kvSystem).store)},
		{floor, openTwin((*twin).store, (*twin).inline)},
		{goroutine, openTwin((*twin).store, (*twin).spawned)},
	}
}

func fetching() []Contender {
	return []Contender{
		{framework, openKV((*kvSystem).fetch)},
		{floor, openTwin((*twin).fetch, (*twin).inline)},
		{goroutine, openTwin((*twin).fetch, (*twin).spawned)},
	}
}

func commanding() []Contender {
	return []Contender{
		{framework, openPing},
		{channel, openPlainPing},
	}
}
