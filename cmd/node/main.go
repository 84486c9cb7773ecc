// Node is a member of a Torc cluster, a cluster for development, and the tool
// to look at either.
//
//	node                        three members in this process, HTTP on 127.0.0.1:4000, 4001 and 4002
//	node start --name a         one member
//	node members | ring         what a running node knows of its cluster
//	node transfers              what moves, how far it is, and why the rest waits
//	node transfer-limit         how much of that at a time
//	node plan | commit          look at what would move, and make it so
//	node leave | down NAME      a member goes: in order, or given up for dead
//	node where KEY              which members serve a key
//	node get | put | delete     the key/value service
//	node ping                   which member answers
//	node send SERVICE METHOD    any command of any service
//	node bench                  put a load on a cluster, and measure it
//	node certs NAME             certificates for development
//
// Members run the services kv and ping, and answer HTTP as package
// internal/httpapi describes. All commands but start, certs and version are clients
// of that, at --http or $TORC_HTTP_ADDR.
//
// # Signals
//
// The first SIGINT or SIGTERM stops cleanly: not ready, finish requests in
// flight, deregister, stop. A restart is not a leave: the member keeps its
// partitions. The second signal stops at once. A member that has left stops by
// itself.
//
// # Exit codes
//
// 0 is done, 1 failed, 2 a usage that makes no sense.
package main

import (
	"context"
	"io"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr}))
}

// streams are what a program reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// run is the program: it executes the command line and returns the exit code.
// It ends early when ctx does. Tests call it within their own process.
func run(ctx context.Context, args []string, s streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	command, err := root.ExecuteContextC(ctx)
	return report(s.err, command, err)
}
