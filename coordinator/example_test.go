package coordinator_test

import (
	"errors"
	"fmt"

	"github.com/torc-io/torc/coordinator"
	"github.com/torc-io/torc/ring"
)

// sixNodes returns a ring of a … f, one partition each.
func sixNodes() *ring.Ring {
	state := ring.State{ClusterID: "example", Epoch: 1, Hash: ring.HashName, TargetN: 3}
	for _, name := range letters("abcdef") {
		state.Members = append(state.Members, ring.Member{Name: name, Status: ring.Valid})
		state.Owners = append(state.Owners, name)
	}
	r, err := ring.FromState(state)
	if err != nil {
		panic(err)
	}
	return r
}

// A write to three partitions, of which two must acknowledge. One node refuses,
// and its stand-in takes the third copy.
func ExampleRequest() {
	var request coordinator.Request
	err := request.Init(coordinator.Config{
		Ring: sixNodes(), Partition: 1, Kind: coordinator.Write,
		Quorum: coordinator.Quorum{N: 3, Need: 2},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// What vnodes would answer.
	vnode := func(t ring.Target) coordinator.Outcome {
		if t.Node == "c" {
			return coordinator.Refused
		}
		return coordinator.Acked
	}
	queue := request.Start().Sends
	for len(queue) > 0 {
		send := queue[0]
		position, counted, step := request.Reply(send.Target, vnode(send.Target))
		fmt.Println("position", position, "on", send.Node, "counts:", counted)
		if step.Answer == coordinator.Met {
			fmt.Println("answer the client")
		}
		if step.Closed {
			fmt.Println("closed")
		}
		queue = append(queue[1:], step.Sends...)
	}
	// Output:
	// position 0 on b counts: true
	// position 1 on c counts: false
	// position 2 on d counts: true
	// answer the client
	// position 1 on e counts: true
	// closed
}

// A read that saw divergence answers, and then writes the resolved value back.
func ExampleRequest_Repairs() {
	var request coordinator.Request
	if err := request.Init(coordinator.Config{Ring: sixNodes(), Quorum: coordinator.Quorum{N: 3, Need: 2}}); err != nil {
		fmt.Println(err)
		return
	}
	held := [3]string{"new", "old", ""}
	for _, send := range request.Start().Sends {
		outcome := coordinator.Acked
		if held[send.Position] == "" {
			outcome = coordinator.NotFound
		}
		request.Reply(send.Target, outcome)
	}
	for _, send := range request.Repairs(func(i int) bool { return held[i] == "new" }) {
		fmt.Printf("write back to partition %d on %s\n", send.Partition, send.Node)
	}
	// Output:
	// write back to partition 1 on b
	// write back to partition 2 on c
}

// A request that fails says what is known, and why.
func ExampleRequest_Error() {
	var request coordinator.Request
	if err := request.Init(coordinator.Config{
		Ring: sixNodes(), Kind: coordinator.Write, Quorum: coordinator.Quorum{N: 3, Need: 2},
	}); err != nil {
		fmt.Println(err)
		return
	}
	overloaded := errors.New("overloaded")
	for _, send := range request.Start().Sends[:2] {
		request.Reply(send.Target, [...]coordinator.Outcome{coordinator.Acked, coordinator.Shed}[send.Position])
	}
	request.Expire()
	err := request.Error(func(int) error { return overloaded })
	fmt.Println(err)
	fmt.Println(errors.Is(err, overloaded), err.Outcome)
	// Output:
	// write needed 2 of 3, got 1 (unknown outcome): partition 1 on b: overloaded; partition 2 on c: no reply by the deadline
	// true unknown
}

func ExampleParseCount() {
	for _, text := range []string{"one", "quorum", "all", "2"} {
		count, err := coordinator.ParseCount(text, 5)
		fmt.Println(text, count, err)
	}
	_, err := coordinator.ParseCount("most", 5)
	fmt.Println(err)
	// Output:
	// one 1 <nil>
	// quorum 3 <nil>
	// all 5 <nil>
	// 2 2 <nil>
	// invalid quorum: "most" is not one, quorum, all or a number
}
