package sim

import "time"

// Shrink leaves out of a scenario that fails whatever is not needed for it to
// fail: first every other half of the faults, then one by one, and then it lets
// the run end earlier. What it fails of may change; it is a failure all the same.
func Shrink(s Scenario) Scenario { return shrink(s, hooks{}.fresh()) }

func shrink(s Scenario, h func() hooks) Scenario {
	fails := func(s Scenario) bool { return run(s, nil, h()).Failure != "" }
	for size := (len(s.Faults) + 1) / 2; size >= 1; size /= 2 {
		for at := 0; at < len(s.Faults); {
			skip := map[int]bool{}
			for i := at; i < min(at+size, len(s.Faults)); i++ {
				skip[i] = true
			}
			if fewer := s.without(skip); fails(fewer) {
				s = fewer
			} else {
				at += size
			}
		}
	}
	const step = time.Second
	for s.Length > 2*step {
		shorter := s
		shorter.Length -= step
		if !fails(shorter) {
			break
		}
		s = shorter
	}
	return s
}

// fresh returns hooks that keep nothing between runs.
func (h hooks) fresh() func() hooks { return func() hooks { return h } }
