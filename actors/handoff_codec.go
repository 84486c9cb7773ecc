package actors

import (
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/handoff"
)

// handoffCodec is gRPC's codec for protobuf with buffers of the size of a chunk.
// Those of gRPC are of 32 KiB or 1 MB, and are cleared before each use: for one of
// 64 KiB that took an eighth of a handoff's time.
type handoffCodec struct {
	encoding.CodecV2

	buffers mem.BufferPool
}

func newHandoffCodec() *handoffCodec {
	return &handoffCodec{
		encoding.GetCodecV2(grpcproto.Name),
		mem.NewTieredBufferPool(frameRoom, handoff.ChunkBytes+frameRoom, maxHandoffFrameBytes),
	}
}

// Marshal encodes a message.
func (c *handoffCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	size := proto.Size(m)
	if !ok || mem.IsBelowBufferPoolingThreshold(size) {
		return c.CodecV2.Marshal(v)
	}
	buf := c.buffers.Get(size)
	if _, err := (proto.MarshalOptions{UseCachedSize: true}).MarshalAppend((*buf)[:0], m); err != nil {
		c.buffers.Put(buf)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(buf, c.buffers)}, nil
}

// Unmarshal decodes a message, which shares no memory with data.
func (c *handoffCodec) Unmarshal(data mem.BufferSlice, v any) error {
	buf := data.MaterializeToBuffer(c.buffers)
	defer buf.Free()
	return c.CodecV2.Unmarshal(mem.BufferSlice{buf}, v)
}
