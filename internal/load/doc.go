// Package load drives reads and writes at a system and measures what they take.
// It knows nothing of the system: a [Target] is a function.
//
//	result, err := load.Run(ctx, load.Config{Rate: 5000, Time: time.Minute, …}, target)
//
// # Two loops
//
// In a closed loop each client starts its next operation when its last one has
// ended, so the load gives way to the system: while that stands still for a
// second, nobody asks anything, and one operation out of thousands was slow. It
// finds the highest rate.
//
// In an open loop operations start at a rate, whatever becomes of those before,
// as those of many users do. Where the system cannot keep up, or stands still,
// operations wait for one of the clients; the time that they wait is theirs:
//
//	start meant ────────────── start ────────────── end
//	            waited                  service
//	            ◀──────────── latency ────────────▶
//
// Latency is measured from when an operation was meant to start. To measure from
// when it was sent leaves out just those that the slow ones were in the way of:
// coordinated omission. Both are in the result, since what is between them is
// queueing. That timers fire late is in the latency too.
//
// # What is counted
//
// Percentiles are those of operations that succeeded. What failed is counted by
// kind, so a system that refuses quickly gains nothing. Operations that were due
// and had not started at the end are counted as unsent: an open loop with many of
// them was overloaded, and its latencies would have grown on.
package load
