package archtest

import (
	"go/ast"
	"strings"
)

const whySleep = "a sleep waits for luck: too short on a busy machine, too long everywhere else. " +
	"Use testing/synctest, a channel, or a timer with a context; a poll of another process says so with //archtest:sleep and its reason"

// sleepDirective before a reason excuses a sleep on its line or on the next.
const sleepDirective = "//archtest:sleep "

func sleeps(m *Module) []Finding {
	var findings []Finding
	for _, file := range m.all() {
		name := importName(file, "time")
		if name == "" || importName(file, "testing/synctest") != "" {
			continue
		}
		excused := m.excusedLines(file)
		ast.Inspect(file.Syntax, func(node ast.Node) bool {
			if selected(node, name) == "Sleep" && !excused[m.fset.Position(node.Pos()).Line] {
				findings = append(findings, found(m.at(node), "sleeps"))
			}
			return true
		})
	}
	return findings
}

func (m *Module) excusedLines(file *File) map[int]bool {
	excused := map[int]bool{}
	for _, group := range file.Syntax.Comments {
		for _, comment := range group.List {
			reason, ok := strings.CutPrefix(comment.Text, sleepDirective)
			if ok && strings.TrimSpace(reason) != "" {
				line := m.fset.Position(comment.Pos()).Line
				excused[line], excused[line+1] = true, true
			}
		}
	}
	return excused
}
