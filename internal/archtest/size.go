package archtest

import "go/ast"

const whySize = "what does not fit on a screen does not fit in a head: give each rule its own small function, file or type"

const (
	// maxFunction is the length of a function in lines, signature and braces
	// included. Most should stay under ten.
	maxFunction = 70
	// maxTest is the same for functions in tests, where a table may be long.
	maxTest = 120
	// maxFile is the length of a file in lines, tests included.
	maxFile = 600
	// maxParameters of a function, not counting a context and a testing.TB. Aim at four.
	maxParameters = 5
)

func sizes(m *Module) []Finding {
	var findings []Finding
	for _, file := range m.all() {
		if lines := m.fset.File(file.Syntax.FileStart).LineCount(); lines > maxFile {
			findings = append(findings, found(file.Path, "has %d lines; the limit is %d", lines, maxFile))
		}
		limit := maxFunction
		if file.Test {
			limit = maxTest
		}
		for _, decl := range file.Syntax.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok {
				findings = append(findings, m.functionSize(function, limit)...)
			}
		}
	}
	return findings
}

func (m *Module) functionSize(decl *ast.FuncDecl, limit int) []Finding {
	var findings []Finding
	if length := m.lines(decl); length > limit {
		findings = append(findings, found(m.at(decl.Name), "%s has %d lines; the limit is %d", decl.Name.Name, length, limit))
	}
	if n := parameters(decl); n > maxParameters {
		findings = append(findings, found(m.at(decl.Name), "%s takes %d parameters; the limit is %d", decl.Name.Name, n, maxParameters))
	}
	return findings
}

// parameters counts what a caller has to think about.
func parameters(decl *ast.FuncDecl) int {
	count := 0
	for _, field := range decl.Type.Params.List {
		if !ambient(field.Type) {
			count += max(1, len(field.Names))
		}
	}
	return count
}

// ambient says whether a parameter comes with the surroundings.
func ambient(expr ast.Expr) bool {
	if star, ok := expr.(*ast.StarExpr); ok {
		expr = star.X
	}
	if selected(expr, "context") == "Context" {
		return true
	}
	switch selected(expr, "testing") {
	case "T", "B", "F", "TB":
		return true
	}
	return false
}
