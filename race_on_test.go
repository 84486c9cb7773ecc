//go:build race

package torc_test

// raceEnabled makes tests that count in millions count in thousands.
const raceEnabled = true
