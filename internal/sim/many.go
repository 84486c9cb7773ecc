package sim

// Tally is what many runs have come to.
type Tally struct {
	Runs, Changed int // Changed had a change of the membership
	Counts        Counts
	Least         Counts // of operations and faults in one run
	Failed        []Result
}

// Add takes the result of one more run.
func (t *Tally) Add(r Result) {
	if t.Runs == 0 {
		t.Least = r.Counts
	}
	t.Runs++
	t.Counts.Add(r.Counts)
	for i := range t.Least {
		t.Least[i] = min(t.Least[i], r.Counts[i])
	}
	if r.Counts[Changes] > 0 {
		t.Changed++
	}
	if r.Failure != "" {
		t.Failed = append(t.Failed, r)
	}
}

// Missing returns the rare paths that were taken fewer than so many times.
func (t *Tally) Missing(least int) (all []Count) {
	for _, c := range Rare() {
		if t.Counts[c] < least {
			all = append(all, c)
		}
	}
	return all
}
