package handoff

// keySet is a set of keys that remembers the order in which they came, so that
// what is done with them is the same whenever the same has happened. The zero
// value is empty.
type keySet struct {
	order []string       // by position; some of which have been removed since
	first int            // the position of order[0]
	at    map[string]int // the position of each key that is in the set; nil while empty
}

// add puts a key in. It is copied.
func (s *keySet) add(key []byte) {
	if s.contains(key) {
		return
	}
	if s.at == nil {
		s.at = make(map[string]int)
	}
	k := string(key)
	s.at[k] = s.first + len(s.order)
	s.order = append(s.order, k)
}

// remove takes a key out. If it is added again it comes last.
func (s *keySet) remove(key []byte) {
	delete(s.at, string(key))
	if len(s.at) == 0 {
		s.clear()
	}
}

func (s *keySet) contains(key []byte) bool {
	_, there := s.at[string(key)]
	return there
}

func (s *keySet) len() int { return len(s.at) }

// pop takes out the key that came first, or returns false.
func (s *keySet) pop() (key []byte, ok bool) {
	for i, k := range s.order {
		if !s.holds(i) {
			continue
		}
		s.order, s.first = s.order[i+1:], s.first+i+1
		key = []byte(k)
		s.remove(key)
		return key, true
	}
	return nil, false
}

// holds says whether order[i] is in the set, rather than removed since, or added
// again behind.
func (s *keySet) holds(i int) bool {
	at, there := s.at[s.order[i]]
	return there && at == s.first+i
}

// all returns the keys in their order.
func (s *keySet) all() [][]byte {
	keys := make([][]byte, 0, len(s.at))
	for i, k := range s.order {
		if s.holds(i) {
			keys = append(keys, []byte(k))
		}
	}
	return keys
}

func (s *keySet) clear() { *s = keySet{} }
