package doctest_test

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/doctest"
)

// program is one that runs in a terminal.
type program struct {
	input     io.Writer
	interrupt func()
	output    *transcript
	ended     chan struct{}
	read      int // how much of its output the page has come to
}

// looks is what a reader types now and then, until the cluster is as the page has
// it.
const looks = "members"

// await waits until the program has printed what the page says.
func (p *program) await(t *testing.T, s doctest.Step, printed func(string) bool) {
	t.Helper()
	deadline := time.After(patience)
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for !printed(p.output.String()[p.read:]) {
		select {
		case <-p.output.said:
		case <-again.C:
			if s.Typed == looks {
				_, _ = io.WriteString(p.input, looks+"\n")
			}
		case <-p.ended:
			if !printed(p.output.String()[p.read:]) {
				t.Fatalf("line %d: %s%s ended:\n%s", s.Line, s.Command, s.Typed, p.output)
			}
			return
		case <-deadline:
			t.Fatalf("line %d: %s%s has not printed what the page says, but\n%s", s.Line, s.Command, s.Typed, p.output)
		}
	}
}

// obey does with the program what the page says.
func (p *program) obey(t *testing.T, s doctest.Step) {
	t.Helper()
	if s.Interrupts {
		p.interrupt()
		<-p.ended
		return
	}
	if s.Typed != "" {
		p.await(t, s, func(string) bool { return strings.HasSuffix(p.output.String(), "> ") })
		p.read = len(p.output.String())
		_, _ = io.WriteString(p.input, s.Typed+"\n") // where it has ended, await says so
	}
	p.await(t, s, func(printed string) bool {
		at := s.Find(printed)
		if at < 0 {
			return p.saidLast(s, printed)
		}
		p.read += at
		return true
	})
}

// saidLast says whether a typed line ended the program, as the page has it.
func (p *program) saidLast(s doctest.Step, printed string) bool {
	select {
	case <-p.ended:
		return !s.Awaits && s.Matches(strings.TrimSuffix(printed, "> "))
	default:
		return false
	}
}

// transcript collects what a running command prints, and tells of each piece.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
	said chan struct{}
}

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.said <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
