package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/bench/protoactor"
	"github.com/torc-io/torc/kv"
	"github.com/torc-io/torc/membership/local"
)

// Idle is a row: a process that does nothing, as it is when it has started.
type Idle struct {
	Contender string  `json:"contender"`
	Resident  float64 `json:"resident_bytes"` // 0 if the system does not tell
	Heap      float64 `json:"heap_bytes"`     // what is left after a collection
	Start     float64 `json:"start_nanos"`    // from the process's start until it serves
	Ready     float64 `json:"ready_nanos"`    // of that, the node's own
	Spread    float64 `json:"spread"`         // of Start
}

// idleQs are the rings of an idle node.
var idleQs = []int{120, 1024}

// The other contenders.
const (
	idleBare  = "protoactor" // an actor system with its remote
	idlePlain = "go"         // a process that does nothing
)

func idleName(q int) string { return fmt.Sprintf("torc Q=%d", q) }

// idleProcess is one contender: its name, and its role with arguments.
type idleProcess struct {
	name  string
	words []string
}

func idleProcesses() []idleProcess {
	var all []idleProcess
	for _, q := range idleQs {
		all = append(all, idleProcess{idleName(q), []string{"idle-torc", strconv.Itoa(q)}})
	}
	return append(all, idleProcess{idleBare, []string{"idle-protoactor"}}, idleProcess{idlePlain, []string{"idle-go"}})
}

// measureIdle starts each contender some times, in turns.
func (config *Config) measureIdle(ctx context.Context) (rows []Idle, err error) {
	var chosen []idleProcess
	for _, p := range idleProcesses() {
		if path := "idle/" + strings.TrimPrefix(p.name, "torc "); config.Run == nil || config.Run.MatchString(path) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return nil, nil
	}
	config.Progress("idle nodes, and their start")
	found := make([][]Idle, len(chosen))
	for range config.Runs {
		for i, p := range chosen {
			one, err := startIdle(ctx, p)
			if err != nil {
				return nil, fmt.Errorf("idle %s: %w", p.name, err)
			}
			found[i] = append(found[i], one)
		}
	}
	for i, p := range chosen {
		column := func(of func(Idle) float64) float64 { return median(collect(found[i], of)) }
		starts := collect(found[i], func(o Idle) float64 { return o.Start })
		rows = append(rows, Idle{
			Contender: p.name, Start: median(starts), Spread: (slices.Max(starts) - slices.Min(starts)) / median(starts),
			Resident: column(func(o Idle) float64 { return o.Resident }),
			Heap:     column(func(o Idle) float64 { return o.Heap }),
			Ready:    column(func(o Idle) float64 { return o.Ready }),
		})
	}
	return rows, nil
}

// startIdle starts a process, and asks what it takes.
func startIdle(ctx context.Context, p idleProcess) (one Idle, err error) {
	started, err := startProcess(ctx, p.words...)
	if err != nil {
		return Idle{}, err
	}
	defer func() { err = errors.Join(err, started.close()) }()
	err = json.Unmarshal([]byte(started.said), &one)
	// What it took to collect and to look was no part of the start.
	one.Start = float64(started.took) - one.Start
	return one, err
}

// sayIdle tells what this process takes. A node has been ready after the given time.
func sayIdle(ready func(string), took time.Duration) error {
	began := time.Now()
	runtime.GC()         // what is pooled outlives one collection
	debug.FreeOSMemory() // and gives back what was used only to start
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	resident, err := residentBytes()
	if err != nil {
		return err
	}
	said, err := json.Marshal(Idle{
		Resident: resident, Heap: float64(memory.HeapAlloc), Ready: float64(took), Start: float64(time.Since(began)),
	})
	ready(string(said))
	return err
}

// residentBytes is what the process has in memory, by Linux; 0 elsewhere.
func residentBytes() (float64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	var size, resident float64
	if err == nil {
		_, err = fmt.Sscan(string(text), &size, &resident)
	}
	return resident * float64(os.Getpagesize()), err
}

// idleTorc is a node with the key/value service, which could have peers.
func idleTorc(ctx context.Context, args []string, ready func(string)) error {
	q, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	began := time.Now()
	config := torc.Config{Name: "idle", Membership: local.NewStore().Connect(), RingSize: q}
	node, err := torc.Start(ctx, config, kv.New(torc.Quorum{N: replicas}))
	if err != nil {
		return err
	}
	if err := sayIdle(ready, time.Since(began)); err != nil {
		return errors.Join(err, shutDown(node))
	}
	<-ctx.Done()
	return shutDown(node)
}

// idleProtoActor is an actor system that could have peers.
func idleProtoActor(ctx context.Context, _ []string, ready func(string)) error {
	began := time.Now()
	stop := protoactor.Start()
	defer stop()
	err := sayIdle(ready, time.Since(began))
	<-ctx.Done()
	return err
}

// idleGo is this program with nothing in it.
func idleGo(ctx context.Context, _ []string, ready func(string)) error {
	err := sayIdle(ready, 0)
	<-ctx.Done()
	return err
}

// vnodeBytes is what each vnode of a larger ring adds to the heap; 0 if that was
// not measured.
func vnodeBytes(rows []Idle) float64 {
	small, large := findIdle(rows, idleName(idleQs[0])), findIdle(rows, idleName(idleQs[1]))
	if small == nil || large == nil {
		return 0
	}
	return (large.Heap - small.Heap) / float64(idleQs[1]-idleQs[0])
}

func findIdle(rows []Idle, contender string) *Idle {
	for i := range rows {
		if rows[i].Contender == contender {
			return &rows[i]
		}
	}
	return nil
}
