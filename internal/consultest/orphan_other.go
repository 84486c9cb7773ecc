//go:build !linux

package consultest

import "syscall"

// dieWithParent is a wish that only Linux fulfils: elsewhere an agent outlives a
// test process that ends without its cleanup.
func dieWithParent() *syscall.SysProcAttr { return nil }
