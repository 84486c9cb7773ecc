package actors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

// What [TCP] sends. Whoever makes a connection says hello, and then sends frames.
// The other end greets, and then says nothing but texts: an empty one when it has
// accepted us, and one more when it has not, or ends the connection for a reason.
//
//	greeting  "torc" version(1)
//	hello     greeting text: the address of the node
//	text      length(2) text
//	frame     length(4) kind(1) the rest
//	  naming  0 number(2) length(2) address id
//	  message kind target(2) request(4) sender(2) request(4) the message in protobuf
//
// A naming gives a process a number, by which the messages after it call it. In a
// message, the sender 0 is nobody. All numbers are big-endian.
const (
	// tcpVersion grows when an older node would misunderstand a newer one. A kind
	// of message that it does not know it drops, for which no version is needed.
	tcpVersion = 1

	// tcpProtocol is the same in a handshake of TLS, so that the two sides know of
	// it before they talk past each other.
	tcpProtocol = "torc/1"

	greetingBytes = len(tcpMagic) + 1
	lengthBytes   = 4
	headerBytesOf = 1 + 2 + 4 + 2 + 4 // of a message

	// maxNamed bounds the numbers of a connection: a thousand partitions of four
	// services. A sender that has more to name begins again with the first.
	maxNamed = 4096

	// maxTCPFrame bounds a frame by its largest message.
	maxTCPFrame = headerBytesOf + maxWireBytes

	// readBytes is what a connection reads at a time, and what its buffer grows
	// from. It doubles with what has come, not with what is announced.
	readBytes = 64 << 10
)

const tcpMagic = "torc"

// The kinds of frames. They are numbers on the wire: none is ever used for
// something else.
const (
	kindNaming = iota
	kindCommand
	kindReply
	kindHeartbeat
	kindHeartbeatAck
	kindRepairRequest
	kindPush
	kindGone
)

// kinds are the messages by kind.
var kinds = [...]protoreflect.MessageType{
	kindCommand:       (*transportpb.Command)(nil).ProtoReflect().Type(),
	kindReply:         (*transportpb.Reply)(nil).ProtoReflect().Type(),
	kindHeartbeat:     (*transportpb.Heartbeat)(nil).ProtoReflect().Type(),
	kindHeartbeatAck:  (*transportpb.HeartbeatAck)(nil).ProtoReflect().Type(),
	kindRepairRequest: (*transportpb.RepairRequest)(nil).ProtoReflect().Type(),
	kindPush:          (*transportpb.Push)(nil).ProtoReflect().Type(),
	kindGone:          (*transportpb.Gone)(nil).ProtoReflect().Type(),
}

// kindOf returns the kind of a message of wireTypes.
func kindOf(msg proto.Message) byte {
	switch msg.(type) {
	case *transportpb.Command:
		return kindCommand
	case *transportpb.Reply:
		return kindReply
	}
	for kind, t := range kinds {
		if t != nil && t.Descriptor() == msg.ProtoReflect().Descriptor() {
			return byte(kind)
		}
	}
	return kindNaming // it was vetted, so this cannot be
}

// frameEncoder makes the frames of one connection, and keeps them in packets of
// which each is one write.
type frameEncoder struct {
	packet // the last, to which frames are added

	full    []packet // before it
	numbers map[pidKey]uint16
}

// packet is some frames that are written at once, with the messages among them.
type packet struct {
	data            []byte
	messages, bytes int
}

func newFrameEncoder() *frameEncoder { return &frameEncoder{numbers: make(map[pidKey]uint16)} }

// take returns the first packet, and whether there are more. The buffer of one that
// was sent before is then used again.
func (e *frameEncoder) take(sent packet) (first packet, more bool) {
	switch {
	case len(e.full) > 0:
		first, e.full = e.full[0], e.full[1:]
		return first, true
	case len(e.data) > 0:
		first, e.packet = e.packet, packet{}
		if cap(sent.data) <= 2*writeBytes { // larger is one of a large message
			e.data = sent.data[:0]
		}
	}
	return first, false
}

// append adds the frame of a message, after those that name its processes. That
// cannot fail, since it was vetted, unless it was changed meanwhile.
func (e *frameEncoder) append(p *parcel) error {
	if len(e.data) >= writeBytes {
		e.full, e.packet = append(e.full, e.packet), packet{}
	}
	if len(e.numbers)+2 > maxNamed { // for both, so that one does not take the other's
		clear(e.numbers)
	}
	target, sender := e.number(pidKey{p.target.GetAddress(), p.target.GetId()}), uint16(0)
	if p.sender != nil {
		sender = e.number(pidKey{p.sender.GetAddress(), p.sender.GetId()})
	}
	begin := len(e.data)
	e.data = append(e.data, 0, 0, 0, 0, kindOf(p.msg))
	e.data = binary.BigEndian.AppendUint16(e.data, target)
	e.data = binary.BigEndian.AppendUint32(e.data, p.target.GetRequestId())
	e.data = binary.BigEndian.AppendUint16(e.data, sender)
	e.data = binary.BigEndian.AppendUint32(e.data, p.sender.GetRequestId())
	encoded, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(e.data, p.msg) // vet has just asked for the size
	if err != nil {
		e.data = e.data[:begin]
		return fmt.Errorf("actors: encode %T: %w; do not change a message after Send", p.msg, err)
	}
	e.data = encoded
	e.finish(begin)
	e.messages++
	e.bytes += p.size
	return nil
}

// number returns that of a process, and names the process if it has none.
func (e *frameEncoder) number(key pidKey) uint16 {
	if number, ok := e.numbers[key]; ok {
		return number
	}
	number := uint16(len(e.numbers) + 1)
	e.numbers[key] = number
	begin := len(e.data)
	e.data = append(e.data, 0, 0, 0, 0, kindNaming)
	e.data = binary.BigEndian.AppendUint16(e.data, number)
	e.data = binary.BigEndian.AppendUint16(e.data, uint16(len(key.address)))
	e.data = append(e.data, key.address...)
	e.data = append(e.data, key.id...)
	e.finish(begin)
	return number
}

// finish fills in the length of the frame that begins there and ends the packet.
func (e *frameEncoder) finish(begin int) {
	binary.BigEndian.PutUint32(e.data[begin:], uint32(len(e.data)-begin-lengthBytes))
}

// header is what stands before a message.
type header struct {
	target, sender               uint16
	targetRequest, senderRequest uint32
}

// cutHeader splits what follows the kind of a message; false if it is too short.
func cutHeader(rest []byte) (h header, data []byte, ok bool) {
	if len(rest) < headerBytesOf-1 {
		return h, nil, false
	}
	return header{
		target:        binary.BigEndian.Uint16(rest),
		targetRequest: binary.BigEndian.Uint32(rest[2:]),
		sender:        binary.BigEndian.Uint16(rest[6:]),
		senderRequest: binary.BigEndian.Uint32(rest[8:]),
	}, rest[headerBytesOf-1:], true
}

// cutNaming splits what follows the kind of a naming.
func cutNaming(rest []byte) (number int, key pidKey, ok bool) {
	if len(rest) < 4 {
		return 0, key, false
	}
	number, rest = int(binary.BigEndian.Uint16(rest)), rest[2:]
	length, rest := int(binary.BigEndian.Uint16(rest)), rest[2:]
	if length > len(rest) || len(rest) > maxNameBytes || !utf8.Valid(rest[:length]) || !utf8.Valid(rest[length:]) {
		return 0, key, false
	}
	return number, pidKey{string(rest[:length]), string(rest[length:])}, true
}

// frameReader takes frames from a connection.
type frameReader struct {
	from   io.Reader
	buffer []byte
	rest   []byte // of buffer, that has come and was not taken
}

// errFrameTooLarge is of a frame that is longer than any message makes it.
var errFrameTooLarge = errors.New("frame too large")

// next returns the next frame, without its length. It is good until the next call.
func (r *frameReader) next() ([]byte, error) {
	need := lengthBytes
	for {
		if len(r.rest) >= need {
			size := int(binary.BigEndian.Uint32(r.rest))
			if size > maxTCPFrame {
				return nil, fmt.Errorf("%w: %d bytes", errFrameTooLarge, size)
			}
			if need = lengthBytes + size; len(r.rest) >= need {
				frame := r.rest[lengthBytes:need:need]
				r.rest = r.rest[need:]
				return frame, nil
			}
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads what there is, and makes room for that.
func (r *frameReader) fill() error {
	switch {
	case len(r.rest) == 0 && len(r.buffer) != readBytes:
		r.buffer = make([]byte, readBytes) // the first, or a large one had its use
	case len(r.rest) == len(r.buffer):
		grown := make([]byte, 2*len(r.buffer))
		copy(grown, r.rest)
		r.buffer = grown
	default:
		copy(r.buffer, r.rest)
	}
	have := len(r.rest)
	n, err := r.from.Read(r.buffer[have:])
	r.rest = r.buffer[:have+n]
	if n > 0 {
		return nil
	}
	return err
}

func greeting() []byte { return append([]byte(tcpMagic), tcpVersion) }

// hello is how a node begins that others know by that address.
func hello(address string) []byte { return appendText(greeting(), address) }

// readGreeting returns what else a peer speaks than the version of this node, in
// words, and "" if it does speak that.
func readGreeting(from io.Reader) (speaks string, err error) {
	var b [greetingBytes]byte
	if _, err := io.ReadFull(from, b[:]); err != nil {
		return "", err
	}
	switch magic, version := string(b[:len(tcpMagic)]), b[len(tcpMagic)]; {
	case magic == tcpMagic && version == tcpVersion:
		return "", nil
	case magic == tcpMagic:
		return fmt.Sprintf("it speaks version %d of the transport, and this node version %d; update the older one", version, tcpVersion), nil
	case magic == "PRI " || b[0] == 0 && b[3] == settingsFrame:
		return "it speaks gRPC; " + sameTransport, nil
	default:
		return fmt.Sprintf("it speaks neither this node's transport nor another (%q…); look who uses the address", b[:]), nil
	}
}

// settingsFrame is what a gRPC server begins with, after the three bytes of a length
// (RFC 9113, 4.1 and 6.5); a client begins with "PRI ".
const settingsFrame = 4

// sameTransport is what to do about a peer with another one.
const sameTransport = "give all nodes of the cluster the same transport (--transport)"

// readHello returns the address of the peer, or what it speaks instead.
func readHello(from io.Reader) (address, speaks string, err error) {
	if speaks, err = readGreeting(from); err != nil || speaks != "" {
		return "", speaks, err
	}
	address, err = readText(from)
	return address, "", err
}

// appendText adds a text, of which it leaves out what is beyond the bound.
func appendText(b []byte, text string) []byte {
	text = text[:min(len(text), answerBytes)]
	return append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
}

// readText returns what a peer says.
func readText(from io.Reader) (string, error) {
	var length [2]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return "", err
	}
	n := binary.BigEndian.Uint16(length[:])
	if n > answerBytes {
		return "", fmt.Errorf("%w: a text of %d bytes", errFrameTooLarge, n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(from, b); err != nil {
		return "", err
	}
	return string(b), nil
}
