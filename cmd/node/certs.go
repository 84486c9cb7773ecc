package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/torc-io/torc/internal/certs"
)

// issuing is the command certs: certificates for development.
type issuing struct {
	dir   string
	hosts []string
	force bool
}

const certsLong = `certs makes a certificate authority (CA) for a cluster, and a certificate for
each node that is named, all in one directory:

  ca.pem ca.key         the CA; every node needs ca.pem, and none needs ca.key
  NAME.pem NAME.key     the certificate of the node NAME, valid for a year

A node's certificate has the name of the node, localhost, 127.0.0.1, ::1, and
each --host. Of these only the name is looked at between nodes; the others are
for clients, if the same certificate serves HTTPS.

Run it again with other names to add nodes to the CA of the directory. It is for
development: where it matters, the key of the CA is kept apart from all nodes.`

const certsExample = `  node certs a b c
  node certs --dir certs --host a.example.org --host 10.0.0.1 a
  node certs --dir certs --force b              # a new certificate for b, from the same CA`

func newCerts(s streams) *cobra.Command {
	var c issuing
	cmd := &cobra.Command{
		Use: "certs NAME…", Short: "Make a CA and certificates for nodes, for development",
		Long: certsLong, Example: certsExample,
		Args: func(_ *cobra.Command, names []string) error {
			if len(names) == 0 {
				return usagef("certs needs the name of a node, or of several")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, names []string) error { return c.run(s.out, names) },
	}
	f := cmd.Flags()
	f.StringVar(&c.dir, "dir", "certs", "directory for the files; made if it is missing")
	f.StringArrayVar(&c.hosts, "host", nil, "further host name or IP address of the nodes, for clients; may be repeated")
	f.BoolVar(&c.force, "force", false, "replace certificates that are there; never the CA")
	return cmd
}

// run writes the files, and says what to do with them.
func (c *issuing) run(w io.Writer, names []string) error {
	for _, name := range names {
		if err := certs.CheckName(name); err != nil {
			return usagef("%w", err)
		}
	}
	directory := certs.Directory(c.dir)
	created, err := directory.Issue(names, c.hosts, c.force)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: give --force to replace it, or another --dir", err)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, c.announcement(directory, names, created))
	return err
}

// announcement says what there is now, and how to start nodes with it.
func (c *issuing) announcement(d certs.Directory, names []string, created bool) string {
	var text strings.Builder
	if created {
		fmt.Fprintf(&text, "%s is the certificate of a new CA; keep its key, ca.key, away from the nodes\n", d.CA())
	} else {
		fmt.Fprintf(&text, "%s is the CA that was there\n", d.CA())
	}
	fmt.Fprintf(&text, "\nStart each node with its files:\n")
	for _, name := range names {
		files := d.Node(name)
		fmt.Fprintf(&text, "  node start --name %s --tls-ca %s --tls-cert %s --tls-key %s\n", name, files.CA, files.Cert, files.Key)
	}
	return text.String()
}
