//go:build unix

package bench

import (
	"syscall"
	"time"
)

// cpuTime is what the process has used of all processors so far, in user and in
// kernel mode. It is a steadier measure than the wall clock where others keep
// the machine busy. It is 0 if the system does not tell.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
