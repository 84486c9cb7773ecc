package httpapi

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/kv"
)

// Prefixes of the paths that end in a key.
const (
	storePrefix = "/api/store/"
	wherePrefix = "/api/where/"
)

// keyOf returns the key of a request: what follows prefix in the escaped path,
// unescaped once.
func keyOf(r *http.Request, prefix string) ([]byte, error) {
	escaped, _ := strings.CutPrefix(r.URL.EscapedPath(), prefix)
	key, err := url.PathUnescape(escaped)
	switch {
	case err != nil:
		return nil, badRequestf("the key: %w", err)
	case key == "" || escaped == strings.TrimSuffix(prefix, "/"):
		return nil, badRequestf("the key is empty, it belongs after %s in the path", prefix)
	case len(key) > kv.MaxKeyBytes:
		return nil, fmt.Errorf("%w: the key has %d bytes, the most is %d", torc.ErrTooLarge, len(key), kv.MaxKeyBytes)
	}
	return []byte(key), nil
}

// Key is a key in JSON, where strings are text: as it is if it is UTF-8, in
// hexadecimal if not.
type Key struct {
	Text string `json:"key,omitempty"`
	Hex  string `json:"key_hex,omitempty"`
}

func nameKey(key []byte) Key {
	if utf8.Valid(key) {
		return Key{Text: string(key)}
	}
	return Key{Hex: hex.EncodeToString(key)}
}

// String returns the key quoted, or as 0x and its hexadecimal digits.
func (k Key) String() string {
	if k.Hex != "" {
		return "0x" + k.Hex
	}
	return fmt.Sprintf("%q", k.Text)
}
