package history

import "fmt"

// Resurrected finds the reads that returned a value from before a delete that had
// been acknowledged when they began.
func Resurrected(r *Record) []Finding {
	var all []Finding
	for s := range r.stories() {
		for _, read := range s.reads {
			gone := lastBefore(s.deletes, read.Begin)
			if read.Version != Nothing && read.Version < gone.Version && !s.late(read.Version, gone) {
				all = append(all, Finding{"resurrected", read, gone, fmt.Sprintf("after the acknowledged %v", gone)})
			}
		}
	}
	return all
}
