package actors

import (
	"context"
	"log/slog"
)

// quietHandler passes records on at debug level. Proto.Actor reports at error
// level what is everyday for a node, such as a peer that restarts; what matters
// of it is logged here, in this project's words.
type quietHandler struct{ next slog.Handler }

func quiet(l *slog.Logger) *slog.Logger { return slog.New(quietHandler{l.Handler()}) }

// Enabled looks at debug level alone.
func (h quietHandler) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.next.Enabled(ctx, slog.LevelDebug)
}

// Handle passes a record on.
func (h quietHandler) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return h.next.Handle(ctx, r)
}

// WithAttrs keeps the level of what is derived.
func (h quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietHandler{h.next.WithAttrs(attrs)}
}

// WithGroup keeps the level of what is derived.
func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.next.WithGroup(name)}
}
