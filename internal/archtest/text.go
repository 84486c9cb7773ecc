package archtest

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	whyText     = "the repository is the same for everyone who clones it"
	whyLinks    = "a dead link costs each reader the search that its author saved"
	whyExamples = "an example is found, run and learned from by its page"
)

// misplaced is what must not be committed.
var misplaced = []struct {
	pattern *regexp.Regexp
	what    string
}{
	{regexp.MustCompile(`(?m)(^|[\s"'=(:` + "`" + `])/(home|root|Users|tmp|work)/\w`), "a path that exists on one machine only"},
	{regexp.MustCompile(`(?m)^(<{7}|>{7}) `), "the mark of an unfinished merge"},
	{regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`), "a private key; tests make their own"},
}

func texts(m *Module) []Finding {
	var findings []Finding
	for _, text := range m.Texts {
		for _, thing := range misplaced {
			if at := thing.pattern.FindStringIndex(text.Body); at != nil {
				findings = append(findings, found(lineAt(text, at[1]-1), "%s", thing.what))
			}
		}
	}
	return findings
}

// lineAt returns the place of a byte of a text, as file:line.
func lineAt(text Text, offset int) string {
	return fmt.Sprintf("%s:%d", text.Path, 1+strings.Count(text.Body[:offset], "\n"))
}

var (
	// linkPattern matches [text](target) and, at the start of a line, [text]: target.
	linkPattern = regexp.MustCompile(`(?m)\]\(<?([^)>\s]+)[^)]*\)|^\[[^\]]+\]: *(\S+)`)
	// codePattern matches fenced blocks and code within a line, where nothing is a link.
	codePattern = regexp.MustCompile("(?ms)^ *```.*?\n *```|`[^`\n]*`")
)

func links(m *Module) []Finding {
	var findings []Finding
	for _, text := range m.Texts {
		if path.Ext(text.Path) != ".md" {
			continue
		}
		prose := codePattern.ReplaceAllStringFunc(text.Body, blank)
		for _, at := range linkPattern.FindAllStringSubmatchIndex(prose, -1) {
			target := submatch(prose, at)
			if file := linkedFile(text.Path, target); file != "" && !m.exists(file) {
				findings = append(findings, found(lineAt(text, at[0]), "%s leads nowhere", target))
			}
		}
	}
	return findings
}

// blank keeps the lines of a text and drops what is on them.
func blank(text string) string {
	return strings.Repeat("\n", strings.Count(text, "\n"))
}

// submatch returns the one group of linkPattern that took part in a match.
func submatch(text string, at []int) string {
	if at[2] >= 0 {
		return text[at[2]:at[3]]
	}
	return text[at[4]:at[5]]
}

// linkedFile returns the file of the module that a link in a document leads
// to, "" if it leads elsewhere.
func linkedFile(document, target string) string {
	link, err := url.Parse(target)
	if err != nil || link.Scheme != "" || link.Host != "" || link.Path == "" {
		return ""
	}
	if path.IsAbs(link.Path) {
		return path.Clean(link.Path[1:])
	}
	return path.Join(path.Dir(document), link.Path)
}

// exists says whether the module has a file, or a directory with one.
func (m *Module) exists(name string) bool {
	return name == "." || slices.ContainsFunc(m.Paths, func(path string) bool { return within(path, name) })
}

func examples(m *Module) []Finding {
	var findings []Finding
	seen := map[string]bool{}
	for _, name := range m.Paths {
		parts := strings.Split(name, "/")
		if len(parts) < 3 || parts[0] != "examples" {
			continue
		}
		dir := path.Join(parts[:2]...)
		if !seen[dir] && !m.exists(dir+"/README.md") {
			findings = append(findings, found(dir, "has no README.md"))
		}
		seen[dir] = true
	}
	return findings
}
