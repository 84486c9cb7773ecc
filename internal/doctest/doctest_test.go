package doctest_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/torc-io/torc/internal/doctest"
)

var rewrite = flag.Bool("rewrite", false, "put the listed files into the pages")

// patience bounds every command of a page; the first may have to compile.
const patience = time.Minute

// isServer finds the commands that go on running until the page ends. Their ports
// are the page's own: no two of them listen at the same address.
var isServer = regexp.MustCompile(`^(go run ./cmd/node|make agent|bin/node start .*)$`)

// elsewhere are commands that a test of the tests cannot run.
var elsewhere = map[string]string{
	"make test":  "this test is part of it",
	"make check": "this test is part of it",
	"make race":  "this test is part of it",
	"make bench": "takes minutes; internal/bench has tests of its own",
}

// root is the project's.
const root = "../.."

func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*/README.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return slices.DeleteFunc(all, func(path string) bool { return path == filepath.Clean(tutorial) })
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestListings: a program shown in a page is the program in the repository.
func TestListings(t *testing.T) {
	for _, path := range pages(t) {
		text := read(t, path)
		for _, l := range doctest.Parse(text).Listings {
			want := read(t, filepath.Join(root, l.File))
			if l.Text == want {
				continue
			}
			if !*rewrite {
				t.Errorf("%s:%d: the listing differs from %s; go test ./internal/doctest -rewrite brings it in", path, l.Line, l.File)
				continue
			}
			fence := "```go " + l.File + "\n"
			text = strings.Replace(text, fence+strings.TrimPrefix(l.Text, "\n"), fence+want, 1)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestCommands runs every command of every page, in the order of the page.
func TestCommands(t *testing.T) {
	for _, path := range pages(t) {
		page := doctest.Parse(read(t, path))
		if filepath.Base(path) != "CONTRIBUTING.md" { // its commands are about the tests themselves
			for _, line := range page.Unchecked {
				t.Errorf("%s:%d: a shell block that nothing runs; make it a console block", path, line)
			}
		}
		if len(page.Steps) > 0 {
			t.Run(filepath.ToSlash(path), func(t *testing.T) {
				r := reader{dir: root}
				for _, s := range page.Steps {
					if !r.follow(t, s) {
						return
					}
				}
			})
		}
	}
}

func TestParse(t *testing.T) {
	page := doctest.Parse("text\n```console\n$ a\nx ... y\n...\n$ b\n```\n```go f.go\npackage f\n```\n```sh\nc\n```\n")
	if len(page.Steps) != 2 || page.Steps[0].Line != 3 || page.Steps[1].Command != "b" {
		t.Errorf("steps: %+v", page.Steps)
	}
	if len(page.Listings) != 1 || page.Listings[0].File != "f.go" || page.Listings[0].Text != "package f\n" {
		t.Errorf("listings: %+v", page.Listings)
	}
	if !slices.Equal(page.Unchecked, []int{11}) {
		t.Errorf("unchecked: %v", page.Unchecked)
	}
	for output, want := range map[string]bool{"x 1 y\nmore\n": true, "x  y\n\n": true, "x y\nz": false, "z\nx 1 y\n": false} {
		if got := page.Steps[0].Matches(output); got != want {
			t.Errorf("Matches(%q) = %v", output, got)
		}
	}
}
