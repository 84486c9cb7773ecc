package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// unit is a number of bytes with a name.
type unit struct {
	name  string
	bytes float64
}

// units are what users may write. What is shown is in powers of ten, as
// networks and disks are sold.
var units = []unit{
	{"B", 1},
	{"kB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
}

// shownUnits are those of units that are shown.
var shownUnits = units[:4]

// byteRate is the flag --rate: bytes per second, 0 for what a member finds right.
type byteRate int64

// auto is the rate of 0.
const auto = "auto"

// Set reads a rate such as 10MB, 1.5 GiB/s or auto. Without a unit it is bytes.
func (r *byteRate) Set(text string) error {
	text = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "/s"))
	if text == auto {
		*r = 0
		return nil
	}
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	name := strings.TrimSpace(text[len(digits):])
	at := slices.IndexFunc(units, func(u unit) bool { return name == "" || strings.EqualFold(u.name, name) })
	number, err := strconv.ParseFloat(digits, 64)
	if err != nil || at < 0 || number < 0 || number*units[at].bytes >= math.MaxInt64 {
		return fmt.Errorf("%q is no rate: want bytes per second such as 10MB or 512KiB, or auto", text)
	}
	*r = byteRate(math.Ceil(number * units[at].bytes)) // never to 0, which would be auto
	return nil
}

// String writes a rate so that it can be read again.
func (r *byteRate) String() string {
	if *r == 0 {
		return "0"
	}
	return strings.ReplaceAll(sizeText(float64(*r)), " ", "")
}

// Type is how usage calls it.
func (r *byteRate) Type() string { return "rate" }

// sizeText writes a number of bytes in three digits or so.
func sizeText(bytes float64) string {
	at := 0
	for at < len(shownUnits)-1 && bytes >= 0.9995*shownUnits[at+1].bytes {
		at++
	}
	number := bytes / shownUnits[at].bytes
	switch {
	case at == 0 || number >= 99.95:
		return fmt.Sprintf("%.0f %s", number, shownUnits[at].name)
	case number >= 9.995:
		return fmt.Sprintf("%.1f %s", number, shownUnits[at].name)
	default:
		return fmt.Sprintf("%.2f %s", number, shownUnits[at].name)
	}
}

// rateText writes bytes per second.
func rateText(rate float64) string { return sizeText(rate) + "/s" }

// spanText writes a time that passes, to the second.
func spanText(d time.Duration) string { return d.Round(time.Second).String() }

// barWidth of a bar leaves room for the numbers beside it.
const barWidth = 20

// barText draws how much of a total is done. Without a total all is.
func barText(width int, done, total int64) string {
	filled := width
	if total > 0 {
		filled = int(int64(width) * min(done, total) / total)
	}
	return "[" + strings.Repeat("#", filled) + strings.Repeat(".", width-filled) + "]"
}
