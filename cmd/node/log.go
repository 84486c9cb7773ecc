package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// logLevel is a level as a flag.
type logLevel struct{ slog.Level }

// Set reads the name of a level.
func (l *logLevel) Set(text string) error {
	if err := l.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("%q is none of debug, info, warn, error", text)
	}
	return nil
}

// String returns its name.
func (l *logLevel) String() string { return strings.ToLower(l.Level.String()) }

// Type is how usage calls it.
func (l *logLevel) Type() string { return "level" }

// newLogger returns a logger to w: text for a person at a terminal, JSON for
// whatever else collects logs.
func newLogger(w io.Writer, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
