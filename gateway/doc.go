// Package gateway lets programs outside of a cluster send it commands. A
// [Gateway] is an http.Handler for one node, which speaks Connect, gRPC and
// gRPC-Web on one port, each with protobuf or JSON:
//
//	curl localhost:4000/torc.v1.CommandService/Execute -H 'Content-Type: application/json' \
//	    -d '{"service": "kv", "command": "Fetch", "message": {"key": "bXlfa2V5"}, "r": 2}'
//
// Go programs use package client, which sends the typed commands that a service's
// registration returned. Any other language has gRPC: the contract is
// proto/torc/v1/command.proto, and the node tells it by server reflection, with
// the types of all commands and replies.
//
// # Use
//
//	commands := gateway.New(gateway.Config{Logger: logger})
//	for _, path := range gateway.Paths() {
//		mux.Handle(path, commands) // answers from now on: "the node is starting"
//	}
//	node, err := torc.Start(ctx, config, services...)
//	commands.Attach(node)
//	…
//	commands.Drain() // "the node is stopping"; a moment later the server may shut down
//
// gRPC needs HTTP/2. Without TLS that is a server whose Protocols allow
// unencrypted HTTP/2; Connect and gRPC-Web do with HTTP/1 as well.
//
// # What a request says
//
// A command is a google.protobuf.Any, and the gateway decodes it if its type is
// that of a command which the service has registered. Everything else is refused
// by its name, undecoded. The deadline is that of the call (Connect-Timeout-Ms
// or grpc-timeout), at most [MaxTimeout]; without one it is the node's
// RequestTimeout. JSON is the usual one for protobuf, where bytes are base64.
// A field that does not exist is an error, not a thing to ignore.
//
// # Errors
//
// Every error has a torc.v1.Failure among its details: the reasons, which are
// torc's sentinels, and what is known of the effect. If replicas were asked, a
// torc.v1.QuorumFailure says what each of them had against it, and a
// torc.v1.Receipt which of them have executed the command. The codes:
//
//	InvalidArgument     the command, its key, its counts, or a size above the limit
//	NotFound            the replicas agree that there is nothing
//	ResourceExhausted   overload; or a body above the limit, which is not even read (no details)
//	Unavailable         too few replicas, or the node is starting or stopping
//	DeadlineExceeded    time ran out
//	Unimplemented       no such service or command
//	Unknown             a handler returned an error of its own
//	Internal            a handler panicked, or the node failed
//	Canceled            the caller went away
//
// # What it does not do
//
// It neither authenticates nor encrypts: put what does in front of it. It keeps
// no state of its own, and does not retry: a client knows better what it may
// send twice.
package gateway
