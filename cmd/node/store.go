package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/torc-io/torc/internal/httpapi"
)

const storePath = "/api/store/"

// storing is what get, put and delete share.
type storing struct {
	*operator

	key         keyFlag
	quorum      quorumFlags
	contentType string // of put
}

func newGet(o *operator) *cobra.Command {
	s := storing{operator: o}
	cmd := &cobra.Command{
		Use: "get KEY", Short: "Print the value under a key",
		Long:    "get prints the value as it was stored. If there is none, it says so and exits with 1.",
		Example: "  node get my_key\n  node get my_key --r all -o json\n  node get --hex 00ff > value",
		Args:    takes(1, 1, "a KEY"),
		RunE:    s.get,
	}
	s.key.flags(cmd.Flags())
	s.quorum.flags(cmd.Flags(), "n", "r", "timeout")
	return cmd
}

// stored is a value in JSON: as text if it is UTF-8, in hexadecimal if not.
type stored struct {
	Key         string `json:"key"`
	Value       string `json:"value,omitempty"`
	Hex         string `json:"value_hex,omitempty"`
	ContentType string `json:"content_type"`
	Version     string `json:"version"`
}

func (s *storing) get(cmd *cobra.Command, args []string) error {
	a, err := s.do(cmd, args[0], request{method: http.MethodGet})
	if err != nil {
		return err
	}
	if s.form == asJSON {
		value := stored{
			Key: args[0], ContentType: a.header.Get("Content-Type"),
			Version: strings.Trim(a.header.Get("ETag"), `"`),
		}
		if utf8.Valid(a.body) {
			value.Value = string(a.body)
		} else {
			value.Hex = hex.EncodeToString(a.body)
		}
		return printJSON(s.out, value)
	}
	if isTerminal(s.out) && !strings.HasSuffix(string(a.body), "\n") {
		a.body = append(a.body, '\n') // for the prompt; a pipe gets the value alone
	}
	_, err = s.out.Write(a.body)
	return err
}

func newPut(o *operator) *cobra.Command {
	s := storing{operator: o}
	cmd := &cobra.Command{
		Use: "put KEY [VALUE | @FILE | -]", Short: "Store a value under a key",
		Long: `put stores a value under a key: VALUE itself, the content of a FILE after an @, or
what comes on standard input for - or nothing. A value that begins with @ itself
goes through standard input.`,
		Example: `  node put my_key '{"a":"b"}' --content-type application/json
  node put picture @picture.png
  date | node put now --n 3 --w all`,
		Args: takes(1, 2, "a KEY and one VALUE or none"),
		RunE: s.put,
	}
	s.key.flags(cmd.Flags())
	s.quorum.flags(cmd.Flags(), "n", "w", "timeout")
	cmd.Flags().StringVar(&s.contentType, "content-type", "application/octet-stream", "what the value is; get and HTTP clients are told so")
	return cmd
}

func (s *storing) put(cmd *cobra.Command, args []string) error {
	value, err := s.read(args[1:])
	if err != nil {
		return err
	}
	return s.write(cmd, args[0], request{method: http.MethodPut, body: value, contentType: s.contentType})
}

// read returns the value that an argument stands for.
func (s *storing) read(args []string) ([]byte, error) {
	if len(args) == 0 || args[0] == "-" {
		value, err := io.ReadAll(s.in)
		if err != nil {
			return nil, fmt.Errorf("read the value from standard input: %w", err)
		}
		return value, nil
	}
	file, isFile := strings.CutPrefix(args[0], "@")
	if !isFile {
		return []byte(args[0]), nil
	}
	value, err := os.ReadFile(file) //nolint:gosec // it is the user who names the file
	if err != nil {
		return nil, fmt.Errorf("read the value: %w", err)
	}
	return value, nil
}

func newDelete(o *operator) *cobra.Command {
	s := storing{operator: o}
	cmd := &cobra.Command{
		Use: "delete KEY", Short: "Remove the value under a key",
		Long:    "delete removes what is under a key. If there is nothing, that is no error.",
		Example: "  node delete my_key\n  node delete my_key --w all",
		Args:    takes(1, 1, "a KEY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.write(cmd, args[0], request{method: http.MethodDelete})
		},
	}
	s.key.flags(cmd.Flags())
	s.quorum.flags(cmd.Flags(), "n", "w", "timeout")
	return cmd
}

// write sends a write and shows who acknowledged it.
func (s *storing) write(cmd *cobra.Command, key string, r request) error {
	a, err := s.do(cmd, key, r)
	if err != nil {
		return err
	}
	var written httpapi.Written
	if err := a.decode(&written); err != nil {
		return err
	}
	verb := map[string]string{http.MethodPut: "stored", http.MethodDelete: "deleted"}[r.method]
	return s.show(written, func(palette) string { return verb + " " + drawWritten(written) })
}

// do sends a request for a key.
func (s *storing) do(cmd *cobra.Command, arg string, r request) (*answer, error) {
	key, err := s.key.parse(arg)
	if err != nil {
		return nil, err
	}
	r.path, r.query = keyPath(storePath, key), s.quorum.values
	return s.client().do(cmd.Context(), r)
}

func drawWritten(w httpapi.Written) string {
	acks := make([]string, len(w.Acks))
	for i, a := range w.Acks {
		acks[i] = fmt.Sprintf("%s (partition %d)", a.Node, a.Partition)
	}
	return fmt.Sprintf("%v with n=%d w=%d, acknowledged by %s\n", w.Key, w.N, w.W, strings.Join(acks, ", "))
}
