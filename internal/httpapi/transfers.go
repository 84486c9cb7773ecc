package httpapi

import (
	"context"
	"net/http"
	"time"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/ring"
)

// Transfers is the answer to /api/transfers: what is on its way to another node,
// as far as the asked one knows. It knows all of those that it sends or takes, and
// of the others only that the ring wants them.
type Transfers struct {
	ClusterID string            `json:"cluster_id"`
	Epoch     ring.Epoch        `json:"epoch"`
	Via       torc.NodeName     `json:"via"`    // that was asked
	Limits    TransferLimits    `json:"limits"` // in force there
	Transfers []PendingTransfer `json:"transfers"`
}

// PendingTransfer is one of them.
type PendingTransfer struct {
	Type       string         `json:"type"` // ownership, hinted or repair
	Partition  torc.Partition `json:"partition"`
	Source     torc.Partition `json:"source"` // of the vnodes that send; another one in a repair alone
	From       torc.NodeName  `json:"from"`
	To         torc.NodeName  `json:"to"`
	Phase      string         `json:"phase"`
	Reason     string         `json:"reason,omitempty"` // why it waits; known on From alone
	Since      time.Time      `json:"since,omitzero"`   // when the phase or the reason arose
	Items      int64          `json:"items"`
	TotalItems int64          `json:"total_items"`
	Bytes      int64          `json:"bytes"`
	TotalBytes int64          `json:"total_bytes"` // an estimate
	Rate       float64        `json:"rate"`        // bytes per second
	ETASeconds float64        `json:"eta_seconds,omitzero"`
}

// transfers answers with the pending transfers.
func (s *served) transfers(w http.ResponseWriter, r *http.Request) error {
	if _, err := readParams(r); err != nil {
		return err
	}
	current := s.node.Ring()
	answer := Transfers{
		ClusterID: current.ClusterID(), Epoch: current.Epoch(), Via: s.node.Name(),
		Limits: limitsOf(s.node.TransferLimits()), Transfers: []PendingTransfer{},
	}
	for _, t := range s.node.Transfers() {
		answer.Transfers = append(answer.Transfers, PendingTransfer{
			Type: t.Type.String(), Partition: t.Partition, Source: t.Source, From: t.From, To: t.To,
			Phase: t.Phase.String(), Reason: t.Reason, Since: t.Since.UTC(),
			Items: t.Items, TotalItems: t.TotalItems, Bytes: t.Bytes, TotalBytes: t.TotalBytes,
			Rate: t.Rate, ETASeconds: t.ETA.Seconds(),
		})
	}
	return writeJSON(w, "application/json", http.StatusOK, answer)
}

// TransferLimits are what handoff may take of a node.
type TransferLimits struct {
	Out  int   `json:"out"`  // transfers at a time from it; 0 lets none begin
	In   int   `json:"in"`   // and to it
	Rate int64 `json:"rate"` // bytes per second that it sends; 0 gives way to commands
}

func limitsOf(l torc.TransferLimits) TransferLimits {
	return TransferLimits{Out: l.Out, In: l.In, Rate: l.Rate}
}

// NodeLimits is the answer to /api/transfer-limit: the limits in force on a node,
// until they are changed or it stops.
type NodeLimits struct {
	Node torc.NodeName `json:"node"`
	TransferLimits
}

// LimitsRequest is the body of POST /api/transfer-limit. What is left out stays
// as it is.
type LimitsRequest struct {
	Out  *int   `json:"out,omitempty"`
	In   *int   `json:"in,omitempty"`
	Rate *int64 `json:"rate,omitempty"`
}

// on returns limits with the changes that are asked for.
func (q LimitsRequest) on(l torc.TransferLimits) torc.TransferLimits {
	if q.Out != nil {
		l.Out = *q.Out
	}
	if q.In != nil {
		l.In = *q.In
	}
	if q.Rate != nil {
		l.Rate = *q.Rate
	}
	return l
}

// limits answers GET /api/transfer-limit.
func (s *served) limits(w http.ResponseWriter, r *http.Request) error {
	if _, err := readParams(r); err != nil {
		return err
	}
	return writeJSON(w, "application/json", http.StatusOK, s.nodeLimits())
}

// setLimits answers POST /api/transfer-limit. Of two that come at once, each
// keeps what the other changes.
func (s *served) setLimits(_ context.Context, r *http.Request) (any, error) {
	var asked LimitsRequest
	if err := readJSON(r, &asked); err != nil {
		return nil, err
	}
	s.limiting.Lock()
	defer s.limiting.Unlock()
	if err := s.node.SetTransferLimits(asked.on(s.node.TransferLimits())); err != nil {
		return nil, err
	}
	s.api.logger.InfoContext(r.Context(), "transfer limits changed", "limits", s.node.TransferLimits())
	return s.nodeLimits(), nil
}

func (s *served) nodeLimits() NodeLimits {
	return NodeLimits{s.node.Name(), limitsOf(s.node.TransferLimits())}
}
