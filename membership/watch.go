package membership

import "context"

// Deliver is one step of a watch, for those who implement [Membership]: it
// offers state to the receiver until that has taken it and a change has happened,
// or until a change makes it old. So a slow receiver misses states, never the
// last. It returns false when ctx ends.
func Deliver[T any](ctx context.Context, to chan<- T, state T, changed <-chan struct{}) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-changed:
			return true
		case to <- state:
			to = nil
		}
	}
}
