package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// TestTelnetInPieces: commands disappear, wherever the network cuts them.
func TestTelnetInPieces(t *testing.T) {
	stream := "a\xff\xfb\x01b\xff\xfa\x18\x00vt100\xff\xff\xff\xf0c\xff\xf1d\n" +
		"\xff\xff\n\xff\xfe\n\n" + strings.Repeat("x", maxLineBytes) + "\n" + strings.Repeat("y", maxLineBytes+1)
	want := []string{"abcd", "\xff", "", strings.Repeat("x", maxLineBytes)}
	for how, from := range map[string]io.Reader{
		"whole":  strings.NewReader(stream),
		"bytes":  iotest.OneByteReader(strings.NewReader(stream)),
		"halves": iotest.HalfReader(strings.NewReader(stream)),
		"end":    iotest.DataErrReader(strings.NewReader(stream)),
	} {
		in := &input{from: from}
		var got []string
		var err error
		for err == nil {
			var line string
			if line, err = in.line(); err == nil {
				got = append(got, line)
			}
		}
		if !slices.Equal(got, want) || !errors.Is(err, errLineTooLong) {
			t.Errorf("%s: %q, %v", how, got, err)
		}
	}
}

// FuzzClean: nothing that a terminal would obey is left of anything.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{"hi", "\x1b[31mred", "\x1b]0;x\x1b\\y", "\u009b1m", "\x1b", "\x1b\x1b[", "\xff\xfe", "\u202e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := clean(text)
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 || strings.ContainsRune("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", r) {
				t.Errorf("%q becomes %q", text, got)
			}
		}
		if clean(got) != got {
			t.Errorf("%q becomes %q, and that %q", text, got, clean(got))
		}
	})
}

func TestShop(t *testing.T) {
	var s shop
	for _, step := range []struct{ line, want string }{
		{"a", ""},
		{"enter", "where do you want to go?\n  a: Stockholm\n  b: Krakow\n"},
		{"y", ""},
		{"ab", ""},
		{"", ""},
		{"b", "which hotel in Krakow?\n  a: Dragon Inn\n  b: Hotel Wawel\n"},
		{"b", "Hotel Wawel is 85 a night. book it? (y/n)\n"},
		{"a", ""},
		{"n", "ok, another time\n"},
		{"n", ""},
		{"enter", "where do you want to go?\n  a: Stockholm\n  b: Krakow\n"},
		{"a", "which hotel in Stockholm?\n  a: Hotel Mnesia\n  b: The Old Switch\n"},
		{"enter", "where do you want to go?\n  a: Stockholm\n  b: Krakow\n"},
	} {
		got, ok := s.hear(step.line)
		if step.line == "enter" {
			got, ok = s.enter(), true
		}
		if got != step.want || ok != (step.want != "") {
			t.Errorf("%q is answered with %q, want %q", step.line, got, step.want)
		}
	}
}
