package main

import (
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/torc-io/torc/ring"
)

// colour is what ANSI terminals call one (ECMA-48, SGR).
type colour string

// The colours that are told apart on dark and on light ground.
const (
	plain   colour = ""
	red     colour = "31"
	green   colour = "32"
	yellow  colour = "33"
	blue    colour = "34"
	magenta colour = "35"
	cyan    colour = "36"
)

// memberColours are those of members, in turn. Red is kept for trouble.
var memberColours = []colour{cyan, yellow, magenta, green, blue}

// wordColours are those of a member's status and liveness.
var wordColours = map[string]colour{
	"valid": green, "joining": cyan, "leaving": yellow, "exiting": yellow, "down": red,
	"alive": green, "unproven": cyan, "suspect": yellow,
}

// palette paints, or does not.
type palette struct{ on bool }

// paletteFor paints for terminals alone, and not if the user has set NO_COLOR
// (no-color.org).
func paletteFor(w io.Writer) palette {
	return palette{isTerminal(w) && likesColour(os.Getenv)}
}

// likesColour says whether the environment has nothing against colour.
func likesColour(getenv func(string) string) bool {
	return getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

func (p palette) paint(c colour, text string) string {
	if !p.on || c == plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// word paints a status or a liveness.
func (p palette) word(text string) string { return p.paint(wordColours[text], text) }

func memberColour(index int) colour { return memberColours[index%len(memberColours)] }

// drawRing returns the picture of a ring, each member in a colour of its own.
func drawRing(r *ring.Ring, p palette) string {
	picture := strings.TrimRight(r.String(), "\n")
	if !p.on {
		return picture + "\n"
	}
	lines := strings.Split(picture, "\n")
	// The picture ends in a line for each member, in order, that begins with
	// the member's symbol.
	members := r.Members()
	legend := lines[max(0, len(lines)-len(members)):]
	colours := make(map[string]colour)
	for i, line := range legend {
		colours[strings.Fields(line)[0]] = memberColour(i)
	}
	for i := 1; i < len(lines)-len(legend); i++ {
		lines[i] = p.paintCells(lines[i], colours)
	}
	for i, line := range legend {
		legend[i] = p.paintMember(line, memberColour(i))
	}
	return strings.Join(lines, "\n") + "\n"
}

var words = regexp.MustCompile(`\S+`)

// paintCells paints a row of partitions, which begins with a number. A cell is a
// symbol, or two if the partition moves: "a>b".
func (p palette) paintCells(row string, colours map[string]colour) string {
	first := true
	return words.ReplaceAllStringFunc(row, func(cell string) string {
		if first {
			first = false
			return cell
		}
		symbols := strings.Split(cell, ">")
		for i, s := range symbols {
			symbols[i] = p.paint(colours[s], s)
		}
		return strings.Join(symbols, ">")
	})
}

// paintMember paints a member's line: its symbol, its name, its bar, and its
// status.
func (p palette) paintMember(line string, c colour) string {
	at := 0
	return words.ReplaceAllStringFunc(line, func(word string) string {
		at++
		isBar := strings.Trim(word, "#") == ""
		switch {
		case at <= 2 || isBar:
			return p.paint(c, word)
		default:
			return p.word(word)
		}
	})
}

// cell is a text in a table.
type cell struct {
	text   string
	colour colour
}

// table is text in columns.
type table struct {
	palette palette
	rows    [][]cell
}

// add adds a row, in which words that have a colour are painted.
func (t *table) add(texts ...string) {
	row := make([]cell, len(texts))
	for i, text := range texts {
		row[i] = cell{text, wordColours[text]}
	}
	t.addCells(row...)
}

func (t *table) addCells(cells ...cell) { t.rows = append(t.rows, cells) }

// String lines the columns up, and paints the cells.
func (t *table) String() string {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(cell.text)))
		}
	}
	var text strings.Builder
	for _, row := range t.rows {
		text.WriteString(t.line(row, widths) + "\n")
	}
	return text.String()
}

// line writes a row. The last cell that holds anything is not padded.
func (t *table) line(row []cell, widths []int) string {
	last := len(row) - 1
	for last > 0 && row[last].text == "" {
		last--
	}
	var text strings.Builder
	for i, cell := range row[:last+1] {
		text.WriteString(t.palette.paint(cell.colour, cell.text))
		if i < last {
			text.WriteString(strings.Repeat(" ", widths[i]-len([]rune(cell.text))+3))
		}
	}
	return text.String()
}
