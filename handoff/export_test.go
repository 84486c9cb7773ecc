package handoff

// Kept returns the numbers of the chunks that a sender keeps.
func (s *Sender) Kept() (seqs []uint64) {
	for _, c := range s.chunks {
		seqs = append(seqs, c.Seq)
	}
	return seqs
}
