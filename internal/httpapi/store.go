package httpapi

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/kv"
	kvpb "github.com/torc-io/torc/proto/torc/kv/v1"
)

// Written is the answer to PUT and DELETE.
type Written struct {
	Key
	N       int    `json:"n"`       // replicas asked
	W       int    `json:"w"`       // acknowledgements that were waited for
	Version string `json:"version"` // of the value, as its ETag has it
	Acks    []Ack  `json:"acks"`    // those that had come, in the order of the preference list
}

// Ack is a vnode that acknowledged.
type Ack struct {
	Partition torc.Partition `json:"partition"`
	Node      torc.NodeName  `json:"node"`
}

// store answers PUT.
func (s *served) store(w http.ResponseWriter, r *http.Request) error {
	c, err := s.readCall(r, writing)
	if err != nil {
		return err
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	value := kv.Value{Bytes: body, ContentType: r.Header.Get("Content-Type")}
	version, err := s.kv.Store(&c.ctx, c.key, value, c.withReceipt()...)
	if err != nil {
		return err
	}
	return c.acknowledge(w, version)
}

// remove answers DELETE.
func (s *served) remove(w http.ResponseWriter, r *http.Request) error {
	c, err := s.readCall(r, writing)
	if err != nil {
		return err
	}
	version, err := s.kv.Delete(&c.ctx, c.key, c.withReceipt()...)
	if err != nil {
		return err
	}
	return c.acknowledge(w, version)
}

// withReceipt returns the options of a write, whose answer names the replicas.
func (c *call) withReceipt() []torc.CallOption {
	return append(c.options, torc.WithReceipt(&c.receipt))
}

func (c *call) acknowledge(w http.ResponseWriter, version *kvpb.Version) error {
	answer := Written{
		Key: nameKey(c.key), N: c.receipt.N, W: c.receipt.Need, Version: versionText(version),
		Acks: make([]Ack, len(c.receipt.Acks)),
	}
	for i, ack := range c.receipt.Acks {
		answer.Acks[i] = Ack(ack)
	}
	return writeJSON(w, "application/json", http.StatusOK, answer)
}

// fetch answers GET and HEAD with what was stored, byte for byte. Conditional
// and range requests come with http.ServeContent.
func (s *served) fetch(w http.ResponseWriter, r *http.Request) error {
	c, err := s.readCall(r, reading)
	if err != nil {
		return err
	}
	object, err := s.kv.Fetch(&c.ctx, c.key, c.options...)
	switch {
	case err == nil:
	case notFound(err):
		return fmt.Errorf("%w: nothing is stored under %v", torc.ErrNotFound, nameKey(c.key))
	default:
		return err
	}
	h := w.Header()
	h.Set("Content-Type", cmp.Or(object.GetContentType(), "application/octet-stream"))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("ETag", `"`+versionText(object.GetVersion())+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(object.GetValue()))
	return nil
}

// versionText writes a version so that it fits into an ETag: the clock in
// hexadecimal, and the writer.
func versionText(v *kvpb.Version) string {
	text := strconv.AppendInt(make([]byte, 0, usualVersion), v.GetWall(), 16)
	text = append(text, '.')
	text = strconv.AppendUint(text, uint64(v.GetLogical()), 16)
	separator := byte('@')
	for part := range strings.SplitSeq(v.GetWriter(), "/") {
		text = append(text, separator)
		text = append(text, url.PathEscape(part)...)
		separator = '/'
	}
	return string(text)
}

// usualVersion has room for the text of a version with the name of most nodes.
const usualVersion = 64

// maxDiscard is how much of a body that is too large is read and thrown away.
// A client that is still sending when the connection closes may lose the
// answer; beyond this, that is its own fault.
const maxDiscard = 16 << 20

// readBody returns the body of a request, which nobody else keeps.
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > kv.MaxValueBytes {
		return nil, tooLarge(r, r.ContentLength)
	}
	if r.ContentLength >= 0 {
		body := make([]byte, r.ContentLength) // and no byte more: it is what the store keeps
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, badRequestf("the body could not be read: %w", err)
		}
		return body, nil
	}
	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(r.Body, kv.MaxValueBytes+1))
	if err != nil {
		return nil, badRequestf("the body could not be read: %w", err)
	}
	if n > kv.MaxValueBytes {
		return nil, tooLarge(r, n)
	}
	return body.Bytes(), nil
}

// tooLarge refuses a body of at least size bytes. It reads the rest first, unless
// the client waits for leave to send it (as curl does).
func tooLarge(r *http.Request, size int64) error {
	err := fmt.Errorf("%w: the body has %d bytes or more, the most is %d", torc.ErrTooLarge, size, kv.MaxValueBytes)
	if r.Header.Get("Expect") != "" {
		return err
	}
	if _, broken := io.CopyN(io.Discard, r.Body, maxDiscard); broken != nil && !errors.Is(broken, io.EOF) {
		return errors.Join(err, broken)
	}
	return err
}
