package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/internal/failure"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
)

// call is one command on its way to one node after the other. It belongs to the
// goroutine of its caller.
type call struct {
	asked  *torcpb.ExecuteRequest
	writes bool
	token  string
	failed []mishap
}

// mishap is how an attempt failed.
type mishap struct {
	err     error
	receipt torc.Receipt
	// answered says that it is the answer of a node, and not the lack of one.
	answered bool
	// again says that another node may be asked.
	again bool
	// absent says that the node is better left alone for a while.
	absent bool
}

// run tries the nodes until one of them answers, or trying another is not safe.
func (c *call) run(ctx context.Context, p *pool) (*torcpb.ExecuteResponse, *mishap) {
	nodes, err := p.order(ctx)
	if err != nil {
		return nil, &mishap{err: err}
	}
	for i, n := range nodes {
		answer, m := c.attempt(ctx, n, i == len(nodes)-1)
		if m == nil {
			n.appear()
			return answer, nil
		}
		if m.absent {
			n.vanish()
		} else if m.answered {
			n.appear()
		}
		c.failed = append(c.failed, *m)
		if !m.again || ctx.Err() != nil {
			break
		}
	}
	return nil, c.failure(p)
}

// failure is what became of a call whose attempts failed: the last answer that a
// node gave, or else why none did.
func (c *call) failure(p *pool) *mishap {
	for _, m := range slices.Backward(c.failed) {
		if m.answered {
			return &m
		}
	}
	p.doubt()
	if len(c.failed) == 1 {
		return &c.failed[0]
	}
	return &mishap{err: silence(c.failed)}
}

// silence is the error of a call that no node has answered.
type silence []mishap

// Error names every attempt.
func (s silence) Error() string {
	texts := make([]string, len(s))
	for i, m := range s {
		texts[i] = m.err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the errors of all attempts.
func (s silence) Unwrap() []error {
	errs := make([]error, len(s))
	for i, m := range s {
		errs[i] = m.err
	}
	return errs
}

// attempt asks one node. A read that could go on to another gets half of the
// time: a node that hangs must not cost the request.
func (c *call) attempt(ctx context.Context, n *node, last bool) (*torcpb.ExecuteResponse, *mishap) {
	deadline, _ := ctx.Deadline()
	left := time.Until(deadline)
	if !c.writes && !last {
		left /= 2
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	var t trace
	answer, err := n.service.Execute(c.header(announce(t.on(ctx), left)), c.asked)
	if err == nil {
		return answer, nil
	}
	m := c.judge(ctx, err, &t)
	if !m.answered {
		m.err = fmt.Errorf("client: %s: %w", n.address, m.err)
	}
	return nil, &m
}

// header adds what the request carries beside the command.
func (c *call) header(ctx context.Context) context.Context {
	if c.token == "" {
		return ctx
	}
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set("Authorization", "Bearer "+c.token)
	return ctx
}

// judge says what an attempt's error means. The rules are those of the package
// comment.
func (c *call) judge(ctx context.Context, err error, t *trace) mishap {
	if said, outcome := failure.Decode(err); said != nil {
		var receipt torcpb.Receipt
		failure.Detail(err, &receipt)
		return mishap{
			err: said, receipt: decodeReceipt(&receipt),
			answered: true, absent: errors.Is(said, torc.ErrStopping) && !isQuorum(said),
			again: outcome == torcpb.Outcome_OUTCOME_FAILED && transient(connect.CodeOf(err)),
		}
	}
	cause := context.Cause(ctx)
	switch {
	case t.nothingSent(err):
		return mishap{err: fmt.Errorf("%w: %w", torc.ErrUnreachable, err), again: true, absent: true}
	case errors.Is(cause, context.DeadlineExceeded):
		return mishap{err: fmt.Errorf("%w: %w", torc.ErrNoReply, cause), again: !c.writes, absent: true}
	case cause != nil:
		return mishap{err: fmt.Errorf("no longer waiting, outcome unknown: %w", cause)}
	case barred(err):
		return mishap{err: err}
	}
	return mishap{err: fmt.Errorf("%w: %w", torc.ErrLost, err), again: !c.writes, absent: true}
}

func isQuorum(err error) bool {
	_, short := errors.AsType[*torc.QuorumError](err)
	return short
}

// transient says of an answer that another node may have a better one.
func transient(code connect.Code) bool {
	return code == connect.CodeUnavailable || code == connect.CodeResourceExhausted || code == connect.CodeDeadlineExceeded
}

// barred says that whoever stands before the node lets this client not through.
// The others will not either.
func barred(err error) bool {
	code := connect.CodeOf(err)
	return code == connect.CodeUnauthenticated || code == connect.CodePermissionDenied
}

// The time that an answer takes on its way is kept back: a tenth of what there
// is, but no more than this. A node that answers at the deadline can still say
// why, and the caller does not wait beyond it.
const maxWay = 100 * time.Millisecond

// announced is a context that tells the node an earlier deadline than it has.
type announced struct {
	context.Context

	deadline time.Time
}

func announce(ctx context.Context, left time.Duration) context.Context {
	deadline, _ := ctx.Deadline()
	return announced{ctx, deadline.Add(-min(left/10, maxWay))}
}

// Deadline is what the headers of a request are made of.
func (a announced) Deadline() (time.Time, bool) { return a.deadline, true }

// trace watches how far a request got.
type trace struct{ sought, got atomic.Bool }

// on returns a context in which the transport tells the trace. A transport that
// looks for another connection knows that the request has not been processed:
// by a server that is shutting down, over one that had just been closed.
func (t *trace) on(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) {
			t.sought.Store(true)
			t.got.Store(false)
		},
		GotConn: func(httptrace.GotConnInfo) { t.got.Store(true) },
	})
}

// nothingSent says that the request ended without a connection. A transport
// that tells no trace is believed only if it says that it could not connect.
func (t *trace) nothingSent(err error) bool {
	if t.sought.Load() {
		return !t.got.Load()
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
