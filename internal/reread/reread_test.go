package reread_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/reread"
)

// subject is a value made of one file, which must not hold "bad".
type subject struct {
	*reread.Value[string]
	t    *testing.T
	path string
	made int
	log  strings.Builder
}

func newSubject(t *testing.T) *subject {
	t.Helper()
	s := &subject{t: t, path: filepath.Join(t.TempDir(), "file")}
	s.write("one", time.Hour)
	var err error
	s.Value, err = reread.New(slog.New(slog.NewTextHandler(&s.log, nil)), s.read, s.path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *subject) read() (string, error) {
	s.made++
	data, err := os.ReadFile(s.path)
	if err == nil && string(data) == "bad" {
		err = errors.New("it is bad")
	}
	return string(data), err
}

// write makes the file's contents, and its age.
func (s *subject) write(text string, age time.Duration) {
	s.t.Helper()
	if err := os.WriteFile(s.path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	then := time.Now().Add(-age)
	if err := os.Chtimes(s.path, then, then); err != nil {
		s.t.Fatal(err)
	}
}

func (s *subject) want(text string) {
	s.t.Helper()
	if got := s.Get(); got != text {
		s.t.Errorf("got %q, want %q", got, text)
	}
}

func TestReadsOnlyWhatChanged(t *testing.T) {
	s := newSubject(t)
	for range 3 {
		s.want("one")
	}
	if s.made != 1 {
		t.Errorf("read %d times", s.made)
	}
	s.write("two", 30*time.Minute) // of the same size
	s.want("two")
	s.want("two")
	if s.made != 2 {
		t.Errorf("read %d times", s.made)
	}
}

func TestReadsWhatIsYoungAgain(t *testing.T) {
	s := newSubject(t)
	at := time.Now()
	for _, text := range []string{"two", "six", "ten"} { // within one tick of the file system's clock
		s.write(text, 0)
		if err := os.Chtimes(s.path, at, at); err != nil {
			t.Fatal(err)
		}
		s.want(text)
	}
}

func TestKeepsTheLastGoodValue(t *testing.T) {
	s := newSubject(t)
	s.write("bad", 0)
	for range 3 {
		s.want("one")
	}
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.want("one")
	}
	if got := strings.Count(s.log.String(), "level=ERROR"); got != 2 {
		t.Errorf("%d complaints, want one of the bad file and one of the missing:\n%s", got, &s.log)
	}
	s.write("three", 0)
	s.want("three")
	if !strings.Contains(s.log.String(), "level=INFO") {
		t.Errorf("nothing about the good file:\n%s", &s.log)
	}
}

func TestBeginsWithAnError(t *testing.T) {
	s := newSubject(t)
	s.write("bad", time.Hour)
	if _, err := reread.New(slog.New(slog.DiscardHandler), s.read, s.path); err == nil {
		t.Error("began with a bad file")
	}
	if _, err := reread.New(slog.New(slog.DiscardHandler), s.read, s.path+"x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("began without a file: %v", err)
	}
}

func TestConcurrentReaders(t *testing.T) {
	s := newSubject(t)
	s.write("two", 0)
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 100 {
				s.want("two")
			}
		})
	}
	readers.Wait()
}
