package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"

	"github.com/spf13/cobra"
)

// The forms of output.
const (
	asTable = "table"
	asJSON  = "json"
)

// outputForm is the flag --output.
type outputForm string

// Set takes one of the forms.
func (f *outputForm) Set(text string) error {
	if text != asTable && text != asJSON {
		return fmt.Errorf("%q is neither table nor json", text)
	}
	*f = outputForm(text)
	return nil
}

// String returns the form.
func (f *outputForm) String() string { return string(*f) }

// Type is how usage calls it.
func (f *outputForm) Type() string { return "form" }

// operator is what all operator commands share.
type operator struct {
	streams

	address     string
	form        outputForm
	credentials credentials
	clients     sync.Map // *client by address, so that connections are used again
}

// operatorCommands returns the commands that speak to a running node.
func operatorCommands(s streams) []*cobra.Command {
	makers := []func(*operator) *cobra.Command{
		newMembers, newRing, newWhere, newGet, newPut, newDelete, newPing, newSend,
		newTransfers, newTransferLimit, newPlan, newCommit, newLeave, newDown,
		newBench,
	}
	commands := make([]*cobra.Command, len(makers))
	for i, newCommand := range makers {
		o := &operator{streams: s, form: asTable}
		commands[i] = newCommand(o)
		o.flags(commands[i])
	}
	return commands
}

// flags adds the flags that operator commands share.
func (o *operator) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.address, "http", defaultHTTP, "HTTP address of a node, host:port")
	f.VarP(&o.form, "output", "o", "table or json")
	fromEnv(f, "http", "output")
	o.credentials.flags(f)
	completeWords(cmd, "output", asTable, asJSON)
}

// client returns a client of the node that is to be asked.
func (o *operator) client() *client { return o.clientOf(o.address) }

// clientOf returns a client of another node, whose address a node has told.
func (o *operator) clientOf(address string) *client {
	c, known := o.clients.Load(address)
	if !known {
		c, _ = o.clients.LoadOrStore(address, newClient(address, &o.credentials))
	}
	return c.(*client)
}

// show prints an answer: as JSON, or as the text that draw makes of it.
func (o *operator) show(value any, draw func(palette) string) error {
	if o.form == asJSON {
		return printJSON(o.out, value)
	}
	_, err := io.WriteString(o.out, draw(paletteFor(o.out)))
	return err
}

func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
