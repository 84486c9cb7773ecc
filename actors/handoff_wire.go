package actors

import (
	"github.com/torc-io/torc/handoff"
	handoffpb "github.com/torc-io/torc/proto/torc/handoff/v1"
	"github.com/torc-io/torc/ring"
)

// How the values of package handoff look on the wire.

var typesToWire = map[handoff.Type]handoffpb.Type{
	handoff.Ownership: handoffpb.Type_TYPE_OWNERSHIP,
	handoff.Hinted:    handoffpb.Type_TYPE_HINTED,
	handoff.Repair:    handoffpb.Type_TYPE_REPAIR,
}

var typesFromWire = map[handoffpb.Type]handoff.Type{
	handoffpb.Type_TYPE_OWNERSHIP: handoff.Ownership,
	handoffpb.Type_TYPE_HINTED:    handoff.Hinted,
	handoffpb.Type_TYPE_REPAIR:    handoff.Repair,
}

var reasonsToWire = map[handoff.Reason]handoffpb.Reason{
	handoff.Busy:   handoffpb.Reason_REASON_BUSY,
	handoff.NotNow: handoffpb.Reason_REASON_NOT_NOW,
	handoff.Wrong:  handoffpb.Reason_REASON_WRONG,
	handoff.Broken: handoffpb.Reason_REASON_FAILED,
}

var reasonsFromWire = map[handoffpb.Reason]handoff.Reason{
	handoffpb.Reason_REASON_BUSY:    handoff.Busy,
	handoffpb.Reason_REASON_NOT_NOW: handoff.NotNow,
	handoffpb.Reason_REASON_WRONG:   handoff.Wrong,
	handoffpb.Reason_REASON_FAILED:  handoff.Broken,
}

func helloToWire(h handoff.Hello) *handoffpb.Frame {
	return &handoffpb.Frame{Kind: &handoffpb.Frame_Hello{Hello: &handoffpb.Hello{
		Type: typesToWire[h.Type], Service: h.Service, Partition: uint32(h.Partition), Source: uint32(h.Source),
		From: string(h.From), To: string(h.To), ClusterId: h.ClusterID, RingSize: uint32(h.RingSize),
		Epoch: uint64(h.Epoch), Id: h.ID, Items: h.Items,
	}}}
}

func helloFromWire(w *handoffpb.Hello) handoff.Hello {
	return handoff.Hello{
		Transfer: handoff.Transfer{
			Type: typesFromWire[w.GetType()], Partition: ring.Partition(w.GetPartition()), Source: ring.Partition(w.GetSource()),
			From: ring.NodeName(w.GetFrom()), To: ring.NodeName(w.GetTo()),
		},
		Service: w.GetService(), ClusterID: w.GetClusterId(), RingSize: int(w.GetRingSize()),
		Epoch: ring.Epoch(w.GetEpoch()), ID: w.GetId(), Items: w.GetItems(),
	}
}

func chunkToWire(c handoff.Chunk) *handoffpb.Frame {
	return &handoffpb.Frame{Kind: &handoffpb.Frame_Chunk{Chunk: &handoffpb.Chunk{
		Seq: c.Seq, Items: c.Items, Checksum: c.Checksum,
	}}}
}

func sealToWire(c handoff.Claim) *handoffpb.Frame {
	return &handoffpb.Frame{Kind: &handoffpb.Frame_Seal{Seal: &handoffpb.Seal{
		Chunks: c.Chunks, Items: c.Items, Held: c.Held,
	}}}
}

func flipToWire(e ring.Epoch) *handoffpb.Frame {
	return &handoffpb.Frame{Kind: &handoffpb.Frame_Flip{Flip: &handoffpb.Flip{Epoch: uint64(e)}}}
}

func welcomeToWire(next uint64) *handoffpb.Answer {
	return &handoffpb.Answer{Kind: &handoffpb.Answer_Welcome{Welcome: &handoffpb.Welcome{Next: next}}}
}

func refusalToWire(r *handoff.Refusal) *handoffpb.Answer {
	return &handoffpb.Answer{Kind: &handoffpb.Answer_Refusal{Refusal: &handoffpb.Refusal{
		Reason: reasonsToWire[r.Reason], Text: wireText(r.Text),
	}}}
}

func refusalFromWire(w *handoffpb.Refusal) *handoff.Refusal {
	return &handoff.Refusal{Reason: reasonsFromWire[w.GetReason()], Text: w.GetText()}
}

func ackToWire(seq uint64) *handoffpb.Answer {
	return &handoffpb.Answer{Kind: &handoffpb.Answer_Ack{Ack: &handoffpb.Ack{Seq: seq}}}
}

func sealedToWire(c handoff.Count) *handoffpb.Answer {
	return &handoffpb.Answer{Kind: &handoffpb.Answer_Sealed{Sealed: &handoffpb.Sealed{
		Items: c.Items, Held: c.Held, Own: c.Own,
	}}}
}

func flippedToWire(whole bool) *handoffpb.Answer {
	return &handoffpb.Answer{Kind: &handoffpb.Answer_Flipped{Flipped: &handoffpb.Flipped{Whole: whole}}}
}
