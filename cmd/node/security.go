package main

import (
	"github.com/spf13/pflag"

	torc "github.com/torc-io/torc"
)

// security is by what a member is safe from who is none. It is about the
// connections between members; httpSecurity is about those of clients.
type security struct {
	ca, cert, key string
	insecure      bool
}

func (s *security) flags(f *pflag.FlagSet) {
	f.StringVar(&s.ca, "tls-ca", "", "file with the CA of the cluster, in PEM: members talk over TLS, and know each other by certificates")
	f.StringVar(&s.cert, "tls-cert", "", "file with the certificate of this member, whose DNS names have the --name among them")
	f.StringVar(&s.key, "tls-key", "", "file with the key of --tls-cert")
	f.BoolVar(&s.insecure, "insecure", false, "listen off loopback without TLS: who reaches the port may read and write everything")
	fromEnv(f, "tls-ca", "tls-cert", "tls-key", "insecure")
}

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
