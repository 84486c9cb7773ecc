package archtest

import (
	"go/ast"
	"slices"
	"strings"
)

const whyNames = "a name that could hold anything will: name the concept, and what does not belong stands out"

var (
	// vaguePackages are names for a drawer.
	vaguePackages = []string{"base", "common", "helper", "helpers", "lib", "misc", "shared", "util", "utils"}
	// vagueTypes are endings that say nothing about what a type does.
	vagueTypes = []string{"Helper", "Helpers", "Manager", "Util", "Utils"}
)

func names(m *Module) []Finding {
	var findings []Finding
	for _, pkg := range m.Packages {
		if slices.Contains(vaguePackages, pkg.Name) {
			findings = append(findings, found(pkg.Dir, "package %s is named like a drawer", pkg.Name))
		}
	}
	for _, file := range m.all() {
		ast.Inspect(file.Syntax, func(node ast.Node) bool {
			if spec, ok := node.(*ast.TypeSpec); ok {
				findings = append(findings, m.vagueType(spec)...)
			}
			return true
		})
	}
	return findings
}

func (m *Module) vagueType(spec *ast.TypeSpec) []Finding {
	name := strings.ToUpper(spec.Name.Name[:1]) + spec.Name.Name[1:]
	for _, ending := range vagueTypes {
		if strings.HasSuffix(name, ending) {
			return []Finding{found(m.at(spec), "type %s: %s does not say what it does", spec.Name.Name, ending)}
		}
	}
	return nil
}
