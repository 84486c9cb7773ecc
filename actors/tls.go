package actors

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	grpcpeer "google.golang.org/grpc/peer"

	"github.com/torc-io/torc/internal/certs"
)

// TLS names the files by which a node is known to its peers, and knows them, in
// PEM. They are read again when they change; new connections then use them, and
// files that cannot be used are logged and change nothing.
//
// A connection is made if each side shows a certificate that a CA in the file CA
// has signed (no other CA counts), is valid now, and has the node's name among
// its DNS names, byte for byte. Whom the name is compared with is never the
// peer's choice: whoever dials an address wants the certificate of the member
// that lives there by the registration or the ring, and whoever is dialled lets
// a peer speak from the address of the member in its certificate alone. What a
// peer then says about itself, in heartbeats and replies, must be of that name.
//
// # What it does not protect from
//
// A member is trusted with the data. One that was taken over cannot pass for
// another one: it cannot keep a dead member alive, or answer for the other
// replicas. But it may send any command to any vnode, and answer what it likes
// for its own; and since commands may be forwarded, it may have the answer to
// one sent to another member. Who can write to the membership store decides who
// lives where and who owns what: with a certificate of the cluster, that is who
// gets the data, and without one it is still who can stop all traffic. A
// connection outlives a change of the files: to cut off a member whose key has
// leaked, remove it from the ring and the membership store (its streams to us end
// with its next message), and put in a CA that has not signed it.
type TLS struct {
	CA   string // certificates of the cluster's CA
	Cert string // the node's certificate, and those between it and the CA
	Key  string // its private key
}

// identity reads the files.
func (c RemoteConfig) identity(p Policy) (*certs.Identity, error) {
	if c.TLS == nil {
		return nil, nil //nolint:nilnil // no identity is what a node without TLS has
	}
	identity, err := certs.NewIdentity(certs.Files(*c.TLS), c.Name, p.Logger)
	if err != nil {
		return nil, fmt.Errorf("actors: TLS: %w", err)
	}
	return identity, nil
}

// serverCredentials are how this node answers connections.
func (g *guard) serverCredentials() credentials.TransportCredentials {
	if g.identity == nil {
		return insecure.NewCredentials()
	}
	return &handshakes{credentials.NewTLS(g.identity.Server()), g, ""}
}

// clientCredentials are how it makes one to an address.
func (g *guard) clientCredentials(address string) (credentials.TransportCredentials, error) {
	if g.identity == nil {
		return insecure.NewCredentials(), nil
	}
	name, err := g.resident(address)
	if err != nil {
		return nil, err
	}
	return &handshakes{credentials.NewTLS(g.identity.Client(name)), g, name + " at " + address}, nil
}

// resident returns whose certificate whoever answers at an address must have.
func (g *guard) resident(address string) (name string, err error) {
	name, known := g.policy.Peer(address)
	if !known {
		return "", fmt.Errorf("%s is not the address of a member, so nobody's certificate would do", address)
	}
	return name, nil
}

// handshakes are credentials that report those who could not show theirs.
type handshakes struct {
	credentials.TransportCredentials

	guard  *guard
	dialed string // who is called; "" if others call
}

// ServerHandshake implements [credentials.TransportCredentials].
func (h *handshakes) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		h.guard.reportHandshake(raw.RemoteAddr().String(), err)
	}
	return conn, info, err
}

// ClientHandshake implements [credentials.TransportCredentials]. If the lane ended
// meanwhile, nothing is wrong with the peer.
func (h *handshakes) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil && ctx.Err() == nil {
		h.guard.reportHandshake(h.dialed, err)
	}
	return conn, info, err
}

// Clone implements [credentials.TransportCredentials].
func (h *handshakes) Clone() credentials.TransportCredentials {
	return &handshakes{h.TransportCredentials.Clone(), h.guard, h.dialed}
}

// reportHandshake counts and logs a handshake that failed.
func (g *guard) reportHandshake(from string, err error) {
	reason, detail := explain(err)
	_ = g.refuse(reason, from, detail) // who did not prove who he is, is not told more
}

// explain says why a handshake failed, and what to do about it.
func explain(err error) (reason, detail string) {
	var unverified *tls.CertificateVerificationError
	var other *certs.NameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &other):
		return reasonName, other.Error() + "; give each node a certificate of its own, and look who uses the address"
	case errors.As(err, &unverified):
		return explainCertificate(unverified)
	case isOtherProtocol(err):
		return reasonProtocol, "it speaks another transport; " + sameTransport
	case strings.Contains(err.Error(), "didn't provide a certificate"):
		return reasonNoCertificate, "start it with a certificate of this cluster"
	case errors.As(err, &record):
		return reasonHandshake, "it does not speak TLS; start all nodes of the cluster with it"
	case isRefusal(err):
		return reasonHandshake, err.Error() + refusedByPeer
	default:
		return reasonHandshake, err.Error()
	}
}

// explainCertificate does it for a certificate that was not accepted.
func explainCertificate(err *tls.CertificateVerificationError) (reason, detail string) {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	detail = fmt.Sprintf("certificate for %s: %v", namesIn(err.UnverifiedCertificates[0]), certs.Advise(err.Err))
	switch {
	case errors.As(err.Err, &host):
		return explain(&certs.NameError{Node: host.Host, Has: host.Certificate.DNSNames})
	case errors.As(err.Err, &unknown):
		return reasonAuthority, detail
	case errors.As(err.Err, &invalid) && invalid.Reason == x509.Expired:
		return reasonExpired, detail
	default:
		return reasonCertificate, detail
	}
}

// refusedByPeer is what to do if it was the peer who did not accept us.
const refusedByPeer = "; the peer did not accept this node's certificate, and its log says why"

// isRefusal says whether the peer ended a connection by an alert of TLS. Where
// gRPC has been in between, nothing is left of the error but its text.
func isRefusal(err error) bool { return strings.Contains(err.Error(), "remote error: tls:") }

// isOtherProtocol says whether the two sides of a handshake had no protocol in
// common above TLS.
func isOtherProtocol(err error) bool {
	return strings.Contains(err.Error(), "application protocol")
}

// namesIn returns whom a certificate is for, for a person.
func namesIn(certificate *x509.Certificate) string {
	if certificate == nil || len(certificate.DNSNames) == 0 {
		return "nobody"
	}
	return strings.Join(certificate.DNSNames, ", ")
}

// certificateOf returns the verified certificate of a stream's peer; nil without TLS.
func certificateOf(ctx context.Context) *x509.Certificate {
	p, ok := grpcpeer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil
	}
	return info.State.PeerCertificates[0]
}
