package bench

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/torc-io/torc/membership"
	"github.com/torc-io/torc/membership/local"
	"github.com/torc-io/torc/membership/membershiptest"
)

// reached is a registry whose members are in this process.
type reached struct {
	*local.Store

	registry *registry
	members  atomic.Int64
}

// Connect connects one more member.
func (r *reached) Connect() membership.Membership {
	return &member{fmt.Sprint(r.members.Add(1)), r.registry.address()}
}

// TestRegistry holds it to the contract of a membership store.
func TestRegistry(t *testing.T) {
	membershiptest.Run(t, func(t *testing.T) membershiptest.Store {
		r := &reached{Store: local.NewStore()}
		var err error
		if r.registry, err = openRegistry(t.Context(), r.Store); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.registry.close(); err != nil {
				t.Error(err)
			}
		})
		return r
	})
}
