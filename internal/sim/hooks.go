package sim

import (
	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/handoff"
)

// hooks are where tests make the drivers wrong on purpose, to see that a checker
// notices. The zero value is right.
type hooks struct {
	skipDirtyKey   func(key string) bool
	dropEarly      bool
	countTwice     func(*request, *reply) (position int, counted bool, step coordinator.Step)
	serveAnyway    func(handoff.Route, handoff.Call, handoff.Place) handoff.Route
	forgetFallback bool
	answerAnyway   bool // a read while recovering
	wrongCursor    func(next uint64) uint64
	loseHints      bool // when a hinted transfer ends early
	blindClaimant  bool // publishes without a look at what it replaces
	staleDone      bool // takes the end of one connection for that of all repairs from its node
}

func (h *hooks) skipDirty(key string) bool { return h.skipDirtyKey != nil && h.skipDirtyKey(key) }

func (h *hooks) noteFallback() bool { return !h.forgetFallback }

func (h *hooks) cursor(next uint64) uint64 {
	if h.wrongCursor == nil {
		return next
	}
	return h.wrongCursor(next)
}

func (h *hooks) route(r handoff.Route, c handoff.Call, p handoff.Place) handoff.Route {
	if h.serveAnyway == nil {
		return r
	}
	return h.serveAnyway(r, c, p)
}

func (h *hooks) admit(a handoff.Admission) handoff.Admission {
	switch {
	case h.answerAnyway && a == handoff.Incomplete:
		return handoff.Serve
	case h.serveAnyway != nil && a == handoff.NotOwner:
		return handoff.Serve
	}
	return a
}
