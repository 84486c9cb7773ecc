package httpapi

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	defer c.cancel()
	body, err := readBody(r)
	if err != nil {
		return err
	}
	value := kv.Value{Bytes: body, ContentType: r.Header.Get("Content-Type")}
	version, err := s.kv.Store(c.ctx, c.key, value, c.options...)
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
	defer c.cancel()
	version, err := s.kv.Delete(c.ctx, c.key, c.options...)
	if err != nil {
		return err
	}
	return c.acknowledge(w, version)
}

func (c *call) acknowledge(w http.ResponseWriter, version *kvpb.Version) error {
	answer := Written{Key: nameKey(c.key), N: c.receipt.N, W: c.receipt.Need, Version: versionText(version)}
	for _, ack := range c.receipt.Acks {
		answer.Acks = append(answer.Acks, Ack{ack.Partition, ack.Node})
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
	defer c.cancel()
	object, err := s.kv.Fetch(c.ctx, c.key, c.options...)
	switch {
	case notFound(err):
		return fmt.Errorf("%w: nothing is stored under %v", torc.ErrNotFound, nameKey(c.key))
	case err != nil:
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
	writer := strings.ReplaceAll(url.PathEscape(v.GetWriter()), "%2F", "/")
	return fmt.Sprintf("%x.%x@%s", v.GetWall(), v.GetLogical(), writer)
}

// maxDiscard is how much of a body that is too large is read and thrown away.
// A client that is still sending when the connection closes may lose the
// answer; beyond this, that is its own fault.
const maxDiscard = 16 << 20

// readBody returns the body of a request, which nobody else keeps.
func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > kv.MaxValueBytes {
		return nil, tooLarge(r, r.ContentLength)
	}
	var body bytes.Buffer
	body.Grow(int(max(0, r.ContentLength)) + bytes.MinRead)
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
