package bench

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	"github.com/torc-io/torc/ring"
)

// link carries frames between two processes. One goroutine sends, and one
// receives.
type link interface {
	send(id uint32, frame []byte) error
	flush() error // when there is nothing more to send for now
	receive() (id uint32, frame []byte, err error)
}

// frameBytes bounds a frame: the values here are small.
const frameBytes = 64 << 10

// tcpLink has a length and the id before each frame. What is sent in a row goes
// in one write.
type tcpLink struct {
	out  *bufio.Writer
	in   *bufio.Reader
	head [8]byte // of what is received
}

func newTCPLink(conn net.Conn) *tcpLink {
	return &tcpLink{out: bufio.NewWriterSize(conn, frameBytes), in: bufio.NewReaderSize(conn, frameBytes)}
}

func (l *tcpLink) send(id uint32, frame []byte) error {
	head := l.out.AvailableBuffer()
	head = binary.BigEndian.AppendUint32(head, uint32(len(frame)))
	head = binary.BigEndian.AppendUint32(head, id)
	if _, err := l.out.Write(head); err != nil {
		return err
	}
	_, err := l.out.Write(frame)
	return err
}

func (l *tcpLink) flush() error { return l.out.Flush() }

func (l *tcpLink) receive() (id uint32, frame []byte, err error) {
	if _, err := io.ReadFull(l.in, l.head[:]); err != nil {
		return 0, nil, err
	}
	size := binary.BigEndian.Uint32(l.head[:])
	if size > frameBytes {
		return 0, nil, fmt.Errorf("a frame of %d bytes", size)
	}
	frame = make([]byte, size)
	_, err = io.ReadFull(l.in, frame)
	return binary.BigEndian.Uint32(l.head[4:]), frame, err
}

// streamLink is a gRPC stream; a message of the handoff's protocol has a place
// for a number and for bytes.
type streamLink struct{ stream messages }

// messages is what the two ends of a gRPC stream have in common.
type messages interface {
	SendMsg(message any) error
	RecvMsg(message any) error
}

func (l streamLink) send(id uint32, frame []byte) error {
	return l.stream.SendMsg(&handoffpb.Chunk{Seq: uint64(id), Items: frame})
}

func (l streamLink) flush() error { return nil } // gRPC has a writer of its own

func (l streamLink) receive() (uint32, []byte, error) {
	chunk := new(handoffpb.Chunk)
	err := l.stream.RecvMsg(chunk)
	return uint32(chunk.GetSeq()), chunk.GetItems(), err
}

// linkQueue is how much may wait for a link's one writer: more than the clients.
const linkQueue = 4096

// peer is another process, asked over a link.
type peer struct {
	link  link
	queue chan outgoing
	ids   atomic.Uint32
	ended sync.WaitGroup // for both of its goroutines

	broken *breakage

	mu      sync.Mutex
	pending map[uint32]chan<- ack
}

// breakage is what went wrong first, if anything: a quorum of answers says nothing
// of a third process that is not there any more.
type breakage struct{ first atomic.Pointer[error] }

func (b *breakage) note(err error) { b.first.CompareAndSwap(nil, &err) }

func (b *breakage) err() error {
	if first := b.first.Load(); first != nil {
		return *first
	}
	return nil
}

type outgoing struct {
	request

	partition ring.Partition
}

func newPeer(l link, broken *breakage) *peer {
	p := &peer{link: l, broken: broken, queue: make(chan outgoing, linkQueue), pending: make(map[uint32]chan<- ack)}
	p.ended.Go(p.write)
	p.ended.Go(p.read)
	return p
}

// ask sends a request, whose answer goes to its channel.
func (p *peer) ask(number ring.Partition, r request) {
	r.id = p.ids.Add(1)
	p.mu.Lock()
	p.pending[r.id] = r.acks
	p.mu.Unlock()
	p.queue <- outgoing{r, number}
}

func (p *peer) write() {
	var frame []byte
	for o := range p.queue {
		frame = appendRequest(frame[:0], o.partition, &o.request)
		err := p.link.send(o.id, frame)
		if err == nil && len(p.queue) == 0 {
			err = p.link.flush()
		}
		if err != nil {
			p.fail(err)
		}
	}
}

func (p *peer) read() {
	for {
		id, frame, err := p.link.receive()
		var a ack
		if err == nil {
			a, err = decodeAck(frame)
		}
		if err != nil {
			p.fail(err)
			return
		}
		p.mu.Lock()
		acks := p.pending[id]
		delete(p.pending, id)
		p.mu.Unlock()
		acks <- a // it has room for all answers
	}
}

// fail answers all that wait, as if nothing were there; they look at broken then.
func (p *peer) fail(err error) {
	p.broken.note(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, acks := range p.pending {
		delete(p.pending, id)
		acks <- ack{}
	}
}

// serveLink has the partitions of a process answer what comes over a link, until
// that ends.
func serveLink(l link, t *twin) error {
	acks := make(chan ack, linkQueue)
	var writer sync.WaitGroup
	writer.Go(func() {
		var frame []byte
		for a := range acks {
			frame = appendAck(frame[:0], a)
			if l.send(a.id, frame) == nil && len(acks) == 0 {
				_ = l.flush() // the reader sees why
			}
		}
	})
	for {
		id, frame, err := l.receive()
		var number ring.Partition
		var r request
		if err == nil {
			number, r, err = decodeRequest(frame)
		}
		if err != nil {
			_ = t.Close() // they send no acks any more
			close(acks)
			writer.Wait()
			return err
		}
		r.id, r.acks = id, acks
		t.partitions[number].inbox <- r
	}
}
