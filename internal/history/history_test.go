package history_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/history"
)

// op reads an operation from a line such as
//
//	write 3 at 10-20 failed
//
// with times in milliseconds. Its key is 1, and its client too, or 2 if it reads.
func op(t *testing.T, line string) history.Op {
	t.Helper()
	kinds := map[string]history.Kind{"write": history.Write, "delete": history.Delete, "read": history.Read, "final": history.Final}
	outcomes := map[string]history.Outcome{"": history.OK, "failed": history.Failed, "unknown": history.Unknown}
	var kind, outcome string
	var begin, end int
	o := history.Op{Key: 1, Client: 1}
	if n, err := fmt.Sscanf(line, "%s %d at %d-%d %s", &kind, &o.Version, &begin, &end, &outcome); n < 4 {
		t.Fatalf("%q: %v", line, err)
	}
	o.Kind, o.Outcome = kinds[kind], outcomes[outcome]
	o.Begin, o.End = time.Duration(begin)*time.Millisecond, time.Duration(end)*time.Millisecond
	if o.Kind >= history.Read {
		o.Client = 2
	}
	return o
}

// parse reads a record with an operation on each line.
func parse(t *testing.T, text string) (*history.Record, error) {
	t.Helper()
	var ops []history.Op
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			ops = append(ops, op(t, line))
		}
	}
	return history.NewRecord(ops)
}

// findings returns what all checkers find, a line each.
func findings(r *history.Record) string {
	all := append(history.Lost(r), history.Resurrected(r)...)
	all = append(all, history.Stale(r)...)
	all = append(all, history.Invented(r)...)
	var lines strings.Builder
	for _, f := range all {
		lines.WriteString(f.String() + "\n")
	}
	return lines.String()
}

// TestFindings: what is found in histories that are small enough to judge by
// looking at them.
func TestFindings(t *testing.T) {
	for _, c := range []struct{ name, history, want string }{
		{"nothing happened", "", ""},
		{"nothing was written", "read 0 at 1-2\nfinal 0 at 3-4", ""},
		{"a calm life", `
			write 1 at 10-20
			read 1 at 21-22
			write 2 at 30-40
			read 2 at 41-42
			delete 3 at 50-60
			read 0 at 61-62
			final 0 at 90-91`, ""},
		{"stale", `
			write 1 at 10-20
			write 2 at 30-40
			read 1 at 41-42
			final 2 at 90-91`, "stale: k1: read of version 1 (client 2, 41ms to 42ms), after the acknowledged write of version 2 (client 1, 30ms to 40ms)\n"},
		{"a read beside a write may see either", `
			write 1 at 10-20
			write 2 at 30-40
			read 1 at 40-42
			read 2 at 31-32
			read 1 at 33-34
			final 2 at 90-91`, ""},
		{"nothing after a write", `
			write 1 at 10-20
			read 0 at 21-22
			final 1 at 90-91`, "stale: k1: read of nothing (client 2, 21ms to 22ms), after the acknowledged write of version 1 (client 1, 10ms to 20ms)\n"},
		{"nothing beside a delete", `
			write 1 at 10-20
			read 0 at 25-31
			delete 2 at 30-40
			final 0 at 90-91`, ""},
		{"nothing before a delete", `
			write 1 at 10-20
			read 0 at 25-29
			delete 2 at 30-40
			final 0 at 90-91`, "stale: k1: read of nothing (client 2, 25ms to 29ms), after the acknowledged write of version 1 (client 1, 10ms to 20ms)\n"},
		{"lost", `
			write 1 at 10-20
			write 2 at 30-40
			final 1 at 90-91`, "lost: k1: final read of version 1 (client 2, 90ms to 91ms), and the end of what was acknowledged is the write of version 2 (client 1, 30ms to 40ms)\n"},
		{"lost altogether", `
			write 1 at 10-20
			final 0 at 90-91`, "lost: k1: final read of nothing (client 2, 90ms to 91ms), and the end of what was acknowledged is the write of version 1 (client 1, 10ms to 20ms)\n"},
		{"no final read", `
			write 1 at 10-20
			final 0 at 90-91 failed`, "lost: k1: final read, failed (client 0, 0s to 0s), so nobody knows what became of the write of version 1 (client 1, 10ms to 20ms)\n"},
		{"resurrected", `
			write 1 at 10-20
			delete 2 at 30-40
			read 1 at 41-42
			final 0 at 90-91`, "resurrected: k1: read of version 1 (client 2, 41ms to 42ms), after the acknowledged delete of version 2 (client 1, 30ms to 40ms)\n" +
			"stale: k1: read of version 1 (client 2, 41ms to 42ms), after the acknowledged delete of version 2 (client 1, 30ms to 40ms)\n"},
		{"resurrected for good, over a newer write", `
			write 1 at 10-20
			delete 2 at 30-40
			write 3 at 50-60
			final 1 at 90-91`, "lost: k1: final read of version 1 (client 2, 90ms to 91ms), and the end of what was acknowledged is the write of version 3 (client 1, 50ms to 60ms)\n" +
			"resurrected: k1: final read of version 1 (client 2, 90ms to 91ms), after the acknowledged delete of version 2 (client 1, 30ms to 40ms)\n"},
		{"written again after a delete", `
			delete 1 at 30-40
			write 2 at 50-60
			read 2 at 55-56
			read 0 at 57-58
			final 2 at 90-91`, ""},
		{"invented", `
			write 1 at 10-20
			read 7 at 21-22
			final 1 at 90-91`, "invented: k1: read of version 7 (client 2, 21ms to 22ms), which nobody wrote\n"},
		{"of another key", `
			write 1 at 10-20
			read 4294967295 at 21-22
			final 1 at 90-91`, "invented: k1: read of a foreign value (client 2, 21ms to 22ms), which nobody wrote\n"},
		{"seen before it was written", `
			read 1 at 1-2
			write 1 at 10-20
			final 1 at 90-91`, "invented: k1: read of version 1 (client 2, 1ms to 2ms), which cannot be that of the write of version 1 (client 1, 10ms to 20ms)\n"},
		{"seen although it failed", `
			write 1 at 10-20 failed
			read 1 at 21-22
			final 0 at 90-91`, "invented: k1: read of version 1 (client 2, 21ms to 22ms), which cannot be that of the write of version 1, failed (client 1, 10ms to 20ms)\n"},
		{"the value of a delete", `
			delete 1 at 10-20
			read 1 at 21-22
			final 0 at 90-91`, "invented: k1: read of version 1 (client 2, 21ms to 22ms), which has no value: delete of version 1 (client 1, 10ms to 20ms)\n"},
		{"failed writes are none", `
			write 1 at 10-20
			write 2 at 30-40 failed
			delete 3 at 50-60 failed
			read 1 at 61-62
			final 1 at 90-91`, ""},
		{"failed reads say nothing", `
			write 1 at 10-20
			read 0 at 21-22 failed
			read 0 at 23-24 unknown
			final 1 at 90-91`, ""},
	} {
		t.Run(c.name, func(t *testing.T) { finds(t, c.history, c.want) })
	}
}

// TestUnknown: what nobody knows is neither held against a store, nor does it
// excuse anything else.
func TestUnknown(t *testing.T) {
	for _, c := range []struct{ name, history, want string }{
		{"it happened", "write 1 at 10-20 unknown\nread 1 at 21-22\nfinal 1 at 90-91", ""},
		{"it did not", "write 1 at 10-20 unknown\nread 0 at 21-22\nfinal 0 at 90-91", ""},
		{"it happens late", `
			write 1 at 10-20 unknown
			write 2 at 30-40
			read 2 at 41-42
			read 1 at 43-44
			final 1 at 90-91`, ""},
		{"it happened, and is overwritten", `
			write 1 at 10-20 unknown
			read 1 at 21-22
			write 2 at 30-40
			read 1 at 43-44
			final 2 at 90-91`, "stale: k1: read of version 1 (client 2, 43ms to 44ms), after the acknowledged write of version 2 (client 1, 30ms to 40ms)\n"},
		{"a delete happens late", `
			delete 1 at 10-20 unknown
			write 2 at 30-40
			read 0 at 41-42
			final 0 at 90-91`, ""},
		{"a delete that has not begun is no excuse", `
			write 1 at 10-20
			read 0 at 21-22
			delete 2 at 30-40 unknown
			final 0 at 90-91`, "stale: k1: read of nothing (client 2, 21ms to 22ms), after the acknowledged write of version 1 (client 1, 10ms to 20ms)\n"},
		{"it does not excuse what is older", `
			write 1 at 10-20
			write 2 at 30-40
			write 3 at 50-60 unknown
			read 1 at 61-62
			final 1 at 90-91`, "lost: k1: final read of version 1 (client 2, 90ms to 91ms), and the end of what was acknowledged is the write of version 2 (client 1, 30ms to 40ms)\n" +
			"stale: k1: read of version 1 (client 2, 61ms to 62ms), after the acknowledged write of version 2 (client 1, 30ms to 40ms)\n"},
		{"nor a loss", `
			write 1 at 10-20
			write 2 at 50-60 unknown
			final 0 at 90-91`, "lost: k1: final read of nothing (client 2, 90ms to 91ms), and the end of what was acknowledged is the write of version 1 (client 1, 10ms to 20ms)\n"},
		{"a delete that may have been resurrects nothing", `
			write 1 at 10-20
			delete 2 at 30-40 unknown
			read 0 at 41-42
			read 1 at 43-44
			final 1 at 90-91`, ""},
		{"one that was is no unknown write's", `
			write 1 at 10-20
			write 2 at 30-40 unknown
			delete 3 at 50-60
			read 2 at 61-62
			read 1 at 63-64
			final 0 at 90-91`, "resurrected: k1: read of version 1 (client 2, 63ms to 64ms), after the acknowledged delete of version 3 (client 1, 50ms to 60ms)\n" +
			"stale: k1: read of version 1 (client 2, 63ms to 64ms), after the acknowledged delete of version 3 (client 1, 50ms to 60ms)\n"},
	} {
		t.Run(c.name, func(t *testing.T) { finds(t, c.history, c.want) })
	}
}

// finds wants exactly these findings.
func finds(t *testing.T, text, want string) {
	t.Helper()
	r, err := parse(t, text)
	if err != nil {
		t.Fatal(err)
	}
	if got := findings(r); got != want {
		t.Errorf("found\n%s\nwant\n%s", got, want)
	}
}

// TestRules: a record whose versions prove nothing is refused.
func TestRules(t *testing.T) {
	for text, want := range map[string]string{
		"write 0 at 1-2":                        "no version to write",
		"write 2 at 1-2\nwrite 1 at 3-4":        "is not after",
		"write 1 at 1-2\ndelete 1 at 3-4":       "is not after",
		"write 1 at 1-9\nwrite 2 at 5-12":       "is not after",
		"write 1 at 1-9 unknown\nread 1 at 1-2": "",
	} {
		_, err := parse(t, text)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestPhases: an operation counts where it began, unless what happened on purpose
// while it was under way may be why it failed.
func TestPhases(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	phases := []history.Phase{{Name: "join", Planned: true, Begin: ms(0), End: ms(100)}, {Name: "kill", Begin: ms(100), End: ms(200)}, {Name: "leave", Planned: true, Begin: ms(250), End: ms(400)}}
	var ops []history.Op
	for i, line := range []string{
		"write 1 at 10-20", "write 1 at 30-90", "write 1 at 50-60 failed", // join
		"write 1 at 90-110 failed", "write 1 at 150-300 unknown", "write 1 at 150-151 unknown", // kill
		"read 0 at 220-230 failed", // between
		"read 1 at 250-260",        // leave
	} {
		o := op(t, line)
		o.Key = history.Key(i)
		ops = append(ops, o)
	}
	r, err := history.NewRecord(ops, phases...)
	if err != nil {
		t.Fatal(err)
	}
	stale := history.Finding{What: "stale", Read: op(t, "read 1 at 300-301")}
	want := strings.Join([]string{
		"join:                              3 ops, 1 failed, 0 unknown, 0 stale, 0 resurrected, 0 invented, p50 10ms, p99 60ms, max 60ms",
		"kill:                              3 ops, 1 failed, 2 unknown, 0 stale, 0 resurrected, 0 invented, p50 20ms, p99 150ms, max 150ms",
		"leave:                             1 ops, 0 failed, 0 unknown, 1 stale, 0 resurrected, 0 invented, p50 10ms, p99 10ms, max 10ms",
		"between phases:                    1 ops, 1 failed, 0 unknown, 0 stale, 0 resurrected, 0 invented, p50 10ms, p99 10ms, max 10ms",
	}, "\n") + "\n"
	if got := history.Table(history.Summarise(r, stale)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	var failures strings.Builder
	for _, f := range history.Failures(r) {
		failures.WriteString(f.String() + "\n")
	}
	want = `join: 1 × write failed, first k2: write of version 1, failed (client 1, 50ms to 60ms): no reason given
kill: 1 × write failed, first k3: write of version 1, failed (client 1, 90ms to 110ms): no reason given
kill: 2 × write unknown, first k4: write of version 1, unknown (client 1, 150ms to 300ms): no reason given
between phases: 1 × read failed, first k6: read, failed (client 2, 220ms to 230ms): no reason given
`
	if failures.String() != want {
		t.Errorf("got\n%s\nwant\n%s", failures.String(), want)
	}
}

// TestRecorder: many clients record at once, in phases and with reasons.
func TestRecorder(t *testing.T) {
	h := history.New()
	var clients sync.WaitGroup
	h.Enter("first", true)
	for client := range uint16(8) {
		clients.Go(func() {
			for v := range history.Version(100) {
				o := history.Op{Key: history.Key(client), Version: v + 1, Client: client, Begin: h.Now()}
				o.End = h.Now()
				h.Add(o, nil)
			}
		})
	}
	clients.Wait()
	h.Enter("second", false)
	h.Add(history.Op{Kind: history.Read, Outcome: history.Failed, Begin: h.Now(), End: h.Now()}, errors.New("the wire is cut"))
	h.Leave()
	r, err := h.Record()
	if err != nil {
		t.Fatal(err)
	}
	sums := history.Summarise(r)
	if len(sums) != 2 || sums[0].Ops != 800 || sums[1].Ops != 1 || sums[1].Failed != 1 {
		t.Errorf("got %v", sums)
	}
	if f := history.Failures(r); len(f) != 1 || f[0].Why != "the wire is cut" || f[0].Phase.Name != "second" {
		t.Errorf("got %v", f)
	}
}
