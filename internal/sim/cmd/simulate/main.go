// Command simulate runs simulated clusters. Each seed is one history:
//
//	simulate -seed 7          replays it, a line for each event
//	simulate -seeds 10000     runs many on all cores, and shrinks what fails
//	simulate -for 1h          goes on until the time is over
//
// It exits with 1 if a checker found something.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/torc-io/torc/internal/sim"
)

func main() {
	seed := flag.Uint64("seed", 0, "the seed to replay, with a trace")
	seeds := flag.Uint64("seeds", 0, "how many seeds to run")
	from := flag.Uint64("from", 1, "the first of many seeds")
	long := flag.Duration("for", 0, "how long to run seeds, instead of how many")
	shrink := flag.Bool("shrink", true, "look for fewer faults that fail, too")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	var text string
	var ok bool
	if *seeds > 0 || *long > 0 {
		text, ok = many{from: *from, seeds: *seeds, long: *long, shrink: *shrink, progress: os.Stderr}.run()
	} else {
		text, ok = replay(out, *seed, *shrink)
	}
	_, err := out.WriteString(text)
	if err == nil {
		err = out.Flush()
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// replay runs one seed, with its trace. It returns how that ended, in words.
func replay(out io.Writer, seed uint64, shrink bool) (text string, ok bool) {
	var head strings.Builder
	s := sim.NewScenario(seed)
	if shrink && sim.Run(s, nil).Failure != "" {
		fmt.Fprint(&head, s)
		s = sim.Shrink(s)
		fmt.Fprintf(&head, "shrunk to %d faults:\n", len(s.Faults))
	}
	fmt.Fprintf(&head, "%v\n", s)
	if _, err := io.WriteString(out, head.String()); err != nil {
		return "", false
	}
	r := sim.Run(s, out)
	if r.Failure != "" {
		return fmt.Sprintf("\nfails: %s\n", r.Failure), false
	}
	return fmt.Sprintf("\nall well after %v, %d events\n", r.Took.Round(time.Millisecond), r.Steps), true
}
