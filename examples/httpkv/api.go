package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	torc "github.com/torc-io/torc"
	httpkvpb "github.com/torc-io/torc/proto/torc/examples/httpkv/v1"
)

// maxBody leaves room in a message for what comes with the body.
const maxBody = torc.MaxMessageBytes - 64<<10

// put stores the body under the key, with the n and w of the query.
func (s *store) put(w http.ResponseWriter, r *http.Request) {
	opts, err := options(r)
	if err != nil {
		refuse(w, err)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, err)
		return
	}
	var receipt torc.Receipt
	entry := &httpkvpb.Entry{Body: body, ContentType: r.Header.Get("Content-Type")}
	if err := s.Store(r.Context(), r.PathValue("key"), entry, append(opts, torc.WithReceipt(&receipt))...); err != nil {
		refuse(w, err)
		return
	}
	answer(w, stored{Key: r.PathValue("key"), N: receipt.N, W: receipt.Need, Nodes: nodes(receipt)})
}

// stored is the answer to a PUT.
type stored struct {
	Key   string          `json:"key"`
	N     int             `json:"n"`
	W     int             `json:"w"`
	Nodes []torc.NodeName `json:"nodes"` // that had it by then
}

func nodes(receipt torc.Receipt) []torc.NodeName {
	var all []torc.NodeName
	for _, ack := range receipt.Acks {
		all = append(all, ack.Node)
	}
	return all
}

// get answers with what is under the key, by the n and r of the query.
func (s *store) get(w http.ResponseWriter, r *http.Request) {
	opts, err := options(r)
	if err != nil {
		refuse(w, err)
		return
	}
	entry, err := s.Fetch(r.Context(), r.PathValue("key"), opts...)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", entry.GetContentType())
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(entry.GetBody()) //nolint:gosec // a store gives back what it was given
}

// options reads n, r and w from the query: numbers, or words like quorum and all.
func options(r *http.Request) ([]torc.CallOption, error) {
	query, n := r.URL.Query(), replicas
	var opts []torc.CallOption
	for _, o := range []struct {
		name string
		make func(int) torc.CallOption
	}{{"n", torc.N}, {"r", torc.R}, {"w", torc.W}} {
		if !query.Has(o.name) {
			continue
		}
		count, err := torc.ParseCount(query.Get(o.name), n)
		if err != nil {
			return nil, err
		}
		if o.name == "n" {
			n = count
		}
		opts = append(opts, o.make(count))
	}
	return opts, nil
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, err error) {
	http.Error(w, err.Error(), status(err))
}

// status says whose fault it was: 4xx that of the client, 5xx that of the cluster.
func status(err error) int {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	switch {
	case errors.Is(err, torc.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, torc.ErrInvalid), errors.Is(err, torc.ErrQuorum):
		return http.StatusBadRequest
	case errors.Is(err, torc.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, torc.ErrOverloaded):
		return http.StatusTooManyRequests
	}
	return http.StatusServiceUnavailable
}

// answer writes a value as JSON.
func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		refuse(w, fmt.Errorf("encode the answer: %w", err))
	}
}
