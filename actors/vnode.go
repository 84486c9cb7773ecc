package actors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/handoff"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// reopenAfter is the pause between attempts to open a vnode that fails to open.
// Commands go to a fallback meanwhile; the pause keeps the attempts from
// costing more than the commands.
const reopenAfter = time.Second

// vnode is the actor that serves one partition of one service on this node. It
// stands behind a vnodeProxy, which owns its address.
type vnode struct {
	node      *Node
	service   *Service
	partition ring.Partition

	proxy   *vnodeProxy
	mailbox *mailbox

	// standing is what the vnode is to its partition, and outgoing the transfer
	// that wants to know of its writes; nil if there is none.
	standing handoff.Standing
	outgoing *outgoing
	giving   *outgoing // has brought all to the new owner, which has yet to say that it serves; or nil
	retired  bool      // it has dropped its items, and ends

	executed atomic.Uint64 // how many commands

	// state is the user's vnode; nil before Started, and if opening it failed.
	state handoff.Stateful
	// openErr is why state is nil, and triedAt when it was found out.
	openErr error
	triedAt time.Time
	// stopped is closed when the actor has ended and the state is closed.
	stopped chan struct{}
}

var _ actor.Actor = (*vnode)(nil)

// Receive takes one message. Nothing that a user's code does gets out of it:
// a panic is the failure of one command, and the state stays as it is.
func (v *vnode) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *command:
		v.take(m, ctx.Sender())
	case *visit:
		m.perform(v)
	case *actor.Started:
		v.open()
	case *actor.Stopped:
		v.close()
	}
}

// take executes a command and replies, unless a transfer replies later.
func (v *vnode) take(c *command, sender *actor.PID) {
	v.executed.Add(1)
	reply, ran := v.execute(c)
	if ran && c.method.Kind == coordinator.Write && !v.service.Stateless && v.wrote(c, heldReply{to: sender, reply: reply}) {
		return
	}
	v.node.reply(sender, &reply)
}

// execute runs a command's handler, unless it is too late or not for this vnode,
// and makes the reply. It says whether the handler ran.
func (v *vnode) execute(c *command) (reply Reply, ran bool) {
	if v.state == nil && time.Since(v.triedAt) >= reopenAfter {
		v.open()
	}
	if v.state == nil {
		return v.refuse(transportpb.Code_CODE_UNAVAILABLE, v.openErr.Error()), false
	}
	now := time.Now()
	if !now.Before(c.deadline) {
		return v.refuse(transportpb.Code_CODE_EXPIRED, ""), false
	}
	if code := v.admit(c, now); code != transportpb.Code_CODE_OK {
		return v.refuse(code, ""), false
	}
	message, err := v.handle(c)
	if err != nil {
		reply = v.refuse(failureCode(err), err.Error())
	} else {
		reply = v.answer(transportpb.Code_CODE_OK, message, "")
	}
	reply.Behind = v.behind(c)
	return reply, true
}

// behind says whether a read may have missed a write that a fallback holds.
func (v *vnode) behind(c *command) bool {
	return v.service.reads(c.method) && v.standing.Owner() && v.proxy.behind.Load()
}

// admit has the vnode's standing decide on a command. A node that was stopped, and
// has yet to hear from the others, answers no reads: it may even have been given up,
// and its partitions have other owners.
func (v *vnode) admit(c *command, now time.Time) transportpb.Code {
	switch {
	case v.retired:
		return transportpb.Code_CODE_STOPPING
	case v.node.heartbeat.stopped(now) && v.service.reads(c.method) && v.standing.Owner():
		return transportpb.Code_CODE_RECOVERING
	case v.standing.Whole():
		return transportpb.Code_CODE_OK // the common case
	}
	return admissionCodes[v.standing.Admit(v.service.reads(c.method), c.key(), c.fallback)]
}

// handle calls the user's handler.
func (v *vnode) handle(c *command) (reply proto.Message, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = v.panicked(c, r)
		}
	}()
	return c.method.Handle(v.state, &c.requestContext, c.message)
}

// panicked records a handler's panic and turns it into the request's error.
// The key is logged as its hash: keys may be secret.
func (v *vnode) panicked(c *command, reason any) error {
	v.node.meters[c.method].panics.Inc()
	v.node.logger.Error("handler panicked", "service", v.service.Name, "command", c.method.Name,
		"partition", v.partition, "key_hash", keyHash(c.message), "panic", fmt.Sprint(reason), "stack", string(debug.Stack()))
	return &vnodeError{transportpb.Code_CODE_PANIC, fmt.Sprint(reason)}
}

// failureCode finds the code for what handle returned.
func failureCode(err error) transportpb.Code {
	if v, ok := errors.AsType[*vnodeError](err); ok {
		return v.code // of a panic
	}
	return codeOf(err)
}

func (v *vnode) refuse(code transportpb.Code, text string) Reply {
	return v.answer(code, nil, text)
}

func (v *vnode) answer(code transportpb.Code, message proto.Message, text string) Reply {
	return Reply{
		Partition: v.partition,
		Node:      v.node.name,
		Code:      code,
		Message:   message,
		Text:      text,
		Epoch:     v.node.epoch(),
	}
}

// open makes the user's vnode. Commands wait in the mailbox meanwhile.
func (v *vnode) open() {
	defer func() {
		if r := recover(); r != nil {
			v.openErr = fmt.Errorf("open panicked: %v", r)
			v.node.logger.Error("opening a vnode panicked", "service", v.service.Name,
				"partition", v.partition, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	v.triedAt = time.Now()
	v.state, v.openErr = v.service.Open(context.Background(), Host{
		Service:   v.service.Name,
		Partition: v.partition,
		Node:      v.node.name,
		Logger:    v.node.logger.With("service", v.service.Name, "partition", v.partition),
		node:      v.node,
	})
	v.mailbox.setOpen(v.openErr == nil)
	if v.openErr != nil {
		v.state = nil
		v.node.logger.Error("cannot open a vnode", "service", v.service.Name, "partition", v.partition, "error", v.openErr)
	}
}

// close ends the user's vnode, if it wants to know.
func (v *vnode) close() {
	defer close(v.stopped)
	closer, ok := v.state.(io.Closer)
	if !ok {
		return
	}
	if err := closer.Close(); err != nil {
		v.node.logger.Error("closing a vnode", "service", v.service.Name, "partition", v.partition, "error", err)
	}
}
