package actors

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/torc-io/torc/internal/certs"
	transportpb "github.com/torc-io/torc/proto/torc/transport/v1"
	"github.com/torc-io/torc/ring"
)

// secureCluster is a CA with a directory of files, and a record of who lives where.
type secureCluster struct {
	t         testing.TB
	over      network
	directory certs.Directory

	mu        sync.Mutex
	residents map[string]string
}

func newSecureCluster(t testing.TB, over network) *secureCluster {
	return &secureCluster{t: t, over: over, directory: certs.Directory(t.TempDir()), residents: make(map[string]string)}
}

// live notes who lives at an address; nobody, if the name is empty.
func (c *secureCluster) live(address, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.residents[address] = name
}

func (c *secureCluster) peer(address string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := c.residents[address]
	return name, name != ""
}

// files returns the files of a node, which it makes at their first use.
func (c *secureCluster) files(name string) certs.Files {
	c.t.Helper()
	files := c.directory.Node(name)
	if _, err := os.Stat(files.Cert); err == nil {
		return files
	}
	if _, err := c.directory.Issue([]string{name}, nil, false); err != nil {
		c.t.Fatal(err)
	}
	return files
}

// node starts a node.
func (c *secureCluster) node(name string) *wireNode {
	c.t.Helper()
	files := TLS(c.files(name))
	transport := c.over.transport(RemoteConfig{Listen: "127.0.0.1:0", Name: name, TLS: &files})
	n := newNodeAmong(c.t, transport, func(address string) (string, bool) {
		if address == portsOf(transport).address { // a node does not count itself
			return "", false
		}
		return c.peer(address)
	})
	c.live(n.address, name)
	return n
}

// identity returns what a node knows itself and others by.
func (c *secureCluster) identity(name string) *certs.Identity {
	c.t.Helper()
	i, err := certs.NewIdentity(c.files(name), name, slog.New(slog.DiscardHandler))
	if err != nil {
		c.t.Fatal(err)
	}
	return i
}

// key is how a member calls another one.
func (c *secureCluster) key(from, to string) *tls.Config {
	c.t.Helper()
	return c.identity(from).Client(to)
}

// authority returns the CA of the directory.
func (c *secureCluster) authority() *certs.Authority {
	c.t.Helper()
	cert, err := os.ReadFile(c.directory.CA())
	if err != nil {
		c.t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(string(c.directory), "ca.key"))
	if err != nil {
		c.t.Fatal(err)
	}
	authority, err := certs.ParseAuthority(certs.Pair{Cert: cert, Key: key})
	if err != nil {
		c.t.Fatal(err)
	}
	return authority
}

func newAuthority(t testing.TB) *certs.Authority {
	t.Helper()
	a, err := certs.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t testing.TB, a *certs.Authority, r certs.Request) tls.Certificate {
	t.Helper()
	pair, err := a.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// steady sends requests from one node to another until the returned function is
// called, which fails the test if one was not answered.
func steady(t *testing.T, from, to *wireNode) (stop func()) {
	t.Helper()
	from.ask(to)
	for len(from.broken) > 0 { // of connections before this one
		<-from.broken
	}
	stopping, stopped := make(chan struct{}), make(chan struct{})
	answered := 0
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stopping:
				return
			default:
			}
			if err := from.Send(to.pid(echoID, 0), from.pid(inboxID, 7), &transportpb.Command{}); err != nil {
				t.Errorf("request %d: %v", answered, err)
				return
			}
			select {
			case <-from.inbox:
				answered++
			case address := <-from.broken:
				t.Errorf("request %d: the connection to %s broke", answered, address)
				return
			case <-time.After(patience):
				t.Errorf("request %d: no answer", answered)
				return
			}
		}
	}()
	return func() {
		t.Helper()
		close(stopping)
		<-stopped
		if answered == 0 {
			t.Error("nothing was answered meanwhile")
		}
	}
}

func TestTLSRequestReply(t *testing.T) { overEach(t, tlsRequestReply) }

func tlsRequestReply(t *testing.T, over network) {
	noLeaks(t)
	c := newSecureCluster(t, over)
	a, b := c.node("a"), c.node("b")
	a.ask(b)
	b.ask(a)
	if len(a.rejected)+len(b.rejected) > 0 {
		t.Error("something was refused")
	}
}

// bad is a certificate that is not accepted, or none.
type bad struct {
	name   string
	reason string // for which it is refused
	show   []tls.Certificate
}

// badOnes returns what a node that says to be that one may come with.
func (c *secureCluster) badOnes(name string) []bad {
	now := time.Now()
	by := func(a *certs.Authority, r certs.Request) []tls.Certificate {
		return []tls.Certificate{issue(c.t, a, r)}
	}
	c.files(name) // there is a CA now
	a := c.authority()
	return []bad{
		{"of another CA", reasonAuthority, by(newAuthority(c.t), certs.Request{Node: name})},
		{"expired", reasonExpired, by(a, certs.Request{Node: name, From: now.Add(-2 * time.Hour), To: now.Add(-time.Hour)})},
		{"not yet valid", reasonExpired, by(a, certs.Request{Node: name, From: now.Add(time.Hour)})},
		{"of another member", reasonName, by(a, certs.Request{Node: "other", Hosts: []string{"localhost", "127.0.0.1"}})},
		{"in other letters", reasonName, by(a, certs.Request{Node: strings.ToUpper(name)})},
		{"of a pattern", reasonName, by(a, certs.Request{Node: "*"})},
	}
}

// TestTLSRefusesBadClients: whoever calls with such a certificate.
func TestTLSRefusesBadClients(t *testing.T) { overEach(t, tlsRefusesBadClients) }

func tlsRefusesBadClients(t *testing.T, over network) {
	noLeaks(t)
	c := newSecureCluster(t, over)
	good, victim := c.node("good"), c.node("victim")
	c.live(friend, "friend")
	defer steady(t, good, victim)()
	for _, b := range append(c.badOnes("friend"), bad{"none", reasonNoCertificate, nil}) {
		t.Run(b.name, func(t *testing.T) {
			config := c.identity("friend").Client("victim")
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if len(b.show) == 0 {
					return &tls.Certificate{}, nil
				}
				return &b.show[0], nil
			}
			if over.introduction(t, door{victim.address, config}) == nil {
				t.Error("was let in")
			}
			victim.wantReason(t, b.reason)
		})
	}
	t.Run("plaintext", func(t *testing.T) {
		if over.introduction(t, unlocked(victim.address)) == nil {
			t.Error("was let in")
		}
		victim.wantReason(t, reasonHandshake)
	})
	t.Run("TLS 1.2", func(t *testing.T) {
		config := c.identity("friend").Client("victim")
		config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		if over.introduction(t, door{victim.address, config}) == nil {
			t.Error("was let in")
		}
		victim.wantReason(t, reasonHandshake)
	})
}

// TestTLSRefusesBadServers: whoever answers with such a certificate.
func TestTLSRefusesBadServers(t *testing.T) { overEach(t, tlsRefusesBadServers) }

func tlsRefusesBadServers(t *testing.T, over network) {
	noLeaks(t)
	c := newSecureCluster(t, over)
	good, victim := c.node("good"), c.node("victim")
	defer steady(t, good, victim)()
	call := func(t *testing.T, key *tls.Config, reason string) {
		address := over.mute(t, key)
		c.live(address, "friend")
		_ = victim.Send(actor.NewPID(address, inboxID), nil, &transportpb.Heartbeat{}) // it may know already
		if got := await(t, victim.broken, "Broken"); got != address {
			t.Errorf("broken: %s", got)
		}
		victim.wantReason(t, reason)
	}
	for _, b := range c.badOnes("friend") {
		t.Run(b.name, func(t *testing.T) {
			call(t, &tls.Config{Certificates: b.show}, b.reason)
		})
	}
	t.Run("plaintext", func(t *testing.T) { call(t, nil, reasonHandshake) })
}

// TestTLSCallsMembersOnly: without a name there is no certificate to expect.
func TestTLSCallsMembersOnly(t *testing.T) { overEach(t, tlsCallsMembersOnly) }

func tlsCallsMembersOnly(t *testing.T, over network) {
	noLeaks(t)
	c := newSecureCluster(t, over)
	a, b := c.node("a"), c.node("b")
	c.live(b.address, "")
	_ = a.Send(b.pid(inboxID, 0), nil, &transportpb.Heartbeat{})
	if got := await(t, a.broken, "Broken"); got != b.address {
		t.Errorf("broken: %s", got)
	}
	if len(b.inbox) > 0 {
		t.Error("a stranger was trusted with a message")
	}
}

// TestTLSBindsAddresses: the certificate of b opens no stream for c, and a stream
// ends when its peer is no member any more.
func TestTLSBindsAddresses(t *testing.T) { overEach(t, tlsBindsAddresses) }

func tlsBindsAddresses(t *testing.T, over network) {
	noLeaks(t)
	c := newSecureCluster(t, over)
	victim := c.node("victim")
	c.live(friend, "friend")
	c.live("10.3.3.3:7000", "c")
	if _, err := over.enter(t, door{victim.address, c.key("friend", "victim")}, "10.3.3.3:7000"); err == nil ||
		!strings.Contains(err.Error(), "it is the address of c, and the certificate is for friend") {
		t.Errorf("got %v", err)
	}
	victim.wantReason(t, reasonName)

	guest, err := over.enter(t, door{victim.address, c.key("friend", "victim")}, friend)
	if err != nil {
		t.Fatal(err)
	}
	c.live(friend, "")
	guest.send(&transportpb.Heartbeat{}, inboxID)
	if guest.end() == nil {
		t.Error("the stream went on")
	}
	victim.wantReason(t, reasonStranger)
	if len(victim.inbox) > 0 {
		t.Error("one who is no member any more got through")
	}
}

// TestTLSBindsClaims: what a peer says about itself must be of its name.
func TestTLSBindsClaims(t *testing.T) { overEach(t, tlsBindsClaims) }

func tlsBindsClaims(t *testing.T, over network) {
	noLeaks(t)
	v := newSecureVictim(t, over)
	guest, err := over.enter(t, v.door, friend)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []proto.Message{
		&transportpb.Heartbeat{Node: "witness"},
		&transportpb.HeartbeatAck{Node: "witness"},
		&transportpb.Reply{Node: "witness"},
	} {
		t.Run(string(proto.MessageName(m)), func(t *testing.T) {
			guest.send(m, inboxID)
			v.wantReason(t, reasonClaim)
			v.unharmed(t)
		})
	}
	guest.send(&transportpb.Reply{Node: "friend"}, inboxID)
	if got := v.next(); got.msg.(*transportpb.Reply).GetNode() != "friend" {
		t.Errorf("got %v", got)
	}
}

// TestTLSRotation replaces all files under a pair of nodes, with another CA in
// the end, as the documentation of TLS says.
func TestTLSRotation(t *testing.T) { overEach(t, tlsRotation) }

func tlsRotation(t *testing.T, over network) {
	noLeaks(t)
	c := newSecureCluster(t, over)
	a, b := c.node("a"), c.node("b")
	a.ask(b)
	old, err := tls.LoadX509KeyPair(c.files("a").Cert, c.files("a").Key)
	if err != nil {
		t.Fatal(err)
	}
	// withOld is the way in with the first certificate, for one who knows the new CA.
	withOld := func() door {
		config := c.identity("a").Client("b")
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &old, nil }
		return door{b.address, config}
	}
	reconnect := func() {
		t.Helper()
		for _, pair := range [][2]*wireNode{{a, b}, {b, a}} {
			pair[0].Disconnect(pair[1].address)
		}
		a.ask(b)
	}
	next := &secureCluster{t: t, over: over, directory: certs.Directory(t.TempDir())}
	next.files("a")
	next.files("b")
	files := func(d certs.Directory, base string) string { return filepath.Join(string(d), base) }
	move := func(bases ...string) {
		t.Helper()
		for _, base := range bases {
			text, err := os.ReadFile(files(next.directory, base))
			if err != nil {
				t.Fatal(err)
			}
			if base == "ca.pem" && len(bases) == 1 { // both
				before, err := os.ReadFile(files(c.directory, base))
				if err != nil {
					t.Fatal(err)
				}
				text = append(text, before...)
			}
			if err := os.WriteFile(files(c.directory, base), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		reconnect()
	}

	move("a.key") // does not fit to a.pem: the old pair goes on
	move("b.pem")
	move("ca.pem")
	move("a.pem", "b.key")
	if got := presented(t, over, b, c.identity("a")); !got.Equal(leaf(t, files(next.directory, "b.pem"))) {
		t.Errorf("b goes on with its old certificate, for %v", got.DNSNames)
	}
	if over.introduction(t, withOld()) == nil {
		t.Error("friend's address was given to a")
	}
	b.wantReason(t, reasonStranger) // so far the old certificate is good enough

	move("ca.pem", "a.pem")
	stop := steady(t, a, b)
	if over.introduction(t, withOld()) == nil {
		t.Error("the old CA is still accepted")
	}
	b.wantReason(t, reasonAuthority)
	stop()
}

// presented returns the certificate that a node shows to a new connection.
func presented(t *testing.T, over network, to *wireNode, as *certs.Identity) *x509.Certificate {
	t.Helper()
	config := as.Client("b")
	config.NextProtos = []string{over.protocol}
	conn, err := tls.Dial("tcp", to.address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

func leaf(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(path, strings.TrimSuffix(path, ".pem")+".key")
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

// TestTLSRefusesToStart with what peers would refuse, or nobody can mean.
func TestTLSRefusesToStart(t *testing.T) {
	noLeaks(t)
	c := newSecureCluster(t, overTCP)
	a := TLS(c.files("a"))
	tests := []struct {
		name, want string
		config     RemoteConfig
	}{
		{"another name", `its DNS names are ["a" "localhost"], and none is that of the node, "b"`, RemoteConfig{Name: "b", TLS: &a}},
		{"no name", `node "": a certificate can name`, RemoteConfig{TLS: &a}},
		{"the name of all", "choose another name", RemoteConfig{Name: "localhost", TLS: &a}},
		{"no key", "needs three files", RemoteConfig{Name: "a", TLS: &TLS{CA: a.CA, Cert: a.Cert}}},
		{"no such file", "no such file", RemoteConfig{Name: "a", TLS: &TLS{CA: a.CA, Cert: a.Cert, Key: a.Key + "x"}}},
		{"no certificate", "no certificate in PEM", RemoteConfig{Name: "a", TLS: &TLS{CA: a.Key, Cert: a.Cert, Key: a.Key}}},
		{"insecure, too", "choose one", RemoteConfig{Name: "a", TLS: &a, Insecure: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.config.Listen = "127.0.0.1:0"
			_, err := NewTCP(test.config).Start(quietSystem(), Policy{})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestRemoteListensOffLoopback(t *testing.T) {
	noLeaks(t)
	c := newSecureCluster(t, overTCP)
	a := TLS(c.files("a"))
	for name, config := range map[string]RemoteConfig{"TLS": {Name: "a", TLS: &a}, "insecure": {Insecure: true}} {
		t.Run(name, func(t *testing.T) {
			config.Listen = "0.0.0.0:0"
			transport := NewTCP(config)
			if _, err := transport.Start(quietSystem(), Policy{}); err != nil {
				t.Fatal(err)
			}
			if err := transport.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	certificate := &x509.Certificate{DNSNames: []string{"x"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(60, 0)}
	unverified := func(err error) error {
		return &tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{certificate}, Err: err}
	}
	tests := []struct {
		err          error
		reason, want string
	}{
		{unverified(x509.UnknownAuthorityError{Cert: certificate}), reasonAuthority, "issue it by the CA of this cluster"},
		{unverified(x509.CertificateInvalidError{Cert: certificate, Reason: x509.Expired}), reasonExpired, "to 1970-01-01T00:01:00Z); renew it"},
		{unverified(x509.CertificateInvalidError{Cert: certificate, Reason: x509.IncompatibleUsage}), reasonCertificate, "both client and server"},
		{unverified(x509.HostnameError{Certificate: certificate, Host: "y"}), reasonName, "is for x, and not for y"},
		{tls.RecordHeaderError{Msg: "x"}, reasonHandshake, "does not speak TLS"},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(42)}, reasonHandshake, "its log says why"},
		{errors.New("x"), reasonHandshake, "x"},
	}
	certificate.NotAfter = certificate.NotAfter.UTC()
	for _, test := range tests {
		if reason, detail := explain(test.err); reason != test.reason || !strings.Contains(detail, test.want) {
			t.Errorf("%v: %s, %s; want %s, %s", test.err, reason, detail, test.reason, test.want)
		}
	}
}

// TestResidents: at an address lives the newest of those who claim it.
func TestResidents(t *testing.T) {
	members := []ring.Member{
		{Name: "a", Address: "1", Incarnation: 7},
		{Name: "b", Address: "2", Incarnation: 5},
		{Name: "c", Address: "2", Incarnation: 6},
		{Name: "d", Address: "2", Incarnation: 4},
	}
	if got, want := residents(members, "a"), map[string]string{"2": "c"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
