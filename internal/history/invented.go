package history

import "fmt"

// Invented finds the reads that returned what nobody had written: a version that
// is none of the key's, that was not begun yet, that certainly failed, or that is
// a delete.
func Invented(r *Record) []Finding {
	var all []Finding
	for s := range r.stories() {
		for _, read := range s.reads {
			if read.Version == Nothing {
				continue
			}
			w, known := s.write(read.Version)
			switch {
			case !known:
				all = append(all, Finding{"invented", read, w, "which nobody wrote"})
			case w.Kind == Delete:
				all = append(all, Finding{"invented", read, w, fmt.Sprintf("which has no value: %v", w)})
			case w.Outcome == Failed, w.Begin > read.End:
				all = append(all, Finding{"invented", read, w, fmt.Sprintf("which cannot be that of the %v", w)})
			}
		}
	}
	return all
}
