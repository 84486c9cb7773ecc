package ring

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// NodeName is the operator's stable name of a node. It is never host:port:
// a node keeps its name, and with it its partitions, when its address changes.
type NodeName string

// MaxNameBytes bounds a node's name, because names repeat in PIDs, Consul ids
// and log lines. 63 bytes is what the strictest of them, a DNS label, allows.
const MaxNameBytes = 63

// validate returns why the name cannot name a node, or nil.
func (name NodeName) validate() error {
	switch {
	case name == "":
		return fmt.Errorf("ring: a member has no name")
	case len(name) > MaxNameBytes:
		return fmt.Errorf("ring: name %q has %d bytes, more than %d", name, len(name), MaxNameBytes)
	case !utf8.ValidString(string(name)) || strings.ContainsFunc(string(name), unfitForName):
		return fmt.Errorf("ring: name %q holds a space, a slash or an unprintable character", name)
	}
	return nil
}

// unfitForName reports the characters that would break a PID's path
// ("service/partition") or a column of a table.
func unfitForName(c rune) bool { return c == '/' || unicode.IsSpace(c) || !unicode.IsPrint(c) }

// Status is where a member stands between joining and gone. It says nothing
// about whether the member is alive: that is not the ring's business.
type Status uint8

// The states of a member. A member that is gone is absent from the ring.
const (
	gone Status = iota

	Joining // known to the ring; owns nothing and claims nothing until a plan makes it valid
	Valid   // owns partitions, and claims its share in every plan
	Leaving // still owns what it has not handed off yet; claims nothing
	Exiting // has handed everything off; waits to be removed
	Down    // given up for dead by the operator or the claimant; owns nothing
)

// transitions is the one table of what may become of a member. It is
// riak_core's with two ways back added: a leave may be called off (leaving →
// valid), and a member that came back is taken in again (exiting, down →
// joining, valid).
var transitions = map[Status][]Status{
	gone:    {Joining, Valid},
	Joining: {Valid, Down, gone},
	Valid:   {Leaving, Down},
	Leaving: {Valid, Exiting, Down},
	Exiting: {Joining, Valid, Down, gone},
	Down:    {Joining, Valid, gone},
}

// statusNames are the words for the states in documents, tables and JSON.
var statusNames = map[Status]string{
	Joining: "joining", Valid: "valid", Leaving: "leaving", Exiting: "exiting", Down: "down",
}

// CanBecome reports whether the table of transitions leads from s to next.
func (s Status) CanBecome(next Status) bool { return slices.Contains(transitions[s], next) }

// Claims reports whether a member in this state is given partitions by a plan.
func (s Status) Claims() bool { return s == Valid }

// MayOwn reports whether a member in this state may own partitions: one that
// claims them, or one that has yet to hand them off.
func (s Status) MayOwn() bool { return s == Valid || s == Leaving }

// String returns the state's word, such as "leaving".
func (s Status) String() string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return fmt.Sprintf("status(%d)", uint8(s))
}

// ParseStatus returns the state with the given word, as [Status.String] spells it.
func ParseStatus(word string) (Status, error) {
	for status, name := range statusNames {
		if name == word {
			return status, nil
		}
	}
	return gone, fmt.Errorf("ring: %q is no state of a member", word)
}

// MarshalText writes the state's word, so that JSON shows "valid" and not 2.
func (s Status) MarshalText() ([]byte, error) {
	if _, ok := statusNames[s]; !ok {
		return nil, fmt.Errorf("ring: %v is no state of a member", s)
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads what [Status.MarshalText] wrote.
func (s *Status) UnmarshalText(text []byte) (err error) {
	*s, err = ParseStatus(string(text))
	return err
}

// Member is an entry of the ring. All but Name and Status is carried for those
// who route to the member; claim looks at neither address nor zone nor weight.
type Member struct {
	Name        NodeName
	Address     string // host:port of the member's transport
	Zone        string // failure domain, for display; claim does not spread over zones yet
	Weight      uint32 // reserved: claim gives every member the same share
	Incarnation uint64 // grows with every start of the node's process
	Status      Status
}

// byName orders members, and finds one in their order.
func byName(m Member, name NodeName) int { return strings.Compare(string(m.Name), string(name)) }
