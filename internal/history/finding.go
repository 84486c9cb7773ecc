package history

import "fmt"

// Finding is a read that must not have returned what it did.
type Finding struct {
	// What is the word for what is wrong: "lost", "resurrected", "stale" or "invented".
	What string
	// Read is the operation that shows it.
	Read Op
	// Proof is the one that proves it; the zero Op if there is none to name.
	Proof Op
	// Reason says in words why Read is wrong.
	Reason string
}

// String returns the finding on one line, with both operations.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %v: %v, %s", f.What, f.Read.Key, f.Read, f.Reason)
}
