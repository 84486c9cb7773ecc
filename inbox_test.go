package torc_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	torc "github.com/torc-io/torc"
	testingpb "github.com/torc-io/torc/proto/torc/testing/v1"
)

// pushes sends numbered messages from a node, and wants no error.
func pushes(t *testing.T, from *torc.Node, to torc.Address, count int) {
	t.Helper()
	for i := range count {
		if err := from.Push(to, &testingpb.Seen{Version: uint64(i + 1)}); err != nil {
			t.Fatalf("push %d from %s to %s: %v", i+1, from.Name(), to, err)
		}
	}
}

// arrived drains an inbox that is closed or about to be.
func arrived(i *torc.Inbox[*testingpb.Seen]) (all []uint64) {
	for m := range i.All {
		all = append(all, m.GetVersion())
	}
	return all
}

func TestInboxGetsWhatIsPushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, "a", "b")
		inbox := torc.OpenInbox[*testingpb.Seen](c.nodes["a"], 10)
		for _, from := range []torc.NodeName{"b", "a"} {
			pushes(t, c.nodes[from], inbox.Address(), 3)
			synctest.Wait()
		}
		inbox.Close()
		inbox.Close()
		if got := arrived(inbox); !slices.Equal(got, []uint64{1, 2, 3, 1, 2, 3}) || inbox.Overflowed() {
			t.Errorf("got %v, overflowed %v", got, inbox.Overflowed())
		}
	})
}

// TestInboxThatIsNotRead: it closes, whoever sends does not wait, and whoever
// watches is told.
func TestInboxThatIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, "a", "b", "c")
		inbox := torc.OpenInbox[*testingpb.Seen](c.nodes["a"], 2)
		gone := make(chan string, 9)
		for name, n := range c.nodes {
			n.Watch(inbox.Address(), func() { gone <- string(name) })
		}
		c.nodes["c"].Watch(inbox.Address(), func() { gone <- "nobody" })()
		pushes(t, c.nodes["b"], inbox.Address(), 5)
		synctest.Wait()
		close(gone)
		var told []string
		for name := range gone {
			told = append(told, name)
		}
		slices.Sort(told)
		if fmt.Sprint(told) != "[a b c]" {
			t.Errorf("told are %v", told)
		}
		if got := arrived(inbox); !slices.Equal(got, []uint64{1, 2}) || !inbox.Overflowed() {
			t.Errorf("got %v, overflowed %v", got, inbox.Overflowed())
		}
	})
}

// TestInboxOfANodeThatIsGone: the watch hears of a node that is down, of one that
// has restarted at the next message, and at once of what is gone already.
func TestInboxOfANodeThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startCluster(t, torc.Quorum{N: 3}, "a", "b", "c")
		inbox := torc.OpenInbox[*testingpb.Seen](c.nodes["a"], 10)
		watch := func(on torc.NodeName) chan struct{} {
			gone := make(chan struct{})
			c.nodes[on].Watch(inbox.Address(), func() { close(gone) })
			return gone
		}
		told := func(what string, gone chan struct{}) {
			select {
			case <-gone:
			case <-time.After(3 * time.Second):
				t.Errorf("not told: %s", what)
			}
		}
		onB := watch("b")
		c.isolate("a")
		told("a is down", onB)
		told("a is down since", watch("b"))
		c.rejoin("a")
		time.Sleep(2 * time.Second)
		onB = watch("b")
		pushes(t, c.nodes["b"], inbox.Address(), 1)
		inbox.Close()
		told("the inbox was closed", onB)
		onC := watch("c")
		pushes(t, c.nodes["c"], inbox.Address(), 1)
		told("the message met no inbox", onC)
		told("there is none here", watch("a"))
	})
}
