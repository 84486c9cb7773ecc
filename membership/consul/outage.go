package consul

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/hashicorp/consul/api"

	"github.com/torc-io/torc/membership"
)

// remark is something that is said once, and again when it has changed.
type remark struct {
	mu   sync.Mutex
	last string
}

// isNew returns whether err differs from that of the last call, which was nil
// before the first.
func (r *remark) isNew(err error) bool {
	text := ""
	if err != nil {
		text = err.Error()
	}
	return r.isNewText(text)
}

func (r *remark) isNewText(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	isNew := text != r.last
	r.last = text
	return isNew
}

// outage tells people about a failure that is tried again and again: when it
// begins, when it becomes another one, and when it ends.
type outage struct {
	logger *slog.Logger
	what   string // fails
	kind   remark // of failure, "" while there is none
}

// note tells of the outcome of a try, unless it failed because ctx has ended.
func (o *outage) note(ctx context.Context, err error) {
	switch {
	case err == nil:
		o.end()
	case ctx.Err() == nil:
		o.begin(err)
	}
}

func (o *outage) begin(err error) {
	if o.kind.isNewText(kindOf(err)) {
		o.logger.Warn("consul: "+o.what+" fails; trying on", "error", err)
	}
}

func (o *outage) end() {
	if o.kind.isNewText("") {
		o.logger.Info("consul: " + o.what + " works again")
	}
}

// kindOf tells failures apart as far as an operator would act differently: an
// agent that is away fails in many wordings.
func kindOf(err error) string {
	if status, ok := statusOf(err); ok {
		return fmt.Sprint("status ", status)
	}
	for _, known := range []error{membership.ErrNameTaken, errForeignID, errFiltered} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "unreachable"
}

// statusOf returns the HTTP status that an agent refused a call with, if it did.
func statusOf(err error) (int, bool) {
	status, ok := errors.AsType[api.StatusError](err)
	return status.Code, ok
}

// refused says whether to try a call again is pointless until a person has
// changed something: the agent understood it and said no.
func refused(err error) bool {
	status, ok := statusOf(err)
	return ok && status >= http.StatusBadRequest && status < http.StatusInternalServerError &&
		status != http.StatusTooManyRequests && status != http.StatusNotFound
}
