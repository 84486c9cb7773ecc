package doctest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/torc-io/torc/internal/doctest"
)

// tutorial is the page that is followed in a folder of its own: its listings are
// the reader's files.
const tutorial = root + "/docs/tutorial.md"

// prepared are the commands that would fetch what is here already.
var prepared = map[string]string{
	"go mod init yak": "newModule writes go.mod",
	"go get github.com/torc-io/torc google.golang.org/protobuf": "and replaces torc by this repository",
}

// TestTutorial begins with an empty folder, writes each file when the page shows
// it, and types what the page says.
func TestTutorial(t *testing.T) {
	r := reader{dir: newModule(t), env: []string{"PATH=" + tools(t) + ":" + os.Getenv("PATH")}}
	page := doctest.Parse(read(t, tutorial))
	for _, s := range page.Steps {
		for len(page.Listings) > 0 && page.Listings[0].Line < s.Line {
			write(t, filepath.Join(r.dir, page.Listings[0].File), page.Listings[0].Text)
			page.Listings = page.Listings[1:]
		}
		if prepared[s.Command] == "" && !r.follow(t, s) {
			return
		}
	}
}

// newModule returns a folder with the go.mod that go get would write, if this
// repository were the published module.
func newModule(t *testing.T) string {
	t.Helper()
	dir, here := t.TempDir(), absolute(t, root)
	ours := read(t, filepath.Join(root, "go.mod"))
	module := strings.Replace(ours, "module github.com/torc-io/torc", "module yak", 1) +
		"\nrequire github.com/torc-io/torc v0.0.0\n\nreplace github.com/torc-io/torc => " + here + "\n"
	write(t, filepath.Join(dir, "go.mod"), module)
	write(t, filepath.Join(dir, "go.sum"), read(t, filepath.Join(root, "go.sum")))
	return dir
}

// tools returns a folder of programs that a reader has installed.
func tools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "buf")
	write(t, path, "#!/bin/sh\nexec go tool -modfile="+absolute(t, root)+"/tools/go.mod buf \"$@\"\n")
	if err := os.Chmod(path, 0o700); err != nil { // a script is executed
		t.Fatal(err)
	}
	return dir
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
