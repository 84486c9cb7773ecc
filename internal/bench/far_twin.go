package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
)

// farTwin is the twin whose partitions are spread over processes: partition p is
// at p modulo clusterSize, so that a list has each once. The caller fans out and
// gathers by itself; it is member 0.
type farTwin struct {
	*twin

	peers  [clusterSize]asker // nil at 0
	others []*process
	conns  []io.Closer
	ended  []func() // wait for what a closed connection ends
	broken breakage
}

// asker sends a request to a process, whose answer goes to the request's channel.
type asker interface {
	ask(p *partition, r request)
}

// farAsk is an asker over a link.
type farAsk struct{ *peer }

func (f farAsk) ask(p *partition, r request) { f.peer.ask(p.number, r) }

// openFar starts the processes of a twin in a role, and connects to each.
func openFar(what string, connect func(*farTwin, string) (asker, error), op func(*twin, coordination, []byte) error) func(context.Context, int) (System, error) {
	return func(ctx context.Context, keys int) (System, error) {
		f := &farTwin{twin: newTwin(keys)}
		var err error
		f.others, err = startProcesses(ctx, func(int) []string { return []string{what} })
		for i, p := range f.others {
			if err == nil {
				f.peers[i+1], err = connect(f, p.said)
			}
		}
		s := &farSystem{f, op}
		if err == nil {
			err = f.fillParallel(ctx, func(key, _ []byte) error { return f.store(f.everywhere, key) })
		}
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
}

// farSystem is a far twin with one operation.
type farSystem struct {
	*farTwin

	op func(*twin, coordination, []byte) error
}

// Client returns the operation of one client.
func (s *farSystem) Client(number int) Op {
	key := s.draw(number)
	return func() error { return cmp.Or(s.broken.err(), s.op(s.twin, s.inline, key())) }
}

func (f *farTwin) cpu() time.Duration { return cpuOfProcesses(f.others) }

// Close ends the connections, the other processes and the partitions.
func (f *farTwin) Close() (err error) {
	for _, c := range f.conns {
		err = errors.Join(err, c.Close())
	}
	for _, wait := range f.ended {
		wait()
	}
	return errors.Join(err, closeProcesses(f.others), f.twin.Close())
}

// inline has the caller fan out, and gather a quorum.
func (f *farTwin) inline(_ *twin, list []*partition, r request) *object {
	return f.gather(list, r, need)
}

// everywhere waits for all.
func (f *farTwin) everywhere(_ *twin, list []*partition, r request) *object {
	return f.gather(list, r, replicas)
}

func (f *farTwin) gather(list []*partition, r request, enough int) *object {
	acks := make(chan ack, replicas)
	r.acks = acks
	for _, p := range list {
		if other := f.peers[int(p.number)%clusterSize]; other != nil {
			other.ask(p, r)
		} else {
			p.inbox <- r
		}
	}
	resolved := r.object
	for range enough {
		resolved = newer(resolved, (<-acks).object)
	}
	return resolved
}

// connectTCP connects to a process over plain TCP.
func connectTCP(f *farTwin, address string) (asker, error) {
	conn, err := net.Dial("tcp", address) //nolint:noctx // it is on loopback, and listens
	if err != nil {
		return nil, err
	}
	return f.over(newTCPLink(conn), conn, func() {}), nil
}

// over asks over a link, which ends when what carries it is closed.
func (f *farTwin) over(l link, carrier io.Closer, before func()) asker {
	p := newPeer(l, &f.broken)
	f.conns = append(f.conns, closing(func() error {
		close(p.queue)
		before()
		return carrier.Close()
	}))
	f.ended = append(f.ended, p.ended.Wait)
	return farAsk{p}
}

// closing is a function as an io.Closer.
type closing func() error

// Close calls it.
func (c closing) Close() error { return c() }

// memberOfTCP serves partitions over plain TCP.
func memberOfTCP(ctx context.Context, _ []string, ready func(string)) error {
	listener, err := listenLoopback(ctx)
	if err != nil {
		return err
	}
	ready(listener.Addr().String())
	conn, err := listener.Accept()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if err := serveLink(newTCPLink(conn), newTwin(0)); !errors.Is(err, io.EOF) && ctx.Err() == nil {
		return err
	}
	return nil
}

// The gRPC service of the twins.
const (
	farService = "bench.Far"
	farStream  = "Stream"
	farUnary   = "Ask"
)

func dialFar(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// connectStream connects over one gRPC stream, where requests follow each other
// without waiting for answers.
func connectStream(f *farTwin, address string) (asker, error) {
	conn, err := dialFar(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	desc := &grpc.StreamDesc{StreamName: farStream, ServerStreams: true, ClientStreams: true}
	stream, err := conn.NewStream(ctx, desc, "/"+farService+"/"+farStream)
	if err != nil {
		cancel()
		return nil, errors.Join(err, conn.Close())
	}
	return f.over(streamLink{stream}, conn, cancel), nil
}

// unary asks by a call for each request.
type unary struct {
	conn   *grpc.ClientConn
	broken *breakage
}

func connectUnary(f *farTwin, address string) (asker, error) {
	conn, err := dialFar(address)
	if err != nil {
		return nil, err
	}
	f.conns = append(f.conns, conn)
	return unary{conn, &f.broken}, nil
}

// ask has a goroutine wait for the answer: a call blocks, and others are to be
// asked meanwhile.
func (u unary) ask(p *partition, r request) {
	go func() {
		asked := &handoffpb.Chunk{Items: appendRequest(nil, p.number, &r)}
		answer := new(handoffpb.Chunk)
		var a ack
		err := u.conn.Invoke(context.Background(), "/"+farService+"/"+farUnary, asked, answer)
		if err == nil {
			a, err = decodeAck(answer.GetItems())
		}
		if err != nil {
			u.broken.note(err)
		}
		r.acks <- a
	}()
}

// memberOfGRPC serves partitions over gRPC, in both ways.
func memberOfGRPC(ctx context.Context, _ []string, ready func(string)) error {
	listener, err := listenLoopback(ctx)
	if err != nil {
		return err
	}
	t := newTwin(0)
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: farService, HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: farUnary, Handler: answerUnary}},
		Streams: []grpc.StreamDesc{{
			StreamName: farStream, ServerStreams: true, ClientStreams: true,
			Handler: func(_ any, s grpc.ServerStream) error { return serveLink(streamLink{s}, t) },
		}},
	}, t)
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	ready(listener.Addr().String())
	return server.Serve(listener)
}

// answerUnary answers one call.
func answerUnary(t any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // gRPC has the order
	asked := new(handoffpb.Chunk)
	if err := decode(asked); err != nil {
		return nil, err
	}
	number, r, err := decodeRequest(asked.GetItems())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, fmt.Sprint(err))
	}
	acks := make(chan ack, 1)
	r.acks = acks
	t.(*twin).partitions[number].inbox <- r
	select {
	case a := <-acks:
		return &handoffpb.Chunk{Items: appendAck(nil, a)}, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}
