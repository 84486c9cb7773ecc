package torc

import (
	"github.com/torc-io/torc/actors"
	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/membership"
)

// Sentinels for errors.Is. They hold no matter on which machine the cause arose.
var (
	// ErrNotFound: there is nothing under the key. Handlers return it.
	ErrNotFound = actors.ErrNotFound
	// ErrInvalid: the command, its key or its quorum cannot be executed as they
	// are. Nothing was sent, or the handler said so.
	ErrInvalid = actors.ErrInvalid
	// ErrQuorum: N, R or W could not be met in any state of the cluster. It comes
	// with ErrInvalid.
	ErrQuorum = coordinator.ErrQuorum
	// ErrFailed: the handler returned an error of its own.
	ErrFailed = actors.ErrFailed
	// ErrPanic: the handler panicked.
	ErrPanic = actors.ErrPanic
	// ErrOutOfTime: the handler gave up at the deadline.
	ErrOutOfTime = actors.ErrOutOfTime
	// ErrOverloaded: a mailbox, a link or the node is full; nothing was
	// executed there. Try again after a pause.
	ErrOverloaded = actors.ErrOverloaded
	// ErrExpired: a command waited past its deadline, and was not executed.
	ErrExpired = actors.ErrExpired
	// ErrNoReply: no answer arrived in time.
	ErrNoReply = actors.ErrNoReply
	// ErrLost: the node went away after the command was sent to it.
	ErrLost = actors.ErrLost
	// ErrUnreachable: there was no reachable node to send to.
	ErrUnreachable = actors.ErrUnreachable
	// ErrNotOwner: a node was asked for a partition that it does not serve.
	ErrNotOwner = actors.ErrNotOwner
	// ErrUnavailable: a vnode could not be opened.
	ErrUnavailable = actors.ErrUnavailable
	// ErrRecovering: a vnode lacks items that its replicas are bringing back, and
	// answers no reads until it has them.
	ErrRecovering = actors.ErrRecovering
	// ErrStopping: the node is shutting down.
	ErrStopping = actors.ErrStopping
	// ErrUnknownService: the node does not run the service.
	ErrUnknownService = actors.ErrUnknownService
	// ErrUnknownCommand: the service does not have the command.
	ErrUnknownCommand = actors.ErrUnknownCommand
	// ErrTooLarge: a message is over [MaxMessageBytes].
	ErrTooLarge = actors.ErrTooLarge
	// ErrStalePlan: the ring has changed since the plan was made.
	ErrStalePlan = actors.ErrStalePlan
	// ErrNameTaken: another running node has this node's name.
	ErrNameTaken = membership.ErrNameTaken
)

// MaxMessageBytes bounds an encoded command and an encoded reply.
const MaxMessageBytes = actors.MaxMessageBytes

// QuorumError says that too few replicas answered: how many were needed, how
// many came, what each of the others had against it, and whether a write may
// have left a trace. errors.Is sees the causes.
type QuorumError = coordinator.QuorumError

// What a [QuorumError] says of a request's effect.
const (
	// OutcomeFailed: no replica executed the command.
	OutcomeFailed = coordinator.Failed
	// OutcomeUnknown: a write was executed, or may have been, by some replica.
	OutcomeUnknown = coordinator.Unknown
)
