package archtest

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxText is the size in bytes from which a file is taken for data, not text.
const maxText = 1 << 20

// Module is the source of a Go module: what rules look at.
type Module struct {
	// Path of the module, as in its go.mod.
	Path string
	// Packages by directory, in order.
	Packages []*Package
	// Paths of all files, in order, relative to the module and with slashes.
	Paths []string
	// Texts are those that hold text, Go or not.
	Texts []Text

	fset *token.FileSet
}

// Package is the Go files of one directory, tests included.
type Package struct {
	// Dir is relative to the module and uses slashes; the root is ".".
	Dir string
	// Name in the package clauses of the files that are no tests. Empty if all are.
	Name string
	// Files in order of their names.
	Files []*File
}

// File is a parsed Go file.
type File struct {
	// Path is relative to the module and uses slashes.
	Path string
	// Test says that the name ends in _test.go.
	Test bool
	// Syntax with comments, not resolved.
	Syntax *ast.File
}

// Text is a file as written.
type Text struct {
	// Path is relative to the module and uses slashes.
	Path string
	// Body of the file.
	Body string
}

// Load reads the module whose go.mod is at the root of fsys.
func Load(fsys fs.FS) (*Module, error) {
	mod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, err
	}
	m := &Module{Path: modulePath(string(mod)), fset: token.NewFileSet()}
	if m.Path == "" {
		return nil, errors.New("go.mod names no module")
	}
	err = fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && leftOut(entry.Name()):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		return m.read(fsys, name)
	})
	return m, err
}

// modulePath returns what the module line of a go.mod says.
func modulePath(mod string) string {
	for line := range strings.Lines(mod) {
		if name, ok := strings.CutPrefix(line, "module "); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

// leftOut says whether a directory holds what git or the Makefile put there.
func leftOut(dir string) bool {
	return dir == ".git" || dir == "bin" || dir == "build"
}

func (m *Module) read(fsys fs.FS, name string) error {
	m.Paths = append(m.Paths, name)
	body, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	if len(body) > maxText || !utf8.Valid(body) {
		return nil
	}
	m.Texts = append(m.Texts, Text{Path: name, Body: string(body)})
	if path.Ext(name) != ".go" || !ours(fsys, path.Dir(name)) {
		return nil
	}
	syntax, err := parser.ParseFile(m.fset, name, body, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parsing: %w", err)
	}
	if !ast.IsGenerated(syntax) {
		m.add(&File{Path: name, Test: strings.HasSuffix(name, "_test.go"), Syntax: syntax})
	}
	return nil
}

// ours says whether the Go files in dir belong to this module: none of testdata
// do, nor those below another go.mod.
func ours(fsys fs.FS, dir string) bool {
	for ; dir != "."; dir = path.Dir(dir) {
		if path.Base(dir) == "testdata" {
			return false
		}
		if _, err := fs.Stat(fsys, path.Join(dir, "go.mod")); err == nil {
			return false
		}
	}
	return true
}

func (m *Module) add(file *File) {
	dir := path.Dir(file.Path)
	i := slices.IndexFunc(m.Packages, func(p *Package) bool { return p.Dir == dir })
	if i < 0 {
		i = len(m.Packages)
		m.Packages = append(m.Packages, &Package{Dir: dir})
	}
	pkg := m.Packages[i]
	pkg.Files = append(pkg.Files, file)
	if !file.Test {
		pkg.Name = file.Syntax.Name.Name
	}
}

// sources yields the files that are no tests, with their packages.
func (m *Module) sources() iter.Seq2[*Package, *File] {
	return func(yield func(*Package, *File) bool) {
		for pkg, file := range m.all() {
			if !file.Test && !yield(pkg, file) {
				return
			}
		}
	}
}

// all yields every file with its package.
func (m *Module) all() iter.Seq2[*Package, *File] {
	return func(yield func(*Package, *File) bool) {
		for _, pkg := range m.Packages {
			for _, file := range pkg.Files {
				if !yield(pkg, file) {
					return
				}
			}
		}
	}
}

// at returns where a node stands, as file:line.
func (m *Module) at(node ast.Node) string {
	position := m.fset.Position(node.Pos())
	return fmt.Sprintf("%s:%d", position.Filename, position.Line)
}

// lines returns how many lines a node takes, from its first to its last.
func (m *Module) lines(node ast.Node) int {
	return m.fset.Position(node.End()).Line - m.fset.Position(node.Pos()).Line + 1
}
