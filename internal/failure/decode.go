package failure

import (
	"errors"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	torc "github.com/torc-io/torc"
	"github.com/torc-io/torc/coordinator"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
	"github.com/torc-io/torc/ring"
)

// Decode rebuilds the error that a node encoded, and what is known of the
// request's effect. It returns nil if the error is not a node's: of the network,
// a proxy, or whatever stands before the node. Of the effect of those nothing is
// known.
func Decode(err error) (rebuilt *Error, outcome torcpb.Outcome) {
	var failure torcpb.Failure
	from, ok := errors.AsType[*connect.Error](err)
	if !ok || !Detail(from, &failure) {
		return nil, torcpb.Outcome_OUTCOME_UNKNOWN
	}
	rebuilt = New(from.Message(), failure.GetReasons())
	var short torcpb.QuorumFailure
	if Detail(from, &short) {
		rebuilt.wraps = append(rebuilt.wraps, decodeQuorum(&short))
	}
	return rebuilt, failure.GetOutcome()
}

// Detail reads the detail of m's type into m, and says whether there was one.
func Detail(err error, m proto.Message) bool {
	from, ok := errors.AsType[*connect.Error](err)
	if !ok {
		return false
	}
	for _, d := range from.Details() {
		if d.Type() == string(m.ProtoReflect().Descriptor().FullName()) {
			return proto.Unmarshal(d.Bytes(), m) == nil
		}
	}
	return false
}

func decodeQuorum(m *torcpb.QuorumFailure) *torc.QuorumError {
	short := &torc.QuorumError{
		Kind:        coordinator.Read,
		Requirement: coordinator.Requirement(max(m.GetRequirement(), torcpb.Requirement_REQUIREMENT_ANSWERS) - torcpb.Requirement_REQUIREMENT_ANSWERS),
		Needed:      int(m.GetNeeded()), Got: int(m.GetGot()), Of: int(m.GetOf()),
		Outcome: torc.OutcomeUnknown,
	}
	if m.GetKind() == torcpb.Kind_KIND_WRITE {
		short.Kind = coordinator.Write
	}
	if m.GetOutcome() == torcpb.Outcome_OUTCOME_FAILED {
		short.Outcome = torc.OutcomeFailed
	}
	for _, c := range m.GetCauses() {
		short.Causes = append(short.Causes, coordinator.Cause{
			Partition: ring.Partition(c.GetPartition()), Node: ring.NodeName(c.GetNode()), Fallback: c.GetFallback(),
			Err: New(c.GetText(), c.GetReasons()),
		})
	}
	return short
}
