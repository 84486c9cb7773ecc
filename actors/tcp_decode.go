package actors

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
)

// decoder decodes the two messages of which there are many, and for one use at a
// time: a command that is the vnode's before the next is decoded needs no memory of
// its own. It says of all bytes what proto.Unmarshal says.
type decoder struct {
	command transportpb.Command
	reply   transportpb.Reply
	texts   map[string]string // names that came before
}

const (
	// maxTexts bounds the names that a decoder keeps: of the methods of all services,
	// and of nodes.
	maxTexts = 256
	// maxTextBytes is how long such a name may be. A text for a person is longer.
	maxTextBytes = 64
)

func newDecoder() *decoder { return &decoder{texts: make(map[string]string)} }

// The fields of the messages, with their types, as they stand on the wire.
const (
	commandMethod    = 1<<3 | uint64(protowire.BytesType)
	commandPayload   = 2<<3 | uint64(protowire.BytesType)
	commandEpoch     = 3<<3 | uint64(protowire.VarintType)
	commandTimeout   = 4<<3 | uint64(protowire.VarintType)
	commandFallback  = 5<<3 | uint64(protowire.VarintType)
	commandForwarded = 6<<3 | uint64(protowire.VarintType)

	replyPartition = 1<<3 | uint64(protowire.VarintType)
	replyNode      = 2<<3 | uint64(protowire.BytesType)
	replyCode      = 3<<3 | uint64(protowire.VarintType)
	replyPayload   = 4<<3 | uint64(protowire.BytesType)
	replyError     = 5<<3 | uint64(protowire.BytesType)
	replyEpoch     = 6<<3 | uint64(protowire.VarintType)
	replyBehind    = 7<<3 | uint64(protowire.VarintType)
)

// decodeCommand decodes a command, whose payload is a part of data; nil if it is
// malformed.
func (d *decoder) decodeCommand(data []byte) *transportpb.Command {
	c := &d.command
	c.Method, c.Payload, c.Epoch, c.TimeoutNanos, c.Fallback, c.Forwarded = "", nil, 0, 0, false, false
	f := fields{rest: data, valid: true}
	for f.next() {
		switch f.tag {
		case commandMethod:
			c.Method = f.text(d)
		case commandPayload:
			c.Payload = f.bytes
		case commandEpoch:
			c.Epoch = f.value
		case commandTimeout:
			c.TimeoutNanos = int64(f.value)
		case commandFallback:
			c.Fallback = f.value != 0
		case commandForwarded:
			c.Forwarded = f.value != 0
		}
	}
	if !f.valid {
		return nil
	}
	return c
}

// decodeReply does the same for a reply.
func (d *decoder) decodeReply(data []byte) *transportpb.Reply {
	r := &d.reply
	r.Partition, r.Node, r.Code, r.Payload, r.Error, r.Epoch, r.Behind = 0, "", 0, nil, "", 0, false
	f := fields{rest: data, valid: true}
	for f.next() {
		switch f.tag {
		case replyPartition:
			r.Partition = uint32(f.value)
		case replyNode:
			r.Node = f.text(d)
		case replyCode:
			r.Code = transportpb.Code(f.value)
		case replyPayload:
			r.Payload = f.bytes
		case replyError:
			r.Error = f.text(d)
		case replyEpoch:
			r.Epoch = f.value
		case replyBehind:
			r.Behind = f.value != 0
		}
	}
	if !f.valid {
		return nil
	}
	return r
}

// fields are those of an encoded message, one after the other.
type fields struct {
	rest  []byte
	tag   uint64 // number and type of this one
	value uint64 // if it is a number
	bytes []byte // if it has a length
	valid bool   // so far
}

// next goes on to the next field; false after the last, or at one that is none.
func (f *fields) next() bool {
	if len(f.rest) == 0 || !f.valid {
		return false
	}
	number, kind, n := protowire.ConsumeTag(f.rest)
	if n < 0 || number > protowire.MaxValidNumber {
		f.valid = false
		return false
	}
	f.rest, f.tag = f.rest[n:], protowire.EncodeTag(number, kind)
	switch kind {
	case protowire.VarintType:
		f.value, n = protowire.ConsumeVarint(f.rest)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(f.rest)
	default:
		n = protowire.ConsumeFieldValue(number, kind, f.rest)
	}
	if f.valid = n >= 0; f.valid {
		f.rest = f.rest[n:]
	}
	return f.valid
}

// text returns the field as a string, the same one if it came before.
func (f *fields) text(d *decoder) string {
	if text, ok := d.texts[string(f.bytes)]; ok {
		return text
	}
	f.valid = f.valid && utf8.Valid(f.bytes)
	text := string(f.bytes)
	if f.valid && len(text) <= maxTextBytes && len(d.texts) < maxTexts {
		d.texts[text] = text
	}
	return text
}
