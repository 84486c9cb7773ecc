package actors

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	"github.com/torc-io/torc/ring"
)

// HandoffPeer is where a node takes handoffs, and who must be there.
type HandoffPeer struct {
	Name    ring.NodeName
	Address string // what the peer's Transport.HandoffAddress returned
}

// HandoffOut is the sender's end of the stream of one transfer. Send blocks
// while the receiver does not keep up. One goroutine may call Send and another
// Recv at the same time. It ends with the context that it was opened with, and
// Recv then returns an error; so end that context in any case.
//
// If the receiver ends it, Recv returns what was answered before, and then the
// text of the handler's error, or io.EOF if that was nil. Send only says that it
// ended. A receiver that does not know the sender as a member may say so either
// when the stream is opened or at the first Recv. ErrUnreachable is for a connection that broke. A frame that is too
// large is ErrTooLarge, and the stream goes on.
type HandoffOut interface {
	Send(*handoffpb.Frame) error
	Recv() (*handoffpb.Answer, error)
}

// HandoffIn is the receiver's end. It ends when its handler returns, and with the
// handler's context, which the sender ends.
type HandoffIn interface {
	Recv() (*handoffpb.Frame, error)
	Send(*handoffpb.Answer) error
}

// maxHandoffFrameBytes bounds a frame: a chunk with one item of the largest
// size, and room for what stands around it.
const maxHandoffFrameBytes = 2*MaxMessageBytes + 64<<10

// vetHandoff refuses a frame or an answer that the other end would not take.
func vetHandoff(to string, msg proto.Message) error {
	if size := proto.Size(msg); size > maxHandoffFrameBytes {
		return fmt.Errorf("actors: handoff with %s: %w: %T of %d bytes, the limit is %d; send smaller chunks",
			to, ErrTooLarge, msg, size, maxHandoffFrameBytes)
	}
	return nil
}
