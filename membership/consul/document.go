package consul

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/torc-io/torc/membership"
)

// ringKey is where the ring document is kept, below the cluster's prefix.
const ringKey = "ring"

// staleIndex is how Consul says that a check-and-set met another index than the
// one given (agent/consul/state/txn.go): it answers 409 to whatever fails in a
// transaction, a missing permission among it.
const staleIndex = "index is stale"

// Document reads with consistency, so that it sees every Swap that ended before.
func (c *connection) Document(ctx context.Context) (membership.Document, error) {
	ctx, cancel := c.brief(ctx)
	defer cancel()
	document, _, err := c.askDocument(c.consistent(ctx))
	if err != nil {
		return membership.Document{}, fmt.Errorf("consul: read %s: %w", c.key(ringKey), err)
	}
	return document, nil
}

// Swap is a check-and-set by the key's ModifyIndex, which is the Version. It is
// a transaction of one operation, because only that returns the new index. Consul
// takes requests of 512 KiB (limits.txn_max_req_len), hence documents of 380 KiB.
func (c *connection) Swap(ctx context.Context, version uint64, data []byte) (membership.Document, error) {
	ctx, cancel := c.brief(ctx)
	defer cancel()
	operation := &api.KVTxnOp{Verb: api.KVCAS, Key: c.key(ringKey), Value: data, Index: version}
	ok, response, _, err := c.client.Txn().Txn(api.TxnOps{{KV: operation}}, c.read(ctx))
	switch {
	case err != nil:
		return membership.Document{}, fmt.Errorf("consul: write %s: %w", c.key(ringKey), err)
	case !ok:
		return membership.Document{}, c.swapError(response.Errors)
	case len(response.Results) != 1 || response.Results[0].KV == nil:
		return membership.Document{}, fmt.Errorf("consul: write %s: %d results of one operation", c.key(ringKey), len(response.Results))
	}
	return membership.Document{Data: bytes.Clone(data), Version: response.Results[0].KV.ModifyIndex}, nil
}

func (c *connection) swapError(failures api.TxnErrors) error {
	var texts []string
	for _, failure := range failures {
		if strings.Contains(failure.What, staleIndex) {
			return fmt.Errorf("consul: write %s: %w", c.key(ringKey), membership.ErrConflict)
		}
		texts = append(texts, failure.What)
	}
	return fmt.Errorf("consul: write %s: %s", c.key(ringKey), strings.Join(texts, "; "))
}

func (s *Store) askDocument(options *api.QueryOptions) (membership.Document, *api.QueryMeta, error) {
	pair, meta, err := s.client.KV().Get(s.key(ringKey), options)
	if err != nil || pair == nil {
		return membership.Document{}, meta, err
	}
	return membership.Document{Data: pair.Value, Version: pair.ModifyIndex}, meta, nil
}

func sameDocument(a, b membership.Document) bool {
	return a.Version == b.Version && bytes.Equal(a.Data, b.Data)
}
