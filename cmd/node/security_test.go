package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestSecurityFlags(t *testing.T) {
	tests := []struct {
		args []string
		want string // the error, or ""
	}{
		{nil, ""},
		{[]string{"--insecure"}, ""},
		{[]string{"--transport", "grpc"}, ""},
		{[]string{"--tls-ca", "a", "--tls-cert", "b", "--tls-key", "c"}, ""},
		{[]string{"--tls-ca", "a", "--tls-cert", "b"}, "go together"},
		{[]string{"--tls-ca", "a", "--tls-cert", "b", "--tls-key", "c", "--insecure"}, "without TLS"},
	}
	for _, test := range tests {
		var s security
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		s.flags(f)
		if err := f.Parse(test.args); err != nil {
			t.Fatal(err)
		}
		err := s.check()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test.args, err, test.want)
		}
		if files := s.tls(); (files != nil) != (s.ca != "") {
			t.Errorf("%v: the node gets %+v", test.args, files)
		}
	}
}

func TestTransportFlag(t *testing.T) {
	for value, want := range map[string]string{"": "tcp", "tcp": "tcp", "grpc": "grpc", "udp": "neither tcp nor grpc"} {
		var s security
		f := pflag.NewFlagSet("", pflag.ContinueOnError)
		s.flags(f)
		var err error
		if value != "" {
			err = f.Parse([]string{"--transport", value})
		}
		if got := s.transport.String(); err == nil && got != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("--transport %q: %s, %v; want %s", value, got, err, want)
		}
	}
}
