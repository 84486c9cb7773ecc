package archtest

import (
	"go/ast"
	"slices"
	"strconv"
	"strings"
)

const whyPure = "pure packages get time, chance and messages as values: that is what lets one test run ten thousand schedules, and replay one"

// pure lists the packages that decide and do not act. Their tests are free.
var pure = []string{"ring", "coordinator", "handoff"}

// impure is what a pure package does without, with everything below it. What
// is not in the standard library is impure too, but for pureImports.
var impure = []string{
	"context", "crypto/rand", "database", "expvar", "log", "math/rand", "net", "os",
	"plugin", "runtime", "sync", "syscall", "testing", "unsafe",
}

// pureImports are the exceptions, by package and import, each with its reason.
var pureImports = map[[2]string]string{
	{"ring", "github.com/zeebo/xxh3"}: "the frozen hash of keys: a function of its input",
}

// pureTime is what of package time is a value and no clock.
var pureTime = []string{
	"Duration", "Time", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour",
}

func purity(m *Module) []Finding {
	var findings []Finding
	for pkg, file := range m.sources() {
		if slices.ContainsFunc(pure, func(place string) bool { return within(pkg.Dir, place) }) {
			findings = append(findings, m.impureImports(pkg, file)...)
			findings = append(findings, m.clockReads(file)...)
			findings = append(findings, m.concurrency(file)...)
		}
	}
	return findings
}

func (m *Module) impureImports(pkg *Package, file *File) []Finding {
	var findings []Finding
	for _, spec := range file.Syntax.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		_, excused := pureImports[[2]string{pkg.Dir, target}]
		switch {
		case excused || within(target, m.Path): // the imports rule judges our own
		case strings.Contains(strings.Split(target, "/")[0], "."):
			findings = append(findings, found(m.at(spec), "%s is pure and imports %s, which is not in the standard library", pkg.Dir, target))
		case slices.ContainsFunc(impure, func(place string) bool { return within(target, place) }):
			findings = append(findings, found(m.at(spec), "%s is pure and imports %s", pkg.Dir, target))
		case spec.Name != nil && spec.Name.Name == ".":
			findings = append(findings, found(m.at(spec), "a dot import hides what comes from %s", target))
		}
	}
	return findings
}

// clockReads finds what the file uses of package time beyond its values.
func (m *Module) clockReads(file *File) []Finding {
	name := importName(file, "time")
	if name == "" {
		return nil
	}
	var findings []Finding
	ast.Inspect(file.Syntax, func(node ast.Node) bool {
		if used := selected(node, name); used != "" && !slices.Contains(pureTime, used) {
			findings = append(findings, found(m.at(node), "time.%s: of package time, only %s are values", used, strings.Join(pureTime, ", ")))
		}
		return true
	})
	return findings
}

// concurrency finds goroutines and channels.
func (m *Module) concurrency(file *File) []Finding {
	var findings []Finding
	ast.Inspect(file.Syntax, func(node ast.Node) bool {
		switch node.(type) {
		case *ast.GoStmt:
			findings = append(findings, found(m.at(node), "starts a goroutine"))
		case *ast.ChanType:
			findings = append(findings, found(m.at(node), "uses a channel"))
		}
		return true
	})
	return findings
}

// importName returns the name by which the file calls an import, "" if it does
// not import it or gives it no name to call it by.
func importName(file *File, target string) string {
	for _, spec := range file.Syntax.Imports {
		if spec.Path.Value != strconv.Quote(target) {
			continue
		}
		switch {
		case spec.Name == nil:
			return target[strings.LastIndex(target, "/")+1:]
		case spec.Name.Name == "." || spec.Name.Name == "_":
			return ""
		default:
			return spec.Name.Name
		}
	}
	return ""
}

// selected returns y if node is x.y with the given x, else "".
func selected(node ast.Node, x string) string {
	selector, ok := node.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if ident, ok := selector.X.(*ast.Ident); !ok || ident.Name != x {
		return ""
	}
	return selector.Sel.Name
}
