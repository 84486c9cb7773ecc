package main

import (
	"testing"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/actors/vnodetest"
	handoffkvpb "github.com/torc-io/torc/proto/torc/examples/handoffkv/v1"
)

// TestVnode holds the vnode to the whole contract, for any number of replicas.
func TestVnode(t *testing.T) {
	vnodetest.Run(t, vnodetest.Config[*vnode]{
		Open: func(t testing.TB) *vnode {
			v, err := open(t.Context(), torc.Host{})
			if err != nil {
				t.Fatal(err)
			}
			return v
		},
		Write: func(v *vnode, key []byte, i int) error {
			_, err := v.Store(t.Context(), &handoffkvpb.Store{Key: key, Entry: &handoffkvpb.Entry{WrittenAt: int64(i)}})
			return err
		},
	})
}
