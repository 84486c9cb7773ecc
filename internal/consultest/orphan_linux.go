package consultest

import "syscall"

// dieWithParent has the kernel kill the agent when the test process ends without
// its cleanup, as after a panic or a timeout.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
