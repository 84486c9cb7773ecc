// Package protoactor starts a bare node of Proto.Actor, as its documentation shows,
// for what the framework takes beyond it to be measured. Nothing else imports it.
package protoactor

import (
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
)

// Start runs an actor system that takes messages at a free port of loopback, and
// returns what stops it.
func Start() (stop func()) {
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
	r := remote.NewRemote(system, remote.Configure("127.0.0.1", 0))
	r.Start()
	return func() {
		r.Shutdown(true)
		system.Shutdown()
	}
}
