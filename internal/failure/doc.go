// Package failure carries errors of requests from a node to a client outside of
// its cluster, so that errors.Is and errors.As find there what they would have
// found on the node: torc's sentinels, and the *torc.QuorumError with its causes.
//
//	node:    err ──Encode──▶ *connect.Error with a code, a text and details
//	client:  *connect.Error ──Decode──▶ an error with the same text and the same sentinels
//
// Encode and Decode are the two halves of one table, in reason.go. Codes are for
// clients that know Connect or gRPC and nothing of torc; code.go has the table
// that gives an error its code. What is known of a failed request's effect
// travels beside it, and decides whether a client may send the command again.
//
// Texts are cut so that an error fits into the headers that gRPC sends it in.
package failure
