// Package bench measures what the framework costs: the same work, done through
// torc and done by a plain Go program without any framework, side by side in
// one run.
//
// # Ratios, not absolutes
//
// An operation per second says as much about the machine, and about what else
// runs on it, as about the program. So the number to read is the ratio of two
// [Contender]s of one [Case]. They take turns (A B C, A B C, …), so that what
// disturbs one disturbs the other too, and both are open all the time, so that
// the garbage collector has the same heap to walk for either. The ratio is the
// median of the rounds' ratios, each between neighbours in time; every other
// number is the median of its column.
//
// # The twin
//
// A twin that does less work than the framework proves nothing, nor does one
// that was written badly. Ours hashes the key with the same function, looks up
// the partition and the list of three, gives the object a version, has it
// stored by the goroutine that owns the partition in the same kind of ordered
// map if it is newer than what is there, waits for two acknowledgements and
// checks that nobody was faster. It leaves out all that a plain program would
// leave out too: deadlines, cancelled clients, panics, bounds, metrics, nodes
// that are away, and refusing versions from a clock that runs ahead. It comes
// twice: "floor", where the calling goroutine fans out and gathers by itself,
// the least that can be done; and "goroutine", where each request has a
// goroutine of its own, which sees the late reply too and repairs by it.
//
// # Three processes
//
// A cluster is this process, where the clients are, and two others: this program
// once more, in the role of a member ([RunMember]). Each key has a replica in each.
// The twins send the same frames: over TCP with one writer for each peer, over one
// gRPC stream for each peer, and by a gRPC call for each replica; the caller fans
// out and gathers by itself. Processor time is that of all three, and what is
// allocated is counted in this one. The members of torc find each other by a store
// that this process keeps for them, so that nothing has to be installed.
//
// Over HTTP the client is a connection and the bytes of a request. That of net/http
// costs more than a server, and would make all of them look alike.
//
// # Closed loop
//
// Each of C clients starts its next operation when the last one has ended. Time
// per operation is wall time divided by operations, over all clients, so it is
// throughput upside down; latency is in the percentiles. A closed loop slows
// down with the system it measures, and so says little about latency under a
// given load. So there is an open loop apart, at parts of the highest rate: package
// load has it, and says what it measures.
//
// # Cost as work grows, and idle nodes
//
// Some cases compare torc with itself, at more and at less of something. What a
// node takes that does nothing is asked of processes of their own, beside one with
// a bare Proto.Actor node and one with nothing.
//
// # Handoff
//
// [Handoff] is apart, since what it measures happens once: half of what one node
// holds moves to a second one, over the real transport, in one process. Its twins
// are gRPC streams that move as much in the same round: the bytes alone, in chunks
// and in a message an item, and the items, from maps into maps. The last is what
// handoff would be if nobody wrote meanwhile and nothing could break. What commands
// notice is measured by clients that work before, during and after it.
//
// # Adding a case
//
// A [Contender] opens a [System], which makes an [Op] for each client. All that
// is needed to compare two ways of doing something is an Op for each. A target that
// the report shall judge by is in verdict.go.
package bench
