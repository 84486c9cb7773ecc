package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what a binary knows about itself.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`     // of the revision
	Modified bool   `json:"modified,omitempty"` // since the revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func newVersion(s streams) *cobra.Command {
	o := operator{streams: s, form: asTable}
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version of this program",
		Example: "  node version\n  node version -o json",
		Args:    takes(0, 0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			return o.show(b, func(palette) string { return b.String() })
		},
	}
	cmd.Flags().VarP(&o.form, "output", "o", "table or json")
	fromEnv(cmd.Flags(), "output")
	completeWords(cmd, "output", asTable, asJSON)
	return cmd
}

// readBuild asks the binary for what the Go toolchain has stamped into it.
func readBuild() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = cmp.Or(info.Main.Version, b.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// String returns it on one line.
func (b build) String() string {
	text := "node " + b.Version
	if b.Revision != "" {
		text += fmt.Sprintf(", revision %s of %s", b.Revision, b.Time)
	}
	if b.Modified {
		text += ", modified"
	}
	return fmt.Sprintf("%s, %s %s\n", text, b.Go, b.Platform)
}
