package archtest

import (
	"go/ast"
	"go/token"
	"slices"
)

const whyState = "state that belongs to a package is shared by every node in a process and every test: a value someone owns can be made twice"

func state(m *Module) []Finding {
	var findings []Finding
	for _, file := range m.sources() {
		for _, decl := range file.Syntax.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil && decl.Name.Name == "init" {
					findings = append(findings, found(m.at(decl.Name), "an init function: whoever imports the package gets its effects unasked"))
				}
			case *ast.GenDecl:
				findings = append(findings, m.mutableVars(file, decl)...)
			}
		}
	}
	return findings
}

// mutableVars finds package-level variables that are made to be changed.
// Tables, sentinels and a sync.Pool (which is memory, not state) are none.
func (m *Module) mutableVars(file *File, decl *ast.GenDecl) []Finding {
	if decl.Tok != token.VAR {
		return nil
	}
	var findings []Finding
	for _, spec := range decl.Specs {
		value, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		if what := mutable(file, value); what != "" {
			findings = append(findings, found(m.at(value), "package-level variable %s holds %s", value.Names[0].Name, what))
		}
	}
	return findings
}

// mutable says what in a variable is there to be changed, "" if nothing is.
func mutable(file *File, spec *ast.ValueSpec) string {
	if _, isMap := spec.Type.(*ast.MapType); isMap && len(spec.Values) == 0 {
		return "an empty map"
	}
	what := ""
	look := func(node ast.Node) bool {
		if _, isFunc := node.(*ast.FuncLit); isFunc || what != "" {
			return false
		}
		what = mutableNode(file, node)
		return true
	}
	if spec.Type != nil {
		ast.Inspect(spec.Type, look)
	}
	for _, value := range spec.Values {
		ast.Inspect(value, look)
	}
	return what
}

func mutableNode(file *File, node ast.Node) string {
	switch node := node.(type) {
	case *ast.ChanType:
		return "a channel"
	case *ast.CallExpr:
		if ident, ok := node.Fun.(*ast.Ident); ok && ident.Name == "make" {
			return "something made to be filled"
		}
	case *ast.CompositeLit:
		if _, isMap := node.Type.(*ast.MapType); isMap && len(node.Elts) == 0 {
			return "an empty map"
		}
	case *ast.SelectorExpr:
		guards := []string{"Cond", "Map", "Mutex", "Once", "RWMutex", "WaitGroup"}
		if name := importName(file, "sync"); name != "" && slices.Contains(guards, selected(node, name)) {
			return "a sync." + node.Sel.Name
		}
		if name := importName(file, "sync/atomic"); name != "" && selected(node, name) != "" {
			return "an atomic." + node.Sel.Name
		}
	}
	return ""
}
