package local_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/torc-io/torc/membership/local"
	"github.com/torc-io/torc/membership/membershiptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	membershiptest.Run(t, func(*testing.T) membershiptest.Store { return local.NewStore() })
}
