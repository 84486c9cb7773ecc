package history

import "fmt"

// Lost finds the keys of which the end knows less than was acknowledged: their
// final read is older than the last acknowledged version, or found nothing
// although nobody deleted them. A key that was written and has no final read is
// found too, for nothing is proved about it.
func Lost(r *Record) []Finding {
	var all []Finding
	for s := range r.stories() {
		if len(s.acks) == 0 {
			continue
		}
		finals := 0
		for _, read := range s.reads {
			if read.Kind != Final {
				continue
			}
			finals++
			if last, is := s.outdated(read); is {
				all = append(all, Finding{"lost", read, last, fmt.Sprintf("and the end of what was acknowledged is the %v", last)})
			}
		}
		if finals == 0 {
			last := s.acks[len(s.acks)-1]
			all = append(all, Finding{
				"lost",
				Op{Key: last.Key, Kind: Final, Outcome: Failed},
				last,
				fmt.Sprintf("so nobody knows what became of the %v", last),
			})
		}
	}
	return all
}
