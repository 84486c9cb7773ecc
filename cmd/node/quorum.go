package main

import (
	"encoding/hex"
	"net/url"

	"github.com/spf13/pflag"
)

// keyFlag says how a key is written on the command line.
type keyFlag struct{ hex bool }

func (k *keyFlag) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&k.hex, "hex", false, "the KEY is in hexadecimal")
}

// parse reads a key.
func (k *keyFlag) parse(text string) ([]byte, error) {
	if text == "" {
		return nil, usagef("the KEY is empty")
	}
	if !k.hex {
		return []byte(text), nil
	}
	key, err := hex.DecodeString(text)
	if err != nil {
		return nil, usagef("the KEY %q is not hexadecimal: %w", text, err)
	}
	return key, nil
}

// quorumFlags are flags that a node gets as parameters of the same name. It is
// the node that knows what they may be.
type quorumFlags struct{ values url.Values }

// quorumUsage is what they are for.
var quorumUsage = map[string]string{
	"n":       "replicas: one, quorum, all or a number",
	"r":       "answers to wait for: one, quorum, all or a number",
	"w":       "acknowledgements to wait for: one, quorum, all or a number",
	"timeout": "deadline of the request, such as 500ms",
}

// flags adds those with the given names.
func (q *quorumFlags) flags(flags *pflag.FlagSet, names ...string) {
	q.values = make(url.Values)
	for _, name := range names {
		flags.Var(parameter{q.values, name}, name, quorumUsage[name])
	}
}

// parameter is one of them as a flag.
type parameter struct {
	values url.Values
	name   string
}

// Set takes the value as it is.
func (p parameter) Set(text string) error {
	p.values.Set(p.name, text)
	return nil
}

// String returns the value.
func (p parameter) String() string { return p.values.Get(p.name) }

// Type is how usage calls it.
func (p parameter) Type() string {
	if p.name == "timeout" {
		return "duration"
	}
	return "count"
}
