// Package doctest reads the commands and programs out of Markdown, so that a
// test can run them: what a page says to type works, and shows what it says.
//
// Two kinds of fenced block count:
//
//   - ```console: lines that begin with "$ " are commands, the lines below each
//     are what it prints. "..." stands for anything within a line, and a line of
//     its own for any lines.
//   - ```console NAME: likewise in a terminal of that name, where a command goes
//     on running. Lines that begin with "> " are typed to it; a block that begins
//     with other lines waits until the program has printed those by itself, and
//     one that says ^C ends it.
//   - ```go path/of/file.go, or another language: the block is that file, word for
//     word.
package doctest

import (
	"regexp"
	"strings"
)

// Step is one command of a page and what it prints.
type Step struct {
	Line       int      // of the step in the page
	Terminal   string   // its name, "" for that of the reader's shell
	Command    string   // for the shell, or
	Typed      string   // for the program that runs in the terminal
	Awaits     bool     // or nothing: the program prints by itself,
	Interrupts bool     // or is interrupted
	Output     []string // as the page has it, with "..." for what may differ
}

// Listing is a block that shows a whole file.
type Listing struct {
	Line int // of the opening fence
	File string
	Text string
}

// Page is what a Markdown file asks to be true.
type Page struct {
	Steps    []Step
	Listings []Listing
	// Unchecked are the lines of shell blocks that nothing runs.
	Unchecked []int
}

// Parse reads a Markdown file.
func Parse(markdown string) Page {
	var page Page
	lines := strings.Split(markdown, "\n")
	for i := 0; i < len(lines); i++ {
		info, fenced := strings.CutPrefix(lines[i], "```")
		if !fenced {
			continue
		}
		end := i + 1
		for end < len(lines) && lines[end] != "```" {
			end++
		}
		page.add(info, i+1, lines[i+1:min(end, len(lines))])
		i = end
	}
	return page
}

// add takes one fenced block; line is that of its opening fence.
func (p *Page) add(info string, line int, body []string) {
	language, file, _ := strings.Cut(info, " ")
	switch {
	case language == "console":
		p.Steps = append(p.Steps, steps(line, file, body)...)
	case file != "":
		p.Listings = append(p.Listings, Listing{line, file, strings.Join(body, "\n") + "\n"})
	case language == "sh" || language == "bash" || language == "shell":
		p.Unchecked = append(p.Unchecked, line)
	}
}

func steps(line int, terminal string, body []string) []Step {
	var all []Step
	for i, text := range body {
		step := Step{Line: line + 1 + i, Terminal: terminal}
		command, isCommand := strings.CutPrefix(text, "$ ")
		typed, isTyped := strings.CutPrefix(text, "> ")
		switch {
		case isCommand:
			step.Command = command
			all = append(all, step)
		case isTyped && terminal != "":
			step.Typed = typed
			all = append(all, step)
		case text == "^C" && terminal != "":
			step.Interrupts = true
			all = append(all, step)
		case len(all) == 0 && terminal != "":
			step.Awaits, step.Output = true, []string{text}
			all = append(all, step)
		case len(all) > 0:
			last := &all[len(all)-1]
			last.Output = append(last.Output, text)
		}
	}
	return all
}

// Matches says whether a command printed what the page says it prints.
func (s Step) Matches(output string) bool {
	return s.pattern().MatchString(strings.TrimRight(output, "\n"))
}

// Begins says whether output begins with what the page says, for commands that
// go on running.
func (s Step) Begins(output string) bool {
	return s.prefix().MatchString(output)
}

// Find returns where in output the step's own part ends: what it prints by
// itself, or what answers a typed line, up to the next prompt. An answer that ends
// in a line "..." goes on, and nobody waits for its end. It is -1 as long as the
// part has not been printed.
func (s Step) Find(output string) int {
	lines, prompt := s.Output, `\n> `
	if !s.Awaits && len(lines) > 1 && lines[len(lines)-1] == "..." {
		lines, prompt = lines[:len(lines)-1], `\n`
	}
	expression := Step{Output: lines}.expression()
	switch {
	case s.Awaits:
	case expression == "":
		expression = `(?:\A|\n)> `
	default: // something else may come before, if the program also prints by itself
		expression = `(?:\A|\n|> )` + expression + prompt
	}
	at := regexp.MustCompile(expression).FindStringIndex(output)
	if at == nil {
		return -1
	}
	return at[1]
}

func (s Step) pattern() *regexp.Regexp { return regexp.MustCompile(`\A` + s.expression() + `\z`) }
func (s Step) prefix() *regexp.Regexp  { return regexp.MustCompile(`\A` + s.expression() + `\n`) }

func (s Step) expression() string {
	var b strings.Builder
	for i, line := range s.Output {
		switch {
		case line == "..." && i == 0:
			b.WriteString(`(?s:.*)`)
		case line == "...":
			b.WriteString(`(?s:\n.*)?`)
		default:
			b.WriteString([]string{"", `\n`}[min(i, 1)])
			b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `.*`))
		}
	}
	return b.String()
}
