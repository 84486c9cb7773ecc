package certs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// caName is the name of the CA's files, which no node can have.
const caName = "ca"

// loopback is how clients on a node's own machine call it.
var loopback = []string{"localhost", "127.0.0.1", "::1"}

// Directory is a place for a CA and the certificates that it has signed:
// ca.pem, ca.key, and NAME.pem and NAME.key for each node.
type Directory string

// CA returns the path of the CA's certificate.
func (d Directory) CA() string { return d.pair(caName).cert }

// Node returns the files of a node.
func (d Directory) Node(name string) Files {
	p := d.pair(name)
	return Files{CA: d.CA(), Cert: p.cert, Key: p.key}
}

// paths are the files of a Pair.
type paths struct{ cert, key string }

func (d Directory) pair(name string) paths {
	return paths{filepath.Join(string(d), name+".pem"), filepath.Join(string(d), name+".key")}
}

// Issue writes certificates for nodes. For clients of their HTTP sides, loopback
// and the hosts are among the names in all of them. The CA is that of the
// directory, or a new one if there is none; then created is true. Files that are
// there are an error, unless replace says otherwise, and then nothing is written.
// The CA is never replaced: all that it has signed would be void.
func (d Directory) Issue(nodes, hosts []string, replace bool) (created bool, err error) {
	if err := d.check(nodes, hosts, replace); err != nil {
		return false, err
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return false, err
	}
	authority, created, err := d.authority()
	if err != nil {
		return false, err
	}
	for _, node := range nodes {
		pair, err := authority.Issue(Request{Node: node, Hosts: slices.Concat(loopback, hosts)})
		if err != nil {
			return created, err
		}
		if err := d.write(node, pair); err != nil {
			return created, err
		}
	}
	return created, nil
}

// check refuses names that would make one node speak for another, and to
// overwrite what it should not.
func (d Directory) check(nodes, hosts []string, replace bool) error {
	for _, node := range nodes {
		if err := CheckName(node); err != nil {
			return err
		}
		if node == caName {
			return fmt.Errorf("node %q: the CA's files have this name; choose another", node)
		}
		p := d.pair(node)
		if there := firstThere(p.cert, p.key); there != "" && !replace {
			return fmt.Errorf("%s: %w", there, fs.ErrExist)
		}
	}
	for _, host := range hosts {
		if slices.Contains(nodes, host) || firstThere(d.pair(host).cert) != "" {
			return fmt.Errorf("host %q: a node has this name, and others must not have it in their certificates", host)
		}
	}
	return nil
}

// firstThere returns the first of some paths where there is something, or "".
func firstThere(paths ...string) string {
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			return path
		}
	}
	return ""
}

// authority reads the CA, or makes it.
func (d Directory) authority() (a *Authority, created bool, err error) {
	p := d.pair(caName)
	cert, certErr := os.ReadFile(p.cert)
	key, keyErr := os.ReadFile(p.key)
	if errors.Is(certErr, fs.ErrNotExist) && errors.Is(keyErr, fs.ErrNotExist) {
		a, err = d.create()
		return a, err == nil, err
	}
	if err := errors.Join(certErr, keyErr); err != nil {
		return nil, false, fmt.Errorf("read the CA; a CA needs both its files: %w", err)
	}
	if a, err = ParseAuthority(Pair{cert, key}); err != nil {
		return nil, false, fmt.Errorf("read the CA %s with %s: %w", p.cert, p.key, err)
	}
	return a, false, nil
}

// create makes a CA.
func (d Directory) create() (*Authority, error) {
	a, err := NewAuthority()
	if err != nil {
		return nil, err
	}
	pair, err := a.Pair()
	if err != nil {
		return nil, err
	}
	return a, d.write(caName, pair)
}

// write puts a pair in its files, the key first: a node that reads them between
// the two does not use what does not fit, and looks again.
func (d Directory) write(name string, pair Pair) error {
	p := d.pair(name)
	if err := replaceFile(p.key, pair.Key, 0o600); err != nil {
		return err
	}
	return replaceFile(p.cert, pair.Cert, 0o644)
}

// replaceFile makes a file appear with all its contents, in place of another one
// perhaps: whoever has that open goes on with it.
func replaceFile(path string, contents []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // for its owner alone
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, wrong := f.Write(contents)
	if err := errors.Join(wrong, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
