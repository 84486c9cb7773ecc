package failure

import (
	"errors"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	torc "github.com/torc-io/torc"
	torcpb "github.com/torc-io/torc/proto/torc/v1"
)

// An error travels in the trailers of gRPC, where its text may triple by
// percent encoding and its details grow by a third in base64. Clients refuse
// trailers over 8 KiB (gRPC's default outside of Go), so this much is sent of
// the text, and of the texts of all causes together.
const (
	maxText   = 1 << 10
	maxCauses = 2 << 10
)

// retryAfter is the pause in seconds that is asked for where trying again may
// help: what it takes to notice a silent node.
const retryAfter = "1"

// Encode makes the error to answer with of what a request came to. Writes says
// whether its command may change state.
func Encode(err error, writes bool) *connect.Error {
	var row int
	for !codes[row].is(err) {
		row++
	}
	e := connect.NewError(codes[row].code, errors.New(Text(err)))
	if codes[row].retry {
		e.Meta().Set("Retry-After", retryAfter)
	}
	Attach(e, &torcpb.Failure{Outcome: outcomeOf(err, writes), Reasons: Reasons(err)})
	if short, ok := errors.AsType[*torc.QuorumError](err); ok {
		Attach(e, encodeQuorum(short))
	}
	return e
}

// Attach adds a detail to an error. A message of ours that cannot be encoded would be a
// defect; the code and the text go without it.
func Attach(e *connect.Error, m proto.Message) {
	if detail, err := connect.NewErrorDetail(m); err == nil {
		e.AddDetail(detail)
	}
}

func encodeQuorum(short *torc.QuorumError) *torcpb.QuorumFailure {
	m := &torcpb.QuorumFailure{
		Outcome:     torcpb.Outcome_OUTCOME_FAILED,
		Kind:        torcpb.Kind(short.Kind) + torcpb.Kind_KIND_READ,
		Requirement: torcpb.Requirement(short.Requirement) + torcpb.Requirement_REQUIREMENT_ANSWERS,
		Needed:      int32(short.Needed), Got: int32(short.Got), Of: int32(short.Of),
	}
	if short.Outcome == torc.OutcomeUnknown {
		m.Outcome = torcpb.Outcome_OUTCOME_UNKNOWN
	}
	for _, c := range short.Causes {
		m.Causes = append(m.Causes, &torcpb.Cause{
			Partition: uint32(c.Partition), Node: string(c.Node), Fallback: c.Fallback,
			Reasons: Reasons(c.Err), Text: cut(c.Err.Error(), maxCauses/len(short.Causes)),
		})
	}
	return m
}

// Text returns what an error says, cut to what is sent of it.
func Text(err error) string { return cut(err.Error(), maxText) }

// cut makes text fit, and valid as a protobuf string.
func cut(text string, most int) string {
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.ToValidUTF8(text, "")
}
