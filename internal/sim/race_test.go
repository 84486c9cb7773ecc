//go:build race

package sim

// raced says that the race detector is on. It makes a run ten times slower, and
// there is one goroutine in it: a few seeds say as much as many.
const raced = true
