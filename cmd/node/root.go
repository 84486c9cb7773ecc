package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a command line that makes no sense.
type usageError struct{ error }

// Unwrap returns what is wrong with it.
func (e usageError) Unwrap() error { return e.error }

// usagef makes a usageError.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// report tells the user of an error, and returns the exit code.
func report(w io.Writer, command *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	text, code := fmt.Sprintf("node: %v\n", err), exitFailed
	if isUsage(err) {
		text, code = text+fmt.Sprintf("Try: %s --help\n", command.CommandPath()), exitUsage
	}
	_, _ = io.WriteString(w, text) // if it cannot be said, the exit code says it
	return code
}

// isUsage says whether an error is of the command line: by our own judgement, or
// by that of the node, whose word for it is 400.
func isUsage(err error) bool {
	var usage usageError
	var refused *problemError
	return errors.As(err, &usage) || errors.As(err, &refused) && refused.Status == http.StatusBadRequest
}

const rootLong = `node runs Torc: stateful services on a hash ring.

Without arguments it starts a cluster for development: three members in this
process that talk to each other over TCP on loopback, each with an HTTP address.
State is in memory and ends with the process.`

const rootExample = `  node                                      # members at 127.0.0.1:4000, 4001 and 4002
  node --members 5 --http-base 127.0.0.1:8000
  curl -XPUT -d '{"a":"b"}' localhost:4000/api/store/my_key
  curl localhost:4001/api/store/my_key`

// newRoot returns the program's tree of commands.
func newRoot(s streams) *cobra.Command {
	var d development
	root := &cobra.Command{
		Use: "node", Short: "Run a Torc cluster, or look at one", Long: rootLong, Example: rootExample,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return d.run(cmd.Context(), s) },
		SilenceErrors: true, SilenceUsage: true, SuggestionsMinimumDistance: 2,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return applyEnv(cmd.Flags()) },
	}
	d.flags(root.Flags())
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newStart(s), newCerts(s), newVersion(s))
	root.AddCommand(operatorCommands(s)...)
	return root
}

// noCommand refuses arguments of the root: a first word that is no command is
// most likely a mistyped one.
func noCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if alike := root.SuggestionsFor(args[0]); len(alike) > 0 {
		hint = "; did you mean " + strings.Join(alike, " or ") + "?"
	}
	return usagef("unknown command %q%s", args[0], hint)
}

// takes returns a check for the number of arguments, least to most, which are
// called names in messages.
func takes(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usagef("%s needs %s", cmd.CommandPath(), names)
		case len(args) > most:
			return usagef("%s takes %s, not %q too", cmd.CommandPath(), names, args[most])
		}
		return nil
	}
}
