package consul

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"sync"
)

// tokenFile is an ACL token that may change while the process runs. Nil is one
// that does not: the client has it from the environment, if at all.
type tokenFile struct {
	path string

	mu   sync.Mutex
	last string
}

// newTokenFile prefers the configured path to that of the environment. It fails
// if the file cannot be read now: later failures keep the last token.
func newTokenFile(configured, environment string) (*tokenFile, error) {
	path := cmp.Or(configured, environment)
	if path == "" {
		return nil, nil //nolint:nilnil // no file is no error, and a nil file is one that is empty
	}
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("consul: read the ACL token: %w", err)
	}
	return &tokenFile{path: path, last: strings.TrimSpace(string(data))}, nil
}

// read returns the token as the file has it now. While there is no file, as in
// the middle of a rotation, or nothing in it, it stays what it was.
func (f *tokenFile) read() string {
	if f == nil {
		return ""
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if data, err := os.ReadFile(f.path); err == nil {
		f.last = cmp.Or(strings.TrimSpace(string(data)), f.last)
	}
	return f.last
}
