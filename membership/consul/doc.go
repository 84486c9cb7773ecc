// Package consul keeps a cluster's membership in Consul.
//
//	store, err := consul.Open(consul.Config{Cluster: "demo", SelfTest: answers})
//	node, err := torc.Start(ctx, torc.Config{Name: "a", Membership: store.Connect()}, service)
//
// A process opens one [Store] and connects each of its nodes to it (there is
// mostly one). The store talks to the local agent, as Consul wants it, and shares
// three blocking queries among everyone who watches: an agent allows one client
// address 200 connections. Nothing runs while nobody is registered, watches or
// holds the lock, so there is nothing to close.
//
// # What is where
//
//	service <cluster>               one instance for each node, id <cluster>-<node>
//	  meta node, incarnation, zone, http, ring_size, version
//	  check service:<id>            a TTL check, passed when the self test answers
//	torc/<cluster>/ring             the ring document, by compare-and-set
//	torc/<cluster>/claimant         the claimant's lock, held by a session
//	torc/<cluster>/names/<node>     who runs under a name, held by a session
//
// The least ACL policy for it, with <cluster> filled in:
//
//	service "<cluster>"            { policy = "write" }
//	key_prefix "torc/<cluster>/"   { policy = "write" }
//	session_prefix ""              { policy = "write" }
//	node_prefix ""                 { policy = "read" }
//
// # What is relied on
//
//   - Writes happen in one order for all, and one with check-and-set only if
//     nothing came between ([KV], [transactions]): the ring document changes by
//     such writes alone.
//   - Of many that acquire a key, each with its session, one gets it, and a
//     session with behavior "delete" takes its keys along ([sessions]).
//   - A session's TTL is a lower bound: it ends no sooner than that after its last
//     renewal, mostly after twice that, and later still when the leader changes
//     (the same page).
//   - A read in mode "consistent" sees every write that ended before it began
//     ([consistency]).
//   - A blocking query returns when there may be something new, not only then,
//     and its index may go back ([blocking queries]). So every answer is a whole
//     state, compared with the last one.
//
// Nothing relies on a lock being exclusive. It is advisory: who was paused while
// holding it still believes in it. What is safe under that is Swap.
//
// # When Consul is away
//
// Watches keep their last state and go on by themselves, as do the registration
// and whoever waits for the lock: the first retry after about 0.2 s, the later
// ones up to 5 s apart. A failure is logged when it begins, when its kind changes
// and when it ends, not at each try. An agent that comes back with nothing in it
// knows the registered nodes again within 10 s. A claimant that cannot renew its
// session gives up before Consul could give the lock to another.
//
// # What it does not do
//
// It does not say who is reachable: a TTL check lives in the agent, and when the
// agent's machine dies it takes Consul seconds to notice. Requests are routed by
// heartbeats, see package membership. It makes no snapshot of the ring document:
// a node that finds it missing puts its own back.
//
// [KV]: https://developer.hashicorp.com/consul/api-docs/kv
// [transactions]: https://developer.hashicorp.com/consul/api-docs/txn
// [sessions]: https://developer.hashicorp.com/consul/docs/automate/session
// [consistency]: https://developer.hashicorp.com/consul/api-docs/features/consistency
// [blocking queries]: https://developer.hashicorp.com/consul/api-docs/features/blocking
package consul
