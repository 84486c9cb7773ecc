package history

import "fmt"

// Stale finds the reads that returned something older than a write, or a delete,
// that had been acknowledged when they began.
func Stale(r *Record) []Finding {
	var all []Finding
	for s := range r.stories() {
		for _, read := range s.reads {
			if read.Kind == Final {
				continue // which Lost judges
			}
			if last, is := s.outdated(read); is {
				all = append(all, Finding{"stale", read, last, fmt.Sprintf("after the acknowledged %v", last)})
			}
		}
	}
	return all
}
