package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/handoff"
	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	kvpb "github.com/torc-io/torc/proto/torc/kv/v1"
	"github.com/torc-io/torc/ring"
)

// The twins of handoff are one gRPC stream over loopback. It has the windows and
// buffers that the framework's have, which make it faster than gRPC's defaults.
const (
	plainService = "bench.Plain"
	plainMethod  = "Move"
	plainWindow  = 4 << 20
	plainBuffer  = 256 << 10
)

// plainStream is a server that acknowledges what it has merged, in this process,
// and a stream to it.
type plainStream struct {
	grpc.ClientStream

	server *grpc.Server
	conn   *grpc.ClientConn
	ended  chan error
}

// taking is what the receiver does with a frame, if anything.
type taking func(*handoffpb.Frame) error

func openStream(ctx context.Context, take taking) (*plainStream, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	desc := grpc.StreamDesc{StreamName: plainMethod, ServerStreams: true, ClientStreams: true}
	serving := desc
	serving.Handler = func(_ any, s grpc.ServerStream) error { return receive(s, take) }
	p := &plainStream{ended: make(chan error, 1), server: grpc.NewServer(
		grpc.InitialWindowSize(plainWindow), grpc.InitialConnWindowSize(plainWindow), grpc.ReadBufferSize(plainBuffer))}
	p.server.RegisterService(&grpc.ServiceDesc{ServiceName: plainService, Streams: []grpc.StreamDesc{serving}}, nil)
	go func() { p.ended <- p.server.Serve(listener) }()
	p.conn, err = grpc.NewClient("passthrough:///"+listener.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithWriteBufferSize(plainBuffer))
	if err == nil {
		p.ClientStream, err = p.conn.NewStream(ctx, &desc, "/"+plainService+"/"+plainMethod)
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func (p *plainStream) close() (err error) {
	if p.conn != nil {
		err = p.conn.Close()
	}
	p.server.Stop()
	return errors.Join(err, <-p.ended)
}

// receive acknowledges a chunk's worth of bytes at a time, and the end.
func receive(s grpc.ServerStream, take taking) error {
	unacknowledged := 0
	for {
		frame := new(handoffpb.Frame)
		err := s.RecvMsg(frame)
		if errors.Is(err, io.EOF) {
			return acknowledge(s)
		}
		if err == nil && take != nil {
			err = take(frame)
		}
		if unacknowledged += len(frame.GetChunk().GetItems()); err == nil && unacknowledged >= handoff.ChunkBytes {
			unacknowledged = 0
			err = acknowledge(s)
		}
		if err != nil {
			return err
		}
	}
}

func acknowledge(s grpc.ServerStream) error {
	return s.SendMsg(&handoffpb.Answer{Kind: &handoffpb.Answer_Ack{Ack: new(handoffpb.Ack)}})
}

// stream sends what the function has it send, and returns when all of it is
// acknowledged.
func stream(ctx context.Context, take taking, send func(put func(*handoffpb.Frame) error) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, pairWithin)
	defer cancel()
	p, err := openStream(ctx, take)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	heard := make(chan error, 1)
	go func() {
		for {
			if err := p.RecvMsg(new(handoffpb.Answer)); err != nil {
				heard <- err
				return
			}
		}
	}()
	if err := errors.Join(send(func(f *handoffpb.Frame) error { return p.SendMsg(f) }), p.CloseSend()); err != nil {
		return err
	}
	if err := <-heard; !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// chunkFrame is a chunk on the wire.
func chunkFrame(seq uint64, items []byte) *handoffpb.Frame {
	return &handoffpb.Frame{Kind: &handoffpb.Frame_Chunk{Chunk: &handoffpb.Chunk{Seq: seq, Items: items}}}
}

// readyChunks sends the same bytes over and over, in chunks. Nobody reads them.
func readyChunks(_ handoffSize, as moved) func(context.Context) error {
	chunk := bytes.Repeat([]byte("v"), handoff.ChunkBytes)
	return func(ctx context.Context) error {
		return stream(ctx, nil, func(put func(*handoffpb.Frame) error) error {
			seq := uint64(0)
			for left := int(as.bytes); left > 0; left -= len(chunk) {
				seq++
				if err := put(chunkFrame(seq, chunk[:min(left, len(chunk))])); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// readyItems sends the same bytes with a message for each item.
func readyItems(_ handoffSize, as moved) func(context.Context) error {
	item := bytes.Repeat([]byte("v"), int(as.bytes/as.items))
	return func(ctx context.Context) error {
		return stream(ctx, nil, func(put func(*handoffpb.Frame) error) error {
			for seq := range uint64(as.items) {
				if err := put(chunkFrame(seq, item)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// plainStores are the partitions of half a ring.
type plainStores [ring.DefaultSize / 2]*torc.Store[*kvpb.Object]

func newPlainStores() *plainStores {
	stores := new(plainStores)
	for i := range stores {
		stores[i] = torc.NewStore[*kvpb.Object](nil)
	}
	return stores
}

// readyStores sends as many items from the maps of half the partitions to
// others: a handoff without all that makes it safe, since nobody writes
// meanwhile and nothing breaks.
func readyStores(size handoffSize, as moved) func(context.Context) error {
	from, to := newPlainStores(), newPlainStores()
	value := bytes.Repeat([]byte("v"), size.bytes)
	for i := range int(as.items) {
		from[i%len(from)].Put(fmt.Appendf(nil, "key-%08d", i), &kvpb.Object{
			Value: value, Version: &kvpb.Version{Wall: time.Now().UnixNano(), Writer: "first/ABCDEFGH"},
		})
	}
	return func(ctx context.Context) error {
		if err := stream(ctx, to.take(), from.send); err != nil {
			return err
		}
		for i := range from {
			if from[i].Len() != to[i].Len() {
				return fmt.Errorf("partition %d has %d items on one side, and %d on the other", i, from[i].Len(), to[i].Len())
			}
		}
		return nil
	}
}

// send sends one partition after the other; a hello tells which.
func (p *plainStores) send(put func(*handoffpb.Frame) error) error {
	seq := uint64(0)
	for i, s := range p {
		if err := put(&handoffpb.Frame{Kind: &handoffpb.Frame_Hello{Hello: &handoffpb.Hello{Partition: uint32(i)}}}); err != nil {
			return err
		}
		var chunk []byte
		flush := func() error {
			seq++
			full := chunk
			chunk = make([]byte, 0, cap(full))
			return put(chunkFrame(seq, full))
		}
		for item, err := range s.Snapshot() {
			if err != nil {
				return err
			}
			if chunk, err = handoff.AppendItem(chunk, item); err != nil {
				return err
			}
			if len(chunk) < handoff.ChunkBytes {
				continue
			}
			if err := flush(); err != nil {
				return err
			}
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}

// take merges what comes.
func (p *plainStores) take() taking {
	at := 0
	return func(f *handoffpb.Frame) error {
		if hello := f.GetHello(); hello != nil {
			at = int(hello.GetPartition())
			return nil
		}
		items, err := handoff.DecodeItems(f.GetChunk().GetItems())
		if err != nil {
			return err
		}
		for _, item := range items {
			if err := p[at].Merge(item); err != nil {
				return err
			}
		}
		return nil
	}
}
