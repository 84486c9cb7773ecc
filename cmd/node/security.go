package main

import (
	"fmt"

	"github.com/spf13/pflag"

	torc "github.com/torc-io/torc"
)

// security is by what a member is safe from who is none. It is about the
// connections between members; httpSecurity is about those of clients.
type security struct {
	ca, cert, key string
	insecure      bool
	transport     transportName // in which they talk
}

func (s *security) flags(f *pflag.FlagSet) {
	s.transport = transportName(torc.TransportTCP)
	f.Var(&s.transport, "transport", "tcp or grpc: what members talk over, the same on all of a cluster; grpc speaks Proto.Actor's protocol, and is slower")
	f.StringVar(&s.ca, "tls-ca", "", "file with the CA of the cluster, in PEM: members talk over TLS, and know each other by certificates")
	f.StringVar(&s.cert, "tls-cert", "", "file with the certificate of this member, whose DNS names have the --name among them")
	f.StringVar(&s.key, "tls-key", "", "file with the key of --tls-cert")
	f.BoolVar(&s.insecure, "insecure", false, "listen off loopback without TLS: who reaches the port may read and write everything")
	fromEnv(f, "transport", "tls-ca", "tls-cert", "tls-key", "insecure")
}

// transportName is the flag --transport.
type transportName torc.Transport

// Set takes one of the transports.
func (n *transportName) Set(text string) error {
	if name := torc.Transport(text); name != torc.TransportTCP && name != torc.TransportGRPC {
		return fmt.Errorf("%q is neither tcp nor grpc", text)
	}
	*n = transportName(text)
	return nil
}

// String returns the transport.
func (n *transportName) String() string { return string(*n) }

// Type is how usage calls it.
func (n *transportName) Type() string { return "name" }

// check refuses what is only half given, or contradicts itself.
func (s *security) check() error {
	files := 0
	for _, file := range []string{s.ca, s.cert, s.key} {
		if file != "" {
			files++
		}
	}
	switch {
	case files != 0 && files != 3:
		return usagef("--tls-ca, --tls-cert and --tls-key go together")
	case files != 0 && s.insecure:
		return usagef("--insecure is for members without TLS, and --tls-ca is given")
	}
	return nil
}

// tls returns the node's files; nil if it goes without TLS.
func (s *security) tls() *torc.TLS {
	if s.ca == "" {
		return nil
	}
	return &torc.TLS{CA: s.ca, Cert: s.cert, Key: s.key}
}
