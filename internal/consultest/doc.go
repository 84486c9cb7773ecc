// Package consultest runs a real Consul for tests.
//
//	agent := consultest.Start(t)  // a dev agent, killed when t ends
//	config.Agent = agent.Address()
//	agent.Kill()                  // and everything in it is gone
//	err := agent.Restart(ctx)     // empty, on the same ports
//
// It is the program itself, not an imitation: what a membership store must get
// right are the ways in which the real one surprises. An agent in development
// mode is a whole cluster of one server that keeps its data in memory, listens
// on loopback alone, and has a leader a fifth of a second after its start. Each
// takes four free ports and some 120 MB of memory, so tests share one where
// they can, under a cluster name of their own each: [Launch] is for TestMain.
//
// # Getting Consul
//
// The program is the one that TORC_CONSUL names, else bin/consul of this module
// (`make consul` builds it), else the consul of PATH. Without any, [Start]
// skips its test, but fails it where CI is set: what nobody runs proves nothing.
//
// # What it does not do
//
// It knows nothing of who uses it: it registers no service and sets no key, and
// it leaves no agent behind: where the system can, an agent dies with the test
// process, however that ends.
package consultest
