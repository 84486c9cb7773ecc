package bench

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/torc-io/torc/ring"
)

// The twins of several processes send the same frames, over TCP and over gRPC:
//
//	request: partition, key, presence, object
//	answer:  partition, presence, object
//
// Numbers are varints, but for the wall clock; texts have their length before
// them. The id of the request goes before the frame, in the way of the carrier.

// errFrame is a frame that ends too early.
var errFrame = errors.New("a frame that is cut short")

func appendRequest(b []byte, p ring.Partition, r *request) []byte {
	b = binary.AppendUvarint(b, uint64(p))
	b = appendText(b, r.key)
	return appendObject(b, r.object)
}

// appendAck leaves the value out if that is what the other side has sent.
func appendAck(b []byte, a ack) []byte {
	return appendObject(binary.AppendUvarint(b, uint64(a.partition)), a.object)
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendObject(b []byte, o *object) []byte {
	if o == nil {
		return append(b, 0)
	}
	b = binary.BigEndian.AppendUint64(append(b, 1), uint64(o.wall))
	return appendText(appendText(b, o.writer), o.value)
}

// frameReader reads a frame, which it keeps a part of: the frame is not used again.
type frameReader struct {
	rest []byte
	err  error
}

func (f *frameReader) number() uint64 {
	value, n := binary.Uvarint(f.rest)
	if n <= 0 {
		f.err = errFrame
		return 0
	}
	f.rest = f.rest[n:]
	return value
}

func (f *frameReader) bytes(size uint64) []byte {
	if f.err != nil || size > uint64(len(f.rest)) {
		f.err = errFrame
		return nil
	}
	taken := f.rest[:size:size]
	f.rest = f.rest[size:]
	return taken
}

func (f *frameReader) text() []byte { return f.bytes(f.number()) }

func (f *frameReader) object() *object {
	if present := f.bytes(1); f.err != nil || present[0] == 0 {
		return nil
	}
	wall := f.bytes(8)
	if f.err != nil {
		return nil
	}
	o := &object{wall: int64(binary.BigEndian.Uint64(wall))}
	writer := f.text()
	if o.writer = "twin"; string(writer) != o.writer {
		o.writer = strings.Clone(string(writer))
	}
	o.value = f.text()
	return o
}

// decodeRequest returns a request and the partition that it is for.
func decodeRequest(frame []byte) (ring.Partition, request, error) {
	f := frameReader{rest: frame}
	p := ring.Partition(f.number() % ring.DefaultSize)
	r := request{key: viewOf(f.text())}
	r.object = f.object()
	return p, r, f.err
}

func decodeAck(frame []byte) (ack, error) {
	f := frameReader{rest: frame}
	a := ack{partition: ring.Partition(f.number())}
	a.object = f.object()
	return a, f.err
}
