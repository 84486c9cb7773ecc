package sim

import (
	"fmt"
	"io"
)

// trace writes a line for each event: when, where, what.
type trace struct {
	out io.Writer
	err error // of the first line that could not be written
}

func (w *World) tracef(where, what, format string, args ...any) {
	if w.trace == nil {
		return
	}
	if w.trace.err != nil {
		return
	}
	_, w.trace.err = fmt.Fprintf(w.trace.out, "%10.4f  %-4s %-10s %s\n", w.now.Seconds(), where, what, fmt.Sprintf(format, args...))
}

func (n *node) tracef(what, format string, args ...any) {
	if n.w.trace != nil {
		n.w.tracef(string(n.name), what, format, args...)
	}
}
