//go:build !race

package main

// raceEnabled makes a crowd smaller.
const raceEnabled = false
