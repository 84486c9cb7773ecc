// Package reread keeps a value that is made of files, such as a certificate and
// its key, and makes it again when one of them has changed.
//
// Whoever needs the value asks for it each time, and each time the files are
// looked at, though not read: that costs a system call for each, some
// microseconds, and there is no goroutine to stop and nothing to be told of. A
// change that cannot be used, such as a certificate whose key is yet to be
// written, leaves the last good value in its place and is logged once.
package reread

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// settled is how old a file must be for its time of modification to tell it from
// its next version. File systems count time in steps, of two seconds at worst; a
// younger file is read again, since it may have changed within its step.
const settled = 2 * time.Second

// Value is made of files. Its methods may be called from any goroutine.
type Value[T any] struct {
	load   func() (T, error)
	paths  []string
	logger *slog.Logger

	mu        sync.Mutex
	current   T
	seen      []os.FileInfo // of the files that current, or complaint, is made of
	complaint string        // why they could not be used, as it was logged; or ""
}

// New makes the value for the first time. load makes it of the files at paths,
// which it reads itself. It runs while others wait for the value.
func New[T any](logger *slog.Logger, load func() (T, error), paths ...string) (*Value[T], error) {
	v := &Value[T]{load: load, paths: paths, logger: logger}
	var err error
	if v.seen, err = look(paths); err != nil {
		return nil, err
	}
	if v.current, err = load(); err != nil {
		return nil, err
	}
	return v, nil
}

// Get returns the value of the files as they are, or as they last were usable.
func (v *Value[T]) Get() T {
	v.mu.Lock()
	defer v.mu.Unlock()
	seen, err := look(v.paths)
	if err != nil {
		v.complain(err)
		return v.current
	}
	if v.same(seen) {
		return v.current
	}
	// What was seen is from before the files are read: if they change meanwhile,
	// they are read again.
	changed := !v.sameFiles(seen)
	v.seen = seen
	next, err := v.load()
	if err != nil {
		v.complain(err)
		return v.current
	}
	v.current = next
	if changed || v.complaint != "" {
		v.complaint = ""
		v.logger.Info("read changed files", slog.Any("files", v.paths))
	}
	return v.current
}

// look asks for the state of all files.
func look(paths []string) ([]os.FileInfo, error) {
	infos := make([]os.FileInfo, len(paths))
	for i, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("look at a file: %w", err)
		}
		infos[i] = info
	}
	return infos, nil
}

// same says whether the files are surely those that were seen last.
func (v *Value[T]) same(now []os.FileInfo) bool {
	for _, info := range now {
		if time.Since(info.ModTime()) < settled {
			return false
		}
	}
	return v.sameFiles(now)
}

// sameFiles says whether nothing about the files tells them from those last seen.
func (v *Value[T]) sameFiles(now []os.FileInfo) bool {
	for i, info := range now {
		old := v.seen[i]
		if !os.SameFile(old, info) || old.Size() != info.Size() || !old.ModTime().Equal(info.ModTime()) {
			return false
		}
	}
	return true
}

// complain logs why the files cannot be used, unless that was the last thing said.
func (v *Value[T]) complain(err error) {
	if v.complaint == err.Error() {
		return
	}
	v.complaint = err.Error()
	v.logger.Error("changed files cannot be used; going on with what they were before",
		slog.Any("files", v.paths), slog.Any("error", err))
}
