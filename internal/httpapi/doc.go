// Package httpapi is what a node answers over HTTP: the key/value store for
// clients, the ring and the members for operators, health and metrics for
// machines.
//
//	PUT    /api/store/{key}  ?n= &w= &pw= &nodes=   store the body with its content type
//	DELETE /api/store/{key}  ?n= &w= &pw= &nodes=   remove
//	GET    /api/store/{key}  ?n= &r= &pr= &nodes=   the body as it was stored; HEAD too
//	GET    /api/ping         ?key=                  which partition and node answered
//	GET    /api/where/{key}  ?n=                    who serves a key, as seen from here
//	GET    /api/ring, /api/members                  the ring, and its members with their liveness
//	GET    /api/transfers                           what moves, how far it is, and why the rest waits
//	GET    /api/transfer-limit                      how much of that at a time, on this node
//	POST   /api/transfer-limit                      change it, until the node stops
//	POST   /api/plan                                what changes of the ring would move, and a token
//	POST   /api/commit                              publish exactly the plan of a token, or 409
//	POST   /api/leave                               this node leaves
//	POST   /api/down/{name}  ?force=                give a member up for dead, if it cannot be reached
//	GET    /livez, /readyz, /metrics, /debug/pprof/
//
// Counts of replicas are one, quorum, all, or a number. Requests with a command
// take ?timeout=2s, or the header X-Request-Timeout.
//
// # Keys
//
// A key is any bytes: what follows the prefix in the path as the client sent it,
// unescaped once. So "a%2Fb" and "a/b" are the same key, "..", "." and "//" are
// keys like others, and no path is cleaned or redirected, as http.ServeMux would.
//
// # Errors
//
// Every error is a [Problem] of RFC 9457, and the table in problem.go is the one
// place where an error gets its status. Whoever was not served for lack of
// replicas learns what was needed, what came, and why each other replica did
// not count. A handler that panics costs its request, never the node.
//
// # Life of an API
//
//	api := httpapi.New(config)                 // /livez answers, /readyz says: starting
//	go httpapi.NewServer(api, logger).Serve(listener)
//	node, err := torc.Start(ctx, …, config.KV, config.Ping)
//	api.Attach(node)                           // serves
//	api.Drain()                                // /readyz says: stopping; requests are still served
//	httpapi.Stop(ctx, server)                  // lets requests in flight end
//	node.Shutdown(ctx)
//
// # What it does not do
//
// An [API] lets everyone do everything who reaches it: [RequireToken] before it
// says who may, and a TLS listener below it encrypts. It keeps no state of its
// own: a plan that waits for its commit is all in the token.
package httpapi
