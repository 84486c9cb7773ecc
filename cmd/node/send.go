package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/torc-io/torc/gateway"
	"github.com/torc-io/torc/internal/httpapi"
	"github.com/torc-io/torc/proto/torc/v1/torcpbconnect"
)

// sending is the command send.
type sending struct {
	*operator

	key     string
	timeout time.Duration
	asked   sentCommand
}

// sentCommand is a torc.v1.ExecuteRequest in JSON. The node knows the types; this
// program does not have to.
type sentCommand struct {
	Service   string          `json:"service"`
	Command   string          `json:"command"`
	Message   json.RawMessage `json:"message"`
	N         *int            `json:"n,omitempty"`
	R         *int            `json:"r,omitempty"`
	W         *int            `json:"w,omitempty"`
	Primaries int             `json:"primaries,omitempty"`
	Nodes     int             `json:"nodes,omitempty"`
	All       bool            `json:"all,omitempty"`
}

const sendLong = `send executes a command of any service that the node runs, and prints the reply in
JSON. METHOD is the name of the command's message, and JSON the message as
protobuf writes it, where bytes are base64; - reads it from standard input.
--key is for keys that are text.

With -o json the answer has the receipt too: how many replicas were asked, and
which of them had answered.

Do not send a write again that ended in an unknown outcome, unless it does no
harm to execute it twice.`

const sendExample = `  node send kv Fetch '{"key":"bXlfa2V5"}'
  node send kv Fetch --key my_key --r 3 -o json
  node send kv Fetch --key my_key --all
  node send ping Ping --key my_key --timeout 500ms`

func newSend(o *operator) *cobra.Command {
	s := sending{operator: o}
	cmd := &cobra.Command{
		Use: "send SERVICE METHOD [JSON | -]", Short: "Execute any command of any service",
		Long: sendLong, Example: sendExample,
		Args: takes(2, 3, "a SERVICE, a METHOD and one message in JSON or none"),
		RunE: s.run,
	}
	f := cmd.Flags()
	f.StringVar(&s.key, "key", "", "text for the field key of the message")
	s.asked.N = f.Int("n", 0, "replicas to ask (default that of the service)")
	s.asked.R = f.Int("r", 0, "answers that a read waits for")
	s.asked.W = f.Int("w", 0, "acknowledgements that a write waits for")
	f.IntVar(&s.asked.Primaries, "primaries", 0, "how many of them must come from primaries")
	f.IntVar(&s.asked.Nodes, "nodes", 0, "how many different nodes must have answered")
	f.BoolVar(&s.asked.All, "all", false, "wait for every replica, and print each reply by itself")
	f.DurationVar(&s.timeout, "timeout", 0, fmt.Sprintf("deadline of the request, at most %v (default that of the node)", gateway.MaxTimeout))
	return cmd
}

func (s *sending) run(cmd *cobra.Command, args []string) error {
	if s.timeout < 0 || s.timeout > gateway.MaxTimeout {
		return usagef("--timeout %v: want more than 0, and at most %v", s.timeout, gateway.MaxTimeout)
	}
	s.asked.Service, s.asked.Command = args[0], args[1]
	for name, given := range map[string]**int{"n": &s.asked.N, "r": &s.asked.R, "w": &s.asked.W} {
		if !cmd.Flags().Changed(name) {
			*given = nil
		}
	}
	var err error
	if s.asked.Message, err = s.message(args[2:]); err != nil {
		return err
	}
	answer, err := s.execute(cmd.Context())
	if err != nil {
		return err
	}
	return s.print(answer)
}

// message returns the message that the arguments and --key stand for.
func (s *sending) message(args []string) (json.RawMessage, error) {
	text := []byte("{}")
	var err error
	switch {
	case len(args) == 1 && args[0] == "-":
		if text, err = io.ReadAll(s.in); err != nil {
			return nil, fmt.Errorf("read the message from standard input: %w", err)
		}
	case len(args) == 1:
		text = []byte(args[0])
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil || fields == nil {
		return nil, usagef("the message is no JSON object: %s", text)
	}
	if s.key == "" {
		return text, nil
	}
	if _, taken := fields["key"]; taken {
		return nil, usagef("the message has a key, and --key gives another")
	}
	if fields["key"], err = json.Marshal([]byte(s.key)); err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}

// executed is a torc.v1.ExecuteResponse.
type executed struct {
	Reply   json.RawMessage `json:"reply,omitempty"`
	Replies json.RawMessage `json:"replies,omitempty"`
	Receipt json.RawMessage `json:"receipt,omitempty"`
}

// execute sends the command, and returns what the node answered.
func (s *sending) execute(ctx context.Context) (*executed, error) {
	c := s.client()
	if c.err != nil {
		return nil, c.err
	}
	body, err := json.Marshal(s.asked)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+torcpbconnect.CommandServiceExecuteProcedure, bytes.NewReader(body))
	if err != nil {
		return nil, usagef("--http %s is no address: %w", c.address, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if s.timeout > 0 {
		request.Header.Set("Connect-Timeout-Ms", strconv.FormatInt(max(1, s.timeout.Milliseconds()), 10))
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.explain(err)
	}
	defer func() { _ = response.Body.Close() }() // it has been read, or its error is known
	return readExecuted(response)
}

// readExecuted reads an answer of the command service.
func readExecuted(response *http.Response) (*executed, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, refusal(response, body)
	}
	var e executed
	return &e, (&answer{response.Header, body}).decode(&e)
}

// refusal reads an error of the command service, or of what stands before it. A
// service or a command that does not exist is a mistake on the command line, as
// are the wrong values that the node answers with 400.
func refusal(response *http.Response, body []byte) error {
	var said struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &said) != nil || said.Code == "" {
		return problemFrom(response, body)
	}
	if said.Message == "" {
		said.Message = said.Code
	}
	if said.Code == "unimplemented" {
		return usageError{errors.New(said.Message)}
	}
	return &problemError{httpapi.Problem{Status: response.StatusCode, Detail: said.Message}}
}

// print shows the reply, and all that came with it if that was asked for.
func (s *sending) print(e *executed) error {
	switch {
	case s.form == asJSON:
		return printJSON(s.out, e)
	case s.asked.All:
		return printJSON(s.out, e.Replies)
	}
	return printJSON(s.out, e.Reply)
}
