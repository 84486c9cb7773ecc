package actors

import "github.com/torc-io/torc/handoff"

// frameRoom is more than what a chunk's last item and the frame usually add to
// handoff.ChunkBytes.
const frameRoom = 4 << 10

// chunkBuffers are those of chunks that went over, for the next ones. A stream is
// done with a frame when Send has returned, and the machine with a chunk that has
// arrived.
type chunkBuffers [][]byte

// take returns an empty buffer with room for a chunk.
func (b *chunkBuffers) take() []byte {
	last := len(*b) - 1
	if last < 0 {
		return make([]byte, 0, handoff.ChunkBytes+frameRoom)
	}
	buf := (*b)[last]
	*b = (*b)[:last]
	return buf
}

// put keeps a buffer, unless its chunk was a small one, or had a large item.
func (b *chunkBuffers) put(buf []byte) {
	if cap(buf) >= handoff.ChunkBytes && cap(buf) <= 2*handoff.ChunkBytes {
		*b = append(*b, buf[:0])
	}
}

// takeBuffer returns a buffer for the next part of the snapshot.
func (o *outgoing) takeBuffer() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffers.take()
}
