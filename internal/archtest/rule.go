package archtest

import "fmt"

// Rule is one promise that the source keeps.
type Rule struct {
	// Name is a short word for reports and seeds.
	Name string
	// Why the promise matters, for findings that bring no reason of their own.
	Why string

	find func(*Module) []Finding
}

// Finding is a place that breaks a rule.
type Finding struct {
	// Where is a file and line, a file, or a directory.
	Where string
	// What is wrong there.
	What string
	// Why it matters.
	Why string
}

// String says where, what and why, in two lines.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s\n\twhy: %s", f.Where, f.What, f.Why)
}

// Rules returns all rules.
func Rules() []Rule {
	return []Rule{
		{"imports", whyLayers, imports},
		{"purity", whyPure, purity},
		{"package-docs", whyPackageDocs, packageDocs},
		{"exported-docs", whyExportedDocs, exportedDocs},
		{"size", whySize, sizes},
		{"state", whyState, state},
		{"names", whyNames, names},
		{"sleep", whySleep, sleeps},
		{"text", whyText, texts},
		{"links", whyLinks, links},
		{"examples", whyExamples, examples},
	}
}

// Check returns the places in m that break the rule, each with its reason.
func (r Rule) Check(m *Module) []Finding {
	findings := r.find(m)
	for i := range findings {
		if findings[i].Why == "" {
			findings[i].Why = r.Why
		}
	}
	return findings
}

// found makes a finding whose reason is the rule's.
func found(where, format string, args ...any) Finding {
	return Finding{Where: where, What: fmt.Sprintf(format, args...)}
}
