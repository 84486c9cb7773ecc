package archtest

import (
	"go/ast"
	"go/doc"
	"go/token"
	"strings"
)

const (
	whyPackageDocs  = "the package doc is where a reader starts: purpose, picture, rules for callers, what it does not do"
	whyExportedDocs = "a name that others may use promises something, and its doc says what: units, bounds, errors"
)

func packageDocs(m *Module) []Finding {
	var findings []Finding
	for _, pkg := range m.Packages {
		if pkg.Name == "" {
			continue
		}
		var docs []*ast.CommentGroup
		for _, file := range pkg.Files {
			if !file.Test && file.Syntax.Doc != nil {
				docs = append(docs, file.Syntax.Doc)
			}
		}
		switch len(docs) {
		case 0:
			findings = append(findings, found(pkg.Dir, "package %s has no doc", pkg.Name))
		case 1:
			if what := poorPackageDoc(pkg, docs[0].Text()); what != "" {
				findings = append(findings, found(m.at(docs[0]), "%s", what))
			}
		default:
			findings = append(findings, found(m.at(docs[1]), "package %s has its doc in %d places", pkg.Name, len(docs)))
		}
	}
	return findings
}

// poorPackageDoc says what is wrong with the doc of a package, "" if nothing.
func poorPackageDoc(pkg *Package, text string) string {
	if pkg.Name != "main" && !strings.HasPrefix(text, "Package "+pkg.Name+" ") {
		return "the doc does not begin with: Package " + pkg.Name
	}
	public := pkg.Name != "main" && !within(pkg.Dir, "internal")
	var reader doc.Package
	if public && reader.Synopsis(text) == strings.Join(strings.Fields(text), " ") {
		return "the doc of package " + pkg.Name + " is one sentence; its users need more"
	}
	return ""
}

func exportedDocs(m *Module) []Finding {
	var findings []Finding
	for pkg, file := range m.sources() {
		if pkg.Name == "main" {
			continue
		}
		for _, decl := range file.Syntax.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				findings = append(findings, m.funcDoc(decl)...)
			case *ast.GenDecl:
				findings = append(findings, m.declDocs(decl)...)
			}
		}
	}
	return findings
}

func (m *Module) funcDoc(decl *ast.FuncDecl) []Finding {
	receiver := receiverName(decl)
	if !decl.Name.IsExported() || (receiver != "" && !ast.IsExported(receiver)) {
		return nil
	}
	return m.namedDoc(decl.Name, decl.Doc)
}

// receiverName returns the type that a method belongs to, "" for functions.
func receiverName(decl *ast.FuncDecl) string {
	if decl.Recv == nil || len(decl.Recv.List) == 0 {
		return ""
	}
	expr := decl.Recv.List[0].Type
	for {
		switch inner := expr.(type) {
		case *ast.Ident:
			return inner.Name
		case *ast.StarExpr:
			expr = inner.X
		case *ast.ParenExpr:
			expr = inner.X
		case *ast.IndexExpr:
			expr = inner.X
		case *ast.IndexListExpr:
			expr = inner.X
		default:
			return ""
		}
	}
}

// declDocs judges types one by one. Constants and variables may share the doc
// of their group, or have a comment at the end of the line.
func (m *Module) declDocs(decl *ast.GenDecl) []Finding {
	var findings []Finding
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			text := spec.Doc
			if text == nil && decl.Lparen == token.NoPos {
				text = decl.Doc
			}
			if spec.Name.IsExported() {
				findings = append(findings, m.namedDoc(spec.Name, text)...)
			}
		case *ast.ValueSpec:
			if decl.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				findings = append(findings, m.bareValues(spec)...)
			}
		}
	}
	return findings
}

func (m *Module) bareValues(spec *ast.ValueSpec) []Finding {
	var findings []Finding
	for _, name := range spec.Names {
		if name.IsExported() {
			findings = append(findings, found(m.at(name), "%s has no doc, nor has its group", name.Name))
		}
	}
	return findings
}

// namedDoc wants a doc that begins with the name, perhaps after an article.
func (m *Module) namedDoc(name *ast.Ident, group *ast.CommentGroup) []Finding {
	text := strings.TrimSpace(group.Text())
	if text == "" {
		return []Finding{found(m.at(name), "%s has no doc", name.Name)}
	}
	words := strings.Fields(text)
	if article := words[0]; len(words) > 1 && (article == "A" || article == "An" || article == "The") {
		words = words[1:]
	}
	if strings.TrimRight(words[0], ",.:;") != name.Name {
		return []Finding{found(m.at(name), "the doc of %s does not begin with its name", name.Name)}
	}
	return nil
}
