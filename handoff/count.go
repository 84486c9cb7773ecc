package handoff

import "fmt"

// Claim is what a sender says that the receiver must have merged.
type Claim struct {
	Chunks, Items uint64 // that were sent
	Held          uint64 // that the sending vnode holds; of an ownership transfer alone
}

// Count is what the receiver says it has.
type Count struct {
	Items uint64 // that it has merged in this transfer
	Held  uint64 // that its vnode holds
	Own   uint64 // keys that commands wrote there, as it stood in for the owner
}

// differs returns in what a receiver has something else than the sender claims.
// Both sides ask it, so that neither acts on what the other does not know. What
// the vnodes hold is compared only where nothing is written meanwhile, and the
// receiver began empty; a key of its own may be one more there, or one less.
func (c Claim) differs(has Count, kind Type) error {
	switch {
	case has.Items != c.Items:
		return fmt.Errorf("handoff: %d items were sent, and %d were merged", c.Items, has.Items)
	case kind == Ownership && max(c.Held, has.Held)-min(c.Held, has.Held) > has.Own:
		return fmt.Errorf("handoff: the sender holds %d items, and the receiver %d, where %d keys were written meanwhile", c.Held, has.Held, has.Own)
	}
	return nil
}
