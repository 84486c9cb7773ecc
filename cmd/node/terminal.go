package main

import (
	"os"
	"strings"

	"golang.org/x/term"
)

// What a terminal is told (ECMA-48: CUP, ED, EL; DEC: DECAWM).
const (
	home       = "\x1b[H"
	clearBelow = "\x1b[J"
	clearRest  = "\x1b[K" // of the line
	clearLine  = "\r" + clearRest
	noWrap     = "\x1b[?7l" // lines that are too long are cut
	wrap       = "\x1b[?7h"
)

// isTerminal says whether a person looks at what is written to w.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// terminalSize returns how many characters and lines a terminal shows, or 0 and 0
// if w is none.
func terminalSize(w any) (width, height int) {
	f, ok := w.(*os.File)
	if !ok {
		return 0, 0
	}
	width, height, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0, 0
	}
	return width, height
}

// frame draws a text over what a terminal shows, without a blank in between. Lines
// that are too long are cut, so that the height is what it was meant to be.
func frame(text string) string {
	return noWrap + home + strings.ReplaceAll(text, "\n", clearRest+"\n") + clearBelow + wrap
}
