package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode"
)

// maxLineBytes bounds what a client may say at once.
const maxLineBytes = 1024

var errLineTooLong = errors.New("line too long")

// input reads a client's lines, without what telnet says about the terminal.
type input struct {
	from   io.Reader
	telnet telnet
	buffer [4096]byte
	bytes  []byte // read and filtered, not yet returned
}

// line returns the next line, without its end.
func (in *input) line() (string, error) {
	for searched := 0; ; {
		if at := bytes.IndexByte(in.bytes[searched:], '\n'); at >= 0 {
			line := string(in.bytes[:searched+at])
			in.bytes = in.bytes[searched+at+1:]
			if len(line) > maxLineBytes {
				return "", errLineTooLong
			}
			return line, nil
		}
		if searched = len(in.bytes); searched > maxLineBytes {
			return "", errLineTooLong
		}
		n, err := in.from.Read(in.buffer[:])
		in.bytes = in.telnet.filter(in.bytes, in.buffer[:n])
		if err != nil && n == 0 {
			return "", err
		}
	}
}

// Bytes of the telnet protocol (RFC 854).
const (
	telnetSE   = 240 // ends what SB begins
	telnetSB   = 250
	telnetWILL = 251 // and WONT, DO and DONT: an option follows
	telnetIAC  = 255 // begins a command
)

// telnet removes telnet commands. Its value is where in a command it is, for one
// may arrive in pieces.
type telnet int

const (
	inData telnet = iota
	inCommand
	inOption
	inSubnegotiation
	inSubnegotiationCommand
)

// filter appends what is data in from.
func (t *telnet) filter(to, from []byte) []byte {
	for _, b := range from {
		if *t == inData && b != telnetIAC || *t == inCommand && b == telnetIAC {
			to = append(to, b)
		}
		*t = t.next(b)
	}
	return to
}

func (t *telnet) next(b byte) telnet {
	switch {
	case *t == inData && b == telnetIAC:
		return inCommand
	case *t == inCommand && b == telnetSB, *t == inSubnegotiation && b != telnetIAC, *t == inSubnegotiationCommand && b != telnetSE:
		return inSubnegotiation
	case *t == inSubnegotiation:
		return inSubnegotiationCommand
	case *t == inCommand && b >= telnetWILL && b != telnetIAC:
		return inOption
	}
	return inData
}

// clean makes text that is safe to show on somebody's terminal: no escape
// sequences, no control characters, nothing that turns the direction of writing,
// and UTF-8 throughout.
func clean(text string) string {
	text = withoutEscapes(strings.ToValidUTF8(text, "\uFFFD"))
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
			return -1
		}
		return r
	}, text))
}

// withoutEscapes removes terminal sequences (ECMA-48) whole, so that nothing of
// them remains as text: CSI up to its final byte, a string such as OSC up to its
// end, and the character after any other escape.
func withoutEscapes(text string) string {
	var b strings.Builder
	for text != "" {
		at := strings.IndexAny(text, "\x1b\u009b\u0090\u0098\u009d\u009e\u009f")
		if at < 0 {
			b.WriteString(text)
			break
		}
		b.WriteString(text[:at])
		text = afterEscape([]rune(text[at:]))
	}
	return b.String()
}

// afterEscape returns what follows the sequence that text begins with.
func afterEscape(text []rune) string {
	kind, rest := text[0], text[1:]
	if kind == '\x1b' {
		if len(rest) == 0 {
			return ""
		}
		kind, rest = rest[0]+0x40, rest[1:] // ESC [ is the seven-bit form of 0x9b
	}
	switch kind {
	case 0x9b:
		return after(rest, func(r rune) bool { return r >= 0x40 && r <= 0x7e })
	case 0x90, 0x98, 0x9d, 0x9e, 0x9f:
		return strings.TrimPrefix(after(rest, func(r rune) bool { return r == '\a' || r == 0x9c || r == '\x1b' }), "\\")
	}
	return string(rest)
}

func after(text []rune, ends func(rune) bool) string {
	for i, r := range text {
		if ends(r) {
			return string(text[i+1:])
		}
	}
	return ""
}

// maxNameRunes bounds the names of users and rooms.
const maxNameRunes = 32

// isName says whether a word may name a user or a room: letters and digits of any
// script, and a few signs.
func isName(word string) bool {
	length := 0
	for _, r := range word {
		length++
		if !unicode.In(r, unicode.L, unicode.M, unicode.N) && !strings.ContainsRune("-_.", r) {
			return false
		}
	}
	return length > 0 && length <= maxNameRunes
}
