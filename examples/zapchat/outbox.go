package main

import (
	"net"
	"strings"
	"time"
)

const (
	// outboxSize is how many messages may wait for a client to read them.
	outboxSize = 512
	// writeTimeout is how long a client may read nothing at all.
	writeTimeout = 10 * time.Second
	// prompt ends every answer.
	prompt = "> "
	// socketBuffer bounds what the kernel keeps for a client that does not read.
	socketBuffer = 16 << 10
)

// outbox is what a client is yet to be sent. A client that does not read fills
// its own and is dropped then; whoever has something for it never waits.
type outbox struct {
	conn  net.Conn
	queue chan message
	ended chan struct{} // closed when nothing is sent any more
}

// message is text and what it does to the prompt.
type message struct {
	text string
	kind kind
}

type kind int

const (
	notice kind = iota // comes by itself, and the prompt after it again
	answer             // comes with the prompt
	heard              // a line was read: the prompt is used up
)

func newOutbox(conn net.Conn) *outbox {
	return &outbox{conn, make(chan message, outboxSize), make(chan struct{})}
}

func (o *outbox) put(text string, k kind) {
	select {
	case o.queue <- message{text, k}:
	default:
		_ = o.conn.Close() // which ends its session
	}
}

// notice sends a line that nobody asked for.
func (o *outbox) notice(line string) { o.put(line+"\n", notice) }

// answer sends the answer to a line, empty or of whole lines.
func (o *outbox) answer(text string) { o.put(text, answer) }

// heard notes that the client has sent a line.
func (o *outbox) heard() { o.put("", heard) }

// finish sends what is left and ends.
func (o *outbox) finish() {
	close(o.queue)
	<-o.ended
}

// run sends until finish is called or the client is gone. What waits together
// goes together.
func (o *outbox) run() {
	defer close(o.ended)
	prompted, broken := false, false
	for m := range o.queue {
		var b strings.Builder
		prompted = m.render(&b, prompted)
		for range len(o.queue) {
			m = <-o.queue
			prompted = m.render(&b, prompted)
		}
		broken = broken || o.write(b.String()) != nil
	}
}

// render appends the message. A notice that meets a prompt begins a line of its
// own, and is followed by a prompt.
func (m message) render(b *strings.Builder, prompted bool) bool {
	switch {
	case m.kind == heard:
		return false
	case m.kind == answer:
		b.WriteString(m.text + prompt)
		return true
	case prompted:
		b.WriteString("\n" + m.text + prompt)
	default:
		b.WriteString(m.text)
	}
	return prompted
}

func (o *outbox) write(text string) error {
	if text == "" {
		return nil
	}
	err := o.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err == nil {
		_, err = o.conn.Write([]byte(text))
	}
	if err != nil {
		_ = o.conn.Close()
	}
	return err
}
