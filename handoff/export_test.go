package handoff

// Kept returns the numbers of the chunks that a sender keeps.
func (s *Sender) Kept() (seqs []uint64) {
	for _, c := range s.chunks {
		seqs = append(seqs, c.Seq)
	}
	return seqs
}

// Left returns how many keys are dirty.
func (s *Sender) Left() int { return s.dirty.len() }
