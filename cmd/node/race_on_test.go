//go:build race

package main

// raceEnabled makes tests that store fifty thousand keys store five thousand.
const raceEnabled = true
