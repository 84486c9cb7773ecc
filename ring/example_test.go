package ring_test

import (
	"fmt"

	"github.com/torc-io/torc/ring"
)

// newRing makes the ring of a small cluster.
func newRing(names ...ring.NodeName) *ring.Ring {
	var members []ring.Member
	for _, name := range names {
		members = append(members, ring.Member{Name: name})
	}
	r, err := ring.New("example", 12, 3, members...)
	if err != nil {
		panic(err)
	}
	return r
}

func ExampleNew() {
	fmt.Print(newRing("a", "b", "c"))
	// Output:
	// ring example, epoch 1: 12 partitions, N=3, 0 transfers pending
	//    0  a b c a b c a b c a b c
	//   a  a  valid     33.3%  4            ##############################
	//   b  b  valid     33.3%  4            ##############################
	//   c  c  valid     33.3%  4            ##############################
}

func ExampleRing_PreferenceList() {
	r := newRing("a", "b", "c", "d")
	p := r.Partition([]byte("my_key"))
	for _, target := range r.PreferenceList(p, 3) {
		fmt.Println(target.Partition, target.Node)
	}
	// Output:
	// 1 b
	// 2 c
	// 3 d
}

func ExampleRing_ReachableList() {
	r := newRing("a", "b", "c", "d")
	reachable := func(node ring.NodeName) bool { return node != "b" }
	for _, target := range r.ReachableList(0, 3, reachable) {
		fmt.Println(target.Partition, target.Node, target.Fallback)
	}
	// Output:
	// 0 a false
	// 1 d true
	// 2 c false
}

func ExampleRing_Plan() {
	r := newRing("a", "b", "c")
	plan, err := r.Plan(ring.Join(ring.Member{Name: "d"}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(plan)
	// Output:
	// plan for ring example, epoch 1 to 2
	//   join d
	// transfers
	//   a > d  1: 3
	//   b > d  1: 7
	//   c > d  1: 11
	// moves 3, lower bound 3
	// violations 0, least possible 0
	//   a  33.3% >  25.0%     4 > 3    -1
	//   b  33.3% >  25.0%     4 > 3    -1
	//   c  33.3% >  25.0%     4 > 3    -1
	//   d   0.0% >  25.0%     0 > 3    +3
}

func ExampleRing_Complete() {
	plan, err := newRing("a", "b").Plan(ring.Leave("b"))
	if err != nil {
		fmt.Println(err)
		return
	}
	r := plan.Next
	for _, transfer := range r.Transfers() { // each once its data has arrived
		if r, err = r.Complete(transfer); err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Print(r.MembersTable())
	// Output:
	// ===== Membership =====
	// Status     Ring      Pending   Node
	// valid      100.0%    100.0%    a
	// exiting    0.0%      0.0%      b
	// Valid:1 / Leaving:0 / Exiting:1 / Joining:0 / Down:0
}
